import { expect, test } from 'vitest';
import { type AgentExit, type Archive, type Job, SandboxError, type Sandboxes } from '../../dist/jobs/ports.js';
import { runJob } from '../../dist/jobs/run.js';

const exited = { phase: 'run', exitCode: 0, wallMs: 1, cpuMs: 1, memoryPeakBytes: 1, oomKilled: false } as AgentExit;
const job = { preCommands: [], timeoutMs: 60_000 } as unknown as Job;

/** Sandboxes of which so many are lost while they come up. */
function losing(lostCount: number): Sandboxes & { asked: number } {
  return {
    asked: 0,
    async acquire() {
      this.asked += 1;
      if (this.asked <= lostCount) throw new SandboxError('lost', 'The sandbox ended unexpectedly');
      return {
        id: String(this.asked),
        alive: true,
        phase: 'run',
        run: async () => exited,
        measure: async () => undefined,
        destroy: async () => {},
      };
    },
    async probe() {},
  };
}

function runIn(sandboxes: Sandboxes) {
  return runJob(job, {} as Archive, {
    sandboxes,
    stdoutBytesMax: 1,
    stderrBytesMax: 1,
    onStart: async () => true,
    onOutput: () => undefined,
    onRelease: () => {},
    signal: new AbortController().signal,
  });
}

test('a job whose sandbox is lost while it comes up goes to another', async () => {
  const sandboxes = losing(2);
  expect(await runIn(sandboxes)).toMatchObject({ status: 'completed', exitCode: 0 });
  expect(sandboxes.asked).toBe(3);
});

test('a job that lost three sandboxes before it began has lost its worker', async () => {
  const sandboxes = losing(3);
  const lost = { status: 'failed', termination: { reason: 'worker_lost', phase: 'queue' } };
  expect(await runIn(sandboxes)).toMatchObject(lost);
  expect(sandboxes.asked).toBe(3);
});
