import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { Archive, Job } from '../../dist/jobs/ports.js';
import { startSession } from '../../dist/sandbox/agent/session.js';
import type { Sandbox } from '../../dist/sandbox/backend.js';

/** A process that plays an agent. `say` writes a frame, `end` the frame of a program that exited with 0. */
const prelude = `
const say = (type, payload = '') => {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeUInt32BE(body.length, 1);
  process.stdout.write(Buffer.concat([header, body]));
};
const end = 'phase=run disk_full=0 exit_code=0 signal=0 stdout_cut=0 stderr_cut=0 wall_us=1 cpu_us=1 peak_bytes=1 oom_kills=0 counted=1';
const whenAsked = (act) => process.stdin.once('data', act);
process.stdin.resume();
`;

interface Played {
  readonly sandbox: Sandbox;
  readonly destroyed: () => number;
}

function play(script: string): Played {
  const child = spawn(process.execPath, ['-e', prelude + script], { stdio: 'pipe' });
  const exit = once(child, 'exit');
  let destroyed = 0;
  const sandbox: Sandbox = {
    id: 'played',
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    measure: async () => ({ cpuMs: 7, memoryPeakBytes: 8, oomKilled: true }),
    async destroy() {
      destroyed += 1;
      child.kill('SIGKILL');
      await exit;
    },
  };
  return { sandbox, destroyed: () => destroyed };
}

const soon = (): { readonly signal: AbortSignal } => ({ signal: AbortSignal.timeout(10_000) });

const delivery = {
  job: { entrypoint: 'main.py', args: [], env: [], preCommands: [], stdin: '', evalLastExpr: false } as unknown as Job,
  archive: { bytes: new Uint8Array() } as unknown as Archive,
  stdoutBytesMax: 1000,
  stderrBytesMax: 1000,
};

/** Runs a job with an agent that says this when it is asked, and returns how that ended and what it printed. */
async function runPlayed(script: string, { stdin = '' } = {}) {
  const { sandbox } = play(`say('R'); whenAsked(() => { ${script} })`);
  const session = await startSession(sandbox, soon());
  const output: string[] = [];
  try {
    const exit = await session.run(
      { ...delivery, job: { ...delivery.job, stdin } },
      {
        ...soon(),
        onOutput(stream, bytes) {
          output.push(`${stream}: ${Buffer.from(bytes)}`);
          return undefined;
        },
      },
    );
    return { exit, output, phase: session.phase, alive: session.alive };
  } finally {
    await session.destroy();
  }
}

describe('starting a session', () => {
  test('fails with what the interpreter said when it ends instead', async () => {
    const { sandbox, destroyed } = play(
      `console.error('python3: no such file'); process.exitCode = 127; process.exit()`,
    );
    await expect(startSession(sandbox, soon())).rejects.toMatchObject({
      name: 'SandboxError',
      reason: 'lost',
      message: expect.stringContaining('python3: no such file'),
    });
    expect(destroyed()).toBe(1);
  });

  test('keeps no more than the end of what was said', async () => {
    const { sandbox } = play(`process.stderr.write('x'.repeat(1e6) + 'last', () => process.exit(1))`);
    const error: Error = await startSession(sandbox, soon()).catch((reason) => reason);
    expect(error.message).toMatch(/last$/);
    expect(error.message.length).toBeLessThan(3_000);
  });

  test('fails when the agent is no agent', async () => {
    for (const words of ["say('?')", "process.stdout.write('<html><body>')", "say('Z', 'nonsense')"]) {
      const { sandbox, destroyed } = play(words);
      await expect(startSession(sandbox, soon())).rejects.toMatchObject({ name: 'SandboxError', reason: 'protocol' });
      expect(destroyed()).toBe(1);
    }
  });

  test('ends with the reason of an abort', async () => {
    const { sandbox, destroyed } = play('');
    const reason = new Error('enough');
    const controller = new AbortController();
    const starting = startSession(sandbox, { signal: controller.signal });
    controller.abort(reason);
    await expect(starting).rejects.toBe(reason);
    expect(destroyed()).toBe(1);
  });
});

