import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { describeExecutionStore } from './conformance.js';
import { openStore, withDataDir } from './directory.js';
import { newExecution, output } from './samples.js';

const parent = mkdtempSync(join(tmpdir(), 'store-'));
let count = 0;

afterAll(() => rmSync(parent, { recursive: true, force: true }));

describeExecutionStore('in a file', () => openStore(join(parent, String(count++))));
describeExecutionStore('in memory', () => openStore(':memory:'));

test('a store in a file keeps memory flat, however much a program writes', async () => {
  await withDataDir(async (dataDir) => {
    const store = await openStore(dataDir);
    try {
      const execution = newExecution();
      await store.insert(execution);
      const piece = output(Buffer.alloc(64 * 1024, 'x'));
      const before = process.memoryUsage().arrayBuffers;
      let peak = before;
      for (let count = 0; count < 1_024; count += 1) {
        await store.append(execution.id, piece);
        peak = Math.max(peak, process.memoryUsage().arrayBuffers);
      }
      expect(peak - before).toBeLessThan(16 * 1024 * 1024);
    } finally {
      await store.close();
    }
  });
});
