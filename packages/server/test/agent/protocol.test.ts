import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { encodeFrame, type Frame, FrameDecoder, ProtocolError, parseEnd } from '../../dist/sandbox/agent/protocol.js';

const frames: readonly Frame[] = [
  { type: 'R', payload: Buffer.alloc(0) },
  { type: 'O', payload: Buffer.from('hello') },
  { type: 'e', payload: Buffer.alloc(70_000, 'é') },
  { type: 'O', payload: Buffer.from([0, 1, 2, 255]) },
  { type: 'V', payload: Buffer.alloc(1 << 20, 'x') },
  { type: 'Z', payload: Buffer.from('phase=run exit_code=0') },
];
const stream = Buffer.concat(frames.map(({ type, payload }) => encodeFrame(type, payload)));

function decode(chunks: Iterable<Buffer>): readonly Frame[] {
  const decoder = new FrameDecoder();
  return Array.from(chunks).flatMap((chunk) => [...decoder.decode(chunk)]);
}

/** Megabytes are compared by their digest. */
function inBrief(found: readonly Frame[]): readonly string[] {
  return found.map(({ type, payload }) => `${type} ${createHash('sha256').update(payload).digest('hex')}`);
}

/** Numbers below `max` that are the same for every run. */
function sequence(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % max;
  };
}

function* cut(bytes: Buffer, seed: number): Generator<Buffer> {
  const next = sequence(seed);
  for (let offset = 0; offset < bytes.length; ) {
    const size = next(8) > 0 ? next(200_000) : next(8);
    yield bytes.subarray(offset, offset + size);
    offset += size;
  }
}

describe('the frames of an agent', () => {
  test('are the same however the stream is cut', () => {
    expect(inBrief(decode([stream]))).toEqual(inBrief(frames));
    for (let seed = 0; seed < 50; seed += 1) expect(inBrief(decode(cut(stream, seed)))).toEqual(inBrief(frames));
  });

  test('are the same byte by byte', () => {
    const short = encodeFrame('O', 'hello');
    const bytes = Array.from({ length: short.length * 2 }, (_, index) => Buffer.of(short[index % short.length] ?? 0));
    expect(decode(bytes).map(({ payload }) => payload.toString())).toEqual(['hello', 'hello']);
  });

  test('are not there before their last byte is', () => {
    expect(decode([encodeFrame('O', 'hello').subarray(0, -1)])).toEqual([]);
    expect(decode([Buffer.from('O\0\0')])).toEqual([]);
  });

  test('of 50 MB in small chunks take no time to speak of', () => {
    const chunk = Buffer.concat(Array.from({ length: 100 }, () => encodeFrame('O', Buffer.alloc(100))));
    const began = performance.now();
    const decoder = new FrameDecoder();
    let count = 0;
    for (let index = 0; index < 5_000; index += 1) for (const _ of decoder.decode(chunk)) count += 1;
    expect(count).toBe(500_000);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test('of more than 1 MiB are refused by their header', () => {
    for (const size of [(1 << 20) + 1, 0x7fff_ffff, 0xffff_ffff]) {
      const header = Buffer.alloc(5, 'O');
      header.writeUInt32BE(size, 1);
      expect(() => decode([header])).toThrow(new ProtocolError(`The agent sent a frame of ${size} bytes`));
    }
  });
});

describe('the end of a job', () => {
  const words = {
    phase: 'run',
    disk_full: '0',
    exit_code: '3',
    signal: '0',
    stdout_cut: '0',
    stderr_cut: '1',
    wall_us: '1500',
    cpu_us: '499',
    peak_bytes: '4096',
    oom_kills: '0',
    counted: '1',
  };
  const end = (changes: Readonly<Record<string, string | undefined>> = {}): Buffer => {
    const entries = Object.entries({ ...words, ...changes }).filter(([, value]) => value !== undefined);
    return Buffer.from(entries.map(([name, value]) => `${name}=${value}`).join(' '));
  };

  test('is read', () => {
    expect(parseEnd(end())).toEqual({
      ...{ phase: 'run', diskFull: false, exitCode: 3, signal: undefined, stdoutCut: false, stderrCut: true },
      ...{ wallMs: 2, cpuMs: 0, memoryPeakBytes: 4096, oomKilled: false, counted: true },
    });
    expect(parseEnd(end({ exit_code: '-1', signal: '9' }))).toMatchObject({ exitCode: undefined, signal: 9 });
    expect(parseEnd(end({ cpu_us: '-1', peak_bytes: '-1', wall_us: '-1' }))).toMatchObject({ cpuMs: 0, wallMs: 0 });
  });

  const faults: readonly Readonly<Record<string, string | undefined>>[] = [
    ...Object.keys(words).map((name) => ({ [name]: undefined })),
    ...['', 'x', '-2', '1.5', '1e3', '0x1', '٣', '99999999999999999999', '9007199254740993', 'NaN'].flatMap((value) => [
      { wall_us: value },
      { oom_kills: value },
    ]),
    ...['256', '-2', '1000'].map((value) => ({ exit_code: value })),
    ...['65', '-2'].map((value) => ({ exit_code: '-1', signal: value })),
    ...['', 'queue', 'Run', 'run\0'].map((value) => ({ phase: value })),
    { exit_code: '-1', signal: '0' },
    { exit_code: '0', signal: '9' },
  ];
  test.each(faults)('is refused with %j', (fault) => {
    expect(() => parseEnd(end(fault))).toThrow(ProtocolError);
  });

  test('is refused when it is anything else', () => {
    for (const text of ['', ' ', '=', 'phase', '\0'.repeat(100), 'phase=run '.repeat(10_000)]) {
      expect(() => parseEnd(Buffer.from(text))).toThrow(ProtocolError);
    }
  });
});
