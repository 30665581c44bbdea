/**
 * The thread in which the store's database lives, so that waiting for the disk holds up nothing else. It loads little:
 * nothing of the contract but types, whose schemas take longer to load than a database to open.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openDatabase, placesOf } from './database.js';
import { faultOf } from './faults.js';
import type { Opening, Reply, Request, WorkerInput } from './messages.js';
import { packBytes } from './packing.js';
import { Reader } from './reading.js';
import { recover } from './recovery.js';
import { Writer } from './writing.js';

interface Answer {
  readonly answer: Extract<Reply, { type: 'answer' }>['answer'];
  /** What the answer holds and is handed over instead of copied. */
  readonly transfer: ArrayBuffer[];
}

function start(port: MessagePort, { dataDir }: WorkerInput): void {
  const places = placesOf(dataDir);
  const database = openDatabase(dataDir);
  const recovered = recover(database, places);
  const writer = new Writer(database, places.root);
  const reader = new Reader(database, places.root);

  function handle(request: Request): Answer {
    switch (request.type) {
      case 'write': {
        const { operations, buffer } = request.input;
        return { answer: { results: writer.write(operations), buffer }, transfer: [buffer] };
      }
      case 'events': {
        const events = reader.events(request.input);
        if (events === undefined) return { answer: undefined, transfer: [] };
        const { items, buffer } = packBytes(events);
        return { answer: items, transfer: [buffer] };
      }
      case 'pending': {
        const { items, buffer } = packBytes(reader.pending());
        return { answer: items, transfer: [buffer] };
      }
      case 'close':
        // The database itself is closed, and the lock dropped, when the thread ends.
        database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
        return { answer: undefined, transfer: [] };
    }
  }

  port.on('message', (request: Request) => {
    try {
      const { answer, transfer } = handle(request);
      port.postMessage({ type: 'answer', answer } satisfies Reply, transfer);
    } catch (error) {
      port.postMessage({ type: 'fault', fault: faultOf(error) } satisfies Reply);
    }
    if (request.type === 'close') port.close();
  });
  port.postMessage({ type: 'opened', file: places.file, ...recovered } satisfies Opening);
}

if (parentPort === null) throw new Error('Cannot start the store outside of a worker thread');
try {
  start(parentPort, workerData as WorkerInput);
} catch (error) {
  parentPort.postMessage({ type: 'refused', message: faultOf(error).message } satisfies Opening);
}
