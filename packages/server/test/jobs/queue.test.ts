import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Queue, type QueueEntry } from '../../dist/jobs/queue.js';

/** Work that lasts until it is told to end. */
class Work implements QueueEntry {
  end!: () => void;
  readonly #ended = new Promise<void>((resolve) => {
    this.end = resolve;
  });

  constructor(
    readonly name: string,
    private readonly begun: string[],
  ) {}

  run(): Promise<void> {
    this.begun.push(this.name);
    return this.#ended;
  }
}

/** A queue with some work in it; `begun` names what has had its turn, in order. */
function queueOf(names: string, { concurrencyMax = 1, queueMax = 100 } = {}) {
  const queue = new Queue({ concurrencyMax, queueMax });
  const begun: string[] = [];
  const works = new Map<string, Work>();
  const add = (name: string): Work => {
    const work = new Work(name, begun);
    works.set(name, work);
    return work;
  };
  for (const name of names) queue.push(add(name));
  const end = async (name: string): Promise<void> => {
    works.get(name)?.end();
    await turn();
  };
  return { queue, begun, add, end, work: (name: string) => works.get(name) as Work };
}

describe('a queue', () => {
  test('runs what came first, first', async () => {
    const { begun, end } = queueOf('abcd');
    for (const name of 'abcd') await end(name);
    expect(begun.join('')).toBe('abcd');
  });

  test('runs as many at once as it may, and the next as soon as any of them ends', async () => {
    const { queue, begun, end } = queueOf('abcde', { concurrencyMax: 2 });
    expect([begun.join(''), queue.running, queue.waiting]).toEqual(['ab', 2, 3]);
    await end('b');
    expect([begun.join(''), queue.running, queue.waiting]).toEqual(['abc', 2, 2]);
    await end('a');
    await end('c');
    expect([begun.join(''), queue.running, queue.waiting]).toEqual(['abcde', 2, 0]);
  });

  test('has room for as many as may run and wait', async () => {
    const { queue, add, end } = queueOf('', { concurrencyMax: 2, queueMax: 1 });
    expect(queue.room).toBe(3);
    for (const name of 'abc') queue.push(add(name));
    expect(queue.room).toBe(0);
    await end('a');
    expect(queue.room).toBe(1);
  });

  test('gives back what waits still, and nothing else', async () => {
    const { queue, begun, end, work } = queueOf('abc');
    expect(queue.remove(work('b'))).toBe(true);
    expect(queue.remove(work('b'))).toBe(false);
    expect(queue.remove(work('a'))).toBe(false);
    await end('a');
    expect(queue.remove(work('c'))).toBe(false);
    expect(begun.join('')).toBe('ac');
  });

  test('has room again for what was given back', () => {
    const { queue, work } = queueOf('ab', { concurrencyMax: 1, queueMax: 1 });
    expect(queue.room).toBe(0);
    queue.remove(work('b'));
    expect(queue.room).toBe(1);
  });

  test('begins nothing while it is paused, and everything it may afterwards', async () => {
    const { queue, begun, add, end } = queueOf('abc');
    queue.pause();
    await end('a');
    queue.push(add('d'));
    expect([begun.join(''), queue.running, queue.waiting]).toEqual(['a', 0, 3]);
    queue.resume();
    expect([begun.join(''), queue.running, queue.waiting]).toEqual(['ab', 1, 2]);
  });

  test('runs first what could not run before', async () => {
    const { queue, begun, add, end } = queueOf('abc');
    queue.pushFront(add('again'));
    await end('a');
    await end('again');
    await end('b');
    expect(begun).toEqual(['a', 'again', 'b', 'c']);
  });

  test('is idle once nothing runs, whatever began meanwhile', async () => {
    const { queue, end } = queueOf('ab');
    let idle = false;
    void queue.idle().then(() => {
      idle = true;
    });
    await end('a');
    expect(idle).toBe(false);
    await end('b');
    await turn();
    expect(idle).toBe(true);
    await queue.idle();
  });

  test('is idle while it is paused and what ran has ended, though some wait', async () => {
    const { queue, end } = queueOf('ab');
    queue.pause();
    await end('a');
    await queue.idle();
    expect(queue.waiting).toBe(1);
  });

  test('goes through a thousand that end at once without one that is lost or run twice', async () => {
    const queue = new Queue({ concurrencyMax: 8, queueMax: 1000 });
    const runs = new Map<number, number>();
    let most = 0;
    for (let index = 0; index < 1000; index += 1) {
      queue.push({
        run: async () => {
          runs.set(index, (runs.get(index) ?? 0) + 1);
          most = Math.max(most, queue.running);
          if (index % 3 === 0) await turn();
        },
      });
    }
    while (queue.waiting > 0) await turn();
    await queue.idle();
    expect([runs.size, new Set(runs.values()).size, most <= 8]).toEqual([1000, 1, true]);
  });
});
