import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { bundleAgent, bundlePacker } from '../../dist/sandbox/agent/bundle.js';
import { agentArguments } from '../../dist/sandbox/agent/command.js';
import { startSession } from '../../dist/sandbox/agent/session.js';
import type { Sandbox } from '../../dist/sandbox/backend.js';
import type { OciBackendOptions } from '../../dist/sandbox/oci/backend.js';
import { runJob } from '../agent/agent.js';
import { installed, never, openBackend, processesOf, programSpec, type TestBackend, tracesOf } from './fixture.js';

vi.setConfig({ testTimeout: 30_000 });

const backends: TestBackend[] = [];

afterEach(async () => {
  for (const backend of backends.splice(0)) {
    await backend.close();
    expect(tracesOf(backend.ownerId)).toEqual([]);
  }
});

function open(options: Partial<OciBackendOptions>): TestBackend {
  const backend = openBackend({ agentSource: bundleAgent(), agentArguments, ...options });
  backends.push(backend);
  return backend;
}

/** What a program printed that ran in the sandbox. */
async function runIn(sandbox: Sandbox, main: string): Promise<string> {
  const session = await startSession(sandbox, never());
  try {
    const { stdout, stderr } = await runJob(session, { main }, never().signal);
    return stdout + stderr;
  } finally {
    await session.destroy();
  }
}

/** The command lines in a sandbox, as the host sees them. */
function commandsOf(sandbox: Sandbox): readonly string[] {
  return processesOf(sandbox.id).map((id) => readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim());
}

describe.each(installed(['crun', 'runc']))('a container of %s', (runtime) => {
  test('starts one interpreter, with an agent that is compiled already, once that was packed', async () => {
    const backend = open({
      runtime,
      packerSource: bundlePacker(),
      onTrouble: (error) => expect(error).toBeUndefined(),
    });
    await vi.waitFor(async () => {
      const sandbox = await backend.create(programSpec, never());
      const session = await startSession(sandbox, never());
      try {
        const interpreters = commandsOf(sandbox).filter((command) => command.startsWith('python3'));
        expect(interpreters).toEqual(['python3 main.py', 'python3 main.py']);
      } finally {
        await session.destroy();
      }
    }, 20_000);
    const sandbox = await backend.create(programSpec, never());
    const program =
      'import os, sys; print(os.listdir("/proc/self/fd"), os.environ.get("PYTHONPATH"), [p for p in sys.path if "fd" in p])';
    expect(await runIn(sandbox, program)).toBe("['0', '1', '2', '3'] None []\n");
  });

  test('starts in the usual way where the agent cannot be packed, and says why', async () => {
    const troubles: unknown[] = [];
    const packerSource = 'import sys; sys.exit("no room")';
    const backend = open({ runtime, packerSource, onTrouble: (error) => troubles.push(error) });
    const first = await backend.create(programSpec, never());
    expect(await runIn(first, 'print("one")')).toBe('one\n');
    await vi.waitFor(() => expect(String(troubles)).toContain('no room'), 10_000);
    const second = await backend.create(programSpec, never());
    expect(await runIn(second, 'print("two")')).toBe('two\n');
  });
});