describe('a job with an agent that', () => {
  test('says all that there is to say', async () => {
    const { exit, output, phase, alive } = await runPlayed(`
      say('H', 'run'); say('O', 'out'); say('e', 'err'); say('X', 'ValueError\\0' + '12'); say('V', "'é'"); say('Z', end);
    `);
    expect(exit).toMatchObject({ exitCode: 0, errorType: 'ValueError', errorLine: 12, result: "'é'", cpuMs: 0 });
    expect({ output, phase, alive }).toEqual({ output: ['stdout: out', 'stderr: err'], phase: 'run', alive: true });
  });

  test('could not count leaves that to the backend', async () => {
    const { exit } = await runPlayed(`say('Z', end.replace('counted=1', 'counted=0'))`);
    expect(exit).toMatchObject({ cpuMs: 7, memoryPeakBytes: 8, oomKilled: true });
  });

  test('names a line that is none has named no line', async () => {
    for (const line of ['', 'x', '-1', '1.5', '9'.repeat(20), '12\\n']) {
      const { exit } = await runPlayed(`say('X', 'E\\0' + '${line}'); say('Z', end)`);
      expect(exit).toMatchObject({ errorType: 'E', errorLine: undefined });
    }
  });

  test('goes on after the end has ended', async () => {
    const { exit, output } = await runPlayed(`say('Z', end); say('O', 'more'); say('Z', end.replace('=0', '=9'))`);
    expect({ code: exit.exitCode, output }).toEqual({ code: 0, output: [] });
  });

  const faults: readonly (readonly [title: string, script: string, reason: string])[] = [
    ['sends a frame of no known type', "say('Q')", 'protocol'],
    [
      'sends a frame that is too long',
      "process.stdout.write(Buffer.from('O\\xff\\xff\\xff\\xff', 'latin1'))",
      'protocol',
    ],
    ['sends an end without an exit', "say('Z', end.replace('exit_code=0', 'exit_code=-1'))", 'protocol'],
    ['sends an end with two', "say('Z', end.replace('signal=0', 'signal=9'))", 'protocol'],
    ['sends nothing in the end', "say('Z')", 'protocol'],
    ['ends', 'process.exit(0)', 'lost'],
    ['ends within a frame', "process.stdout.write('O\\0\\0\\0\\x09abc', () => process.exit(0))", 'lost'],
    ['is killed', "process.kill(process.pid, 'SIGKILL')", 'lost'],
    ['closes its stdout', "require('node:fs').closeSync(1); setInterval(() => {}, 1000)", 'lost'],
  ];
  test.each(faults)('%s has failed', async (_, script, reason) => {
    await expect(runPlayed(script)).rejects.toMatchObject({ name: 'SandboxError', reason });
  });

  test('never reads is aborted all the same', async () => {
    const { sandbox } = play(`process.stdin.pause(); say('R')`);
    const session = await startSession(sandbox, soon());
    const controller = new AbortController();
    const job = { ...delivery.job, stdin: 'x'.repeat(5_000_000) };
    const running = session.run({ ...delivery, job }, { signal: controller.signal, onOutput: () => undefined });
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await session.destroy();
  });
});

test('an agent is not read while its output is not taken', async () => {
  const { sandbox } = play(`
    say('R');
    whenAsked(() => {
      for (let n = 0; n < 300; n += 1) say('O', Buffer.alloc(60_000));
      say('Z', end);
    });
  `);
  const session = await startSession(sandbox, soon());
  let takeAll = (): void => {};
  const taken = new Promise<void>((resolve) => {
    takeAll = resolve;
  });
  let bytes = 0;
  let first = (): void => {};
  const some = new Promise<void>((resolve) => {
    first = resolve;
  });
  const running = session.run(delivery, {
    ...soon(),
    onOutput(_, piece) {
      bytes += piece.length;
      first();
      return taken;
    },
  });
  await some;
  // Whatever was on its way already is here after a few turns.
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(bytes).toBeLessThan(1_000_000);
  takeAll();
  await expect(running).resolves.toMatchObject({ exitCode: 0 });
  expect(bytes).toBe(300 * 60_000);
  await session.destroy();
});
