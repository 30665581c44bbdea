// Inserts executions into the store of the data directory in argv[2], and prints the id of each once it was acknowledged.
import { writeSync } from 'node:fs';
import { archiveInFile, archiveInMemory } from '../../dist/archive/stored.js';
import { openSqliteStore } from '../../dist/store/sqlite.js';

const [, , dataDir, prefix] = process.argv;
const logger = { info() {}, error() {} };
const store = await openSqliteStore({ dataDir, logger, archiveInMemory, archiveInFile });
const archive = archiveInMemory(Buffer.alloc(2_048, 'tar'), ['main.py']);
const at = new Date().toISOString();
const finished = { type: 'finished', at, status: 'completed', warnings: [] };

async function insertForever(lane) {
  for (let count = 0; ; count += 1) {
    const executionId = `${prefix}-${lane}-${count}`;
    const accepted = { type: 'accepted', at, warnings: [] };
    await store.insert({ delivery: 'async', job: { executionId, stdin: '' }, archive, accepted });
    writeSync(1, `${executionId}\n`);
    // Every other one goes on, so that all states are met.
    if (count % 2 === 0) void store.start(executionId, { type: 'started', at });
    if (count % 2 === 0) store.append(executionId, { type: 'output', stream: 'stdout', bytes: Buffer.from('out') });
    if (count % 4 === 0) void store.settle(executionId, finished);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, lane) => insertForever(lane)));
