import { constants } from 'node:os';
import { InterruptedError } from './failure.js';

/**
 * Does work that Ctrl-C and SIGTERM give up. Once they have, or once it is done, they end the process as usual.
 *
 * @throws InterruptedError when the work was given up
 */
export async function interruptible<Value>(work: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
  const controller = new AbortController();
  const interrupt = (name: NodeJS.Signals) => {
    release();
    controller.abort(new InterruptedError(constants.signals[name]));
  };
  const release = () => {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    return await work(controller.signal);
  } catch (error) {
    // What breaks because of the abort may say so in other words.
    controller.signal.throwIfAborted();
    throw error;
  } finally {
    release();
  }
}
