import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ExecutionStore } from '../../dist/jobs/ports.js';
import { at, files, finished, newExecution, newJob, output, readable, started } from './samples.js';

/** What every {@link ExecutionStore} must do. `open` makes an empty one. */
export function describeExecutionStore(name: string, open: () => Promise<ExecutionStore>): void {
  describe(`an execution store ${name}`, () => {
    let store: ExecutionStore;

    beforeEach(async () => {
      store = await open();
    });

    afterEach(() => store.close());

    test('gives back every event in order, with its exact bytes', async () => {
      const execution = newExecution();
      const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);
      const events = [
        execution.accepted,
        started,
        output('out\n'),
        output(everyByte, 'stderr'),
        output(new Uint8Array()),
        output(Buffer.from('a piece of a larger buffer').subarray(2, 7)),
        finished(),
      ];
      await store.insert(execution);
      expect(await store.start(execution.id, started)).toBe(true);
      for (const event of events) if (event.type === 'output') store.append(execution.id, event);
      expect(await store.settle(execution.id, finished())).toBe(true);

      expect(readable(await store.events(execution.id))).toEqual(readable(events));
      await store.flush();
      expect(readable(await store.events(execution.id))).toEqual(readable(events));
    });

    test('shows a read every write that was called before it, durable or not', async () => {
      const execution = newExecution();
      const outputs = Array.from({ length: 50 }, (_, index) => output(`${index}\n`));
      const expected = [execution.accepted, started, ...outputs, finished()];
      const reads: Promise<unknown>[] = [];
      const read = (): void => {
        reads.push(store.events(execution.id).then(readable));
      };

      void store.insert(execution);
      read();
      void store.start(execution.id, started);
      read();
      for (const event of outputs) {
        store.append(execution.id, event);
        read();
        if (reads.length % 7 === 0) await store.probe();
      }
      void store.settle(execution.id, finished());
      read();

      for (const [index, events] of (await Promise.all(reads)).entries()) {
        const least = readable(expected.slice(0, index + 1)) as unknown[];
        expect((events as unknown[]).slice(0, least.length)).toEqual(least);
        expect(events).toEqual(readable(expected.slice(0, (events as unknown[]).length)));
      }
    });

    test('knows nothing of an execution that was never inserted', async () => {
      const unknown = `exe_${'x'.repeat(10_000)}`;
      expect(await store.events(unknown)).toBeUndefined();
      expect(await store.start(unknown, started)).toBe(false);
      expect(await store.settle(unknown, finished())).toBe(false);
      expect(store.append(unknown, output('x'))).toBeUndefined();
      await store.flush();
      expect(await store.events(unknown)).toBeUndefined();
    });

    test('starts an execution once', async () => {
      const { id } = await inserted();
      const answers = await Promise.all([store.start(id, started), store.start(id, started)]);
      expect(answers).toEqual([true, false]);
      expect(await store.events(id)).toHaveLength(2);
    });

    test('lets one of many ends win and never overwrites it', async () => {
      const { id } = await inserted();
      const statuses = ['killed', 'completed', 'failed'] as const;
      const answers = await Promise.all(statuses.map((status) => store.settle(id, finished({ status }))));
      expect(answers).toEqual([true, false, false]);
      await store.flush();
      expect(await store.settle(id, finished({ status: 'failed' }))).toBe(false);
      expect(await store.start(id, started)).toBe(false);
      const events = await store.events(id);
      expect(events).toHaveLength(2);
      expect(events?.at(-1)).toEqual(finished({ status: 'killed' }));
    });

    test('ignores output that comes after the end', async () => {
      const { id } = await inserted();
      void store.settle(id, finished());
      store.append(id, output('late'));
      await store.flush();
      store.append(id, output('later'));
      await store.flush();
      expect(await store.events(id)).toHaveLength(2);
    });

    test('refuses an id that is taken, and lets the others of the same moment through', async () => {
      const first = await inserted();
      await store.settle(first.id, finished());
      await store.flush();
      const again = newExecution({ job: newJob({ executionId: first.id }) });
      const others = [newExecution(), newExecution()] as const;

      const results = await Promise.allSettled([others[0], again, others[1]].map((each) => store.insert(each)));

      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(await store.events(first.id)).toHaveLength(2);
      for (const other of others) expect(await store.events(other.id)).toHaveLength(1);
    });

    test('lists what waits, oldest first, with all that is needed to run it', async () => {
      const waiting = [newExecution(), newExecution(), newExecution()];
      for (const execution of waiting) await store.insert(execution);
      const running = await inserted();
      void store.start(running.id, started);
      const ended = await inserted();
      void store.settle(ended.id, finished());

      const pending = await store.pending();

      expect(pending.map(({ job }) => job)).toEqual(waiting.map(({ job }) => job));
      for (const { archive } of pending) {
        expect(archive.files).toEqual(files);
        expect(String(await buffer(archive.open()))).toBe('a canonical tar');
      }
    });

    test('has no orphans of its own', async () => {
      const { id } = await inserted();
      await store.start(id, started);
      expect(await store.orphans()).toEqual([]);
    });

    test('prunes what ended before the given time, and nothing else', async () => {
      const ends = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z', '2026-01-03T00:00:00.000Z'];
      const ids: string[] = [];
      for (const end of ends) {
        const { id } = await inserted();
        store.append(id, output('x'.repeat(10_000)));
        void store.settle(id, finished({ at: end }));
        ids.push(id);
      }
      const waiting = await inserted();

      expect(await store.prune('2026-01-02T12:00:00.000Z')).toBe(2);

      expect(await Promise.all(ids.map((id) => store.events(id)))).toEqual([undefined, undefined, expect.anything()]);
      expect(await store.events(waiting.id)).toHaveLength(1);
      expect(await store.prune('2026-01-02T12:00:00.000Z')).toBe(0);
    });

    test('prunes any number at once', async () => {
      const executions = Array.from({ length: 170 }, () => newExecution());
      for (const execution of executions) {
        void store.insert(execution);
        void store.settle(execution.id, finished());
      }
      expect(await store.prune('2027-01-01T00:00:00.000Z')).toBe(170);
    });

    test('holds back a writer that is faster than the disk, and keeps all of its output', async () => {
      const { id } = await inserted();
      const piece = Buffer.alloc(64 * 1024, 'x');
      let room: Promise<void> | undefined;
      let count = 0;
      // Nothing reaches the disk while this loop runs.
      while (room === undefined) {
        room = store.append(id, output(piece));
        count += 1;
      }
      expect(count * piece.length).toBeLessThanOrEqual(17 * 1024 * 1024);
      await room;
      while (count < 320) {
        await store.append(id, output(piece));
        count += 1;
      }
      const events = await store.events(id);
      expect(events).toHaveLength(321);
      const bytes = events?.reduce((sum, event) => sum + (event.type === 'output' ? event.bytes.length : 0), 0);
      expect(bytes).toBe(20 * 1024 * 1024);
    });

    test('takes a thousand executions at once', async () => {
      const executions = Array.from({ length: 1_000 }, () => newExecution());
      await Promise.all(executions.map((execution) => store.insert(execution)));
      const events = await Promise.all(executions.map(({ id }) => store.events(id)));
      expect(events.every((each) => each?.length === 1)).toBe(true);
    });

    test('says that it would write', async () => {
      await expect(store.probe()).resolves.toBeUndefined();
    });

    test('refuses what comes after it was closed, which can be done twice', async () => {
      await Promise.all([store.close(), store.close()]);
      await expect(store.insert(newExecution())).rejects.toMatchObject({ code: 'shutting_down' });
      await expect(store.probe()).rejects.toMatchObject({ code: 'shutting_down' });
      await expect(store.events('exe_x')).rejects.toMatchObject({ code: 'store_unavailable' });
    });

    async function inserted(): Promise<{ readonly id: string }> {
      const execution = newExecution({ accepted: { type: 'accepted', at, warnings: [] } });
      await store.insert(execution);
      return execution;
    }
  });
}
