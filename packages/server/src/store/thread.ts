import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ServiceError } from '@python-executor/contract';
import { faultOf } from './faults.js';
import type { Fault, Opening, Reply, Request, Requests, RequestType, WorkerInput } from './messages.js';
import { unavailable } from './refusals.js';

interface Waiting {
  // Any answer fits here: answers come in the order of the requests.
  readonly onAnswer: (answer: never) => void;
  readonly onFault: (error: ServiceError) => void;
}

/** Our end of the thread that holds the database. */
export class StoreThread {
  readonly #waiting: Waiting[] = [];
  #lost: Fault | undefined;

  private constructor(private readonly worker: Worker) {
    worker.on('message', (reply: Reply) => this.#take(reply));
    worker.on('error', (error) => this.#lose(faultOf(error)));
    worker.on('exit', () => this.#lose({ code: 'EXITED', message: 'its thread has ended' }));
  }

  /** @throws ServiceError `store_unavailable` when the database cannot be opened; the message names its file */
  static async start(
    input: WorkerInput,
  ): Promise<{ thread: StoreThread; opened: Extract<Opening, { type: 'opened' }> }> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: input, execArgv: [] });
    const [opening] = (await once(worker, 'message')) as [Opening];
    if (opening.type === 'opened') return { thread: new StoreThread(worker), opened: opening };
    // Until the thread has ended it holds the files.
    await once(worker, 'exit');
    throw new ServiceError('store_unavailable', opening.message);
  }

  /**
   * @param read called with the answer the moment it comes: after the answers to all earlier requests, before those to
   * later ones
   * @throws ServiceError `store_unavailable`
   */
  request<Type extends RequestType, Result>(
    type: Type,
    input: Requests[Type]['input'],
    read: (answer: Requests[Type]['answer']) => Result,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(unavailable(this.#lost));
        return;
      }
      this.worker.postMessage({ type, input } as Request, transfer);
      this.#waiting.push({ onAnswer: (answer) => resolve(read(answer)), onFault: reject });
    });
  }

  /** Ends the thread, and with it the lock of the data directory. */
  async close(): Promise<void> {
    if (this.#lost !== undefined) return;
    const exited = once(this.worker, 'exit');
    const closed = this.request('close', undefined, () => {});
    // What cannot be moved out of the WAL now stays in it until the next start.
    await Promise.allSettled([closed, exited]);
  }

  #take(reply: Reply): void {
    const waiting = this.#waiting.shift();
    if (reply.type === 'answer') waiting?.onAnswer(reply.answer as never);
    else waiting?.onFault(unavailable(reply.fault));
  }

  #lose(fault: Fault): void {
    this.#lost ??= fault;
    for (const waiting of this.#waiting.splice(0)) waiting.onFault(unavailable(this.#lost));
  }
}
