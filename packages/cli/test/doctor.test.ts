import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Folder, makeFolder, outcomeOf, run, start } from './command.js';

vi.setConfig({ testTimeout: 90_000, hookTimeout: 30_000 });

interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly finding: string;
  readonly remedy?: string;
}

const installed = (program: string): boolean =>
  ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin'].some((place) => existsSync(`${place}/${program}`));
const isRoot = process.getuid?.() === 0;
const hasRuntime = isRoot && installed('crun');
const hasEngine = existsSync('/var/run/docker.sock');
/** No container of anybody else has this limit. */
const memoryMb = 517;
const line = /^(ok {2}|warn|fail) {2}[\w ./-]+: \S.*$/;
const runtimeDir = `/run/python-executor-doctor-${process.pid}`;
let folder: Folder;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = await makeFolder();
  env = {
    PYEXEC_DATA_DIR: folder.path,
    PYEXEC_DEFAULT_MEMORY_MB: String(memoryMb),
    ...(isRoot && { PYEXEC_RUNTIME_DIR: runtimeDir }),
  };
});

afterEach(() => {
  expect(existsSync(runtimeDir)).toBe(false);
  expect(containers()).toEqual([]);
});

afterAll(() => folder.remove());

/** Containers of ours that are still there. */
function containers(): readonly string[] {
  if (!hasEngine) return [];
  const ask = (...parameters: readonly string[]) =>
    execFileSync('docker', parameters, { stdio: 'pipe' }).toString().trim();
  const ids = ask('ps', '--all', '--quiet', '--filter', 'label=python-executor.owner').split('\n').filter(Boolean);
  return ids.filter((id) => {
    try {
      return Number(ask('inspect', '--format', '{{.HostConfig.Memory}}', id)) === memoryMb * 1024 * 1024;
    } catch {
      // Somebody else's has gone by now.
      return false;
    }
  });
}

async function examine(variables: Readonly<Record<string, string>> = {}) {
  const { exitCode, stdout, stderr } = await run(['doctor', '--json'], { env: { ...env, ...variables } });
  expect(stderr).toBe('');
  const { works, checks } = JSON.parse(stdout) as { works: boolean; checks: readonly Check[] };
  return { exitCode, works, byName: Object.fromEntries(checks.map((check) => [check.name, check])) };
}

describe('doctor', () => {
  it.runIf(hasEngine || hasRuntime)('runs a program through what works here, a line for each finding', async () => {
    const { exitCode, stdout, stderr } = await run(['doctor'], { env });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    for (const text of lines) expect(text).toMatch(line);
    expect(lines[0]).toBe(`ok    node: ${process.versions.node}`);
    expect(lines.at(-1)).toMatch(/^(ok {2}|warn) {2}service: would /);
    if (hasEngine) expect(stdout).toMatch(/^ok {4}docker run \w+: ran print\(1\+1\) in \d+ ms/m);
    if (hasEngine) expect(stdout).toMatch(/^ok {4}docker sandboxes \w+: a container a run, because an engine/m);
    if (hasRuntime) expect(stdout).toMatch(/^ok {4}oci run crun: ran print\(1\+1\) in \d+ ms/m);
    if (hasRuntime) expect(stdout).toMatch(/^ok {4}oci sandboxes crun: forked from a zygote/m);
  });

  it.runIf(hasRuntime)('names the version of cgroups and the controllers that limits take', async () => {
    const { exitCode, byName } = await examine({ PYEXEC_BACKEND: 'oci', PYEXEC_RUNTIME: 'crun' });
    expect(exitCode).toBe(0);
    const isVersion2 = existsSync('/sys/fs/cgroup/cgroup.controllers');
    const { status, finding = '' } = byName['oci cgroups'] ?? {};
    expect(status).toBe('ok');
    expect(finding).toMatch(isVersion2 ? /^version 2 with / : /^version 1 with /);
    for (const controller of ['memory', 'pids', 'cpu']) expect(finding).toMatch(new RegExp(`\\b${controller}\\b`));
  });

  it('exits with 1 when the backend of the configuration does not work, and says how to mend it', async () => {
    const { exitCode, works, byName } = await examine({
      PYEXEC_BACKEND: 'docker',
      PYEXEC_DOCKER_SOCKET: '/nonexistent',
      PYEXEC_RUNTIME: 'crun',
      PYEXEC_ZYGOTE: 'off',
    });
    expect({ exitCode, works }).toEqual({ exitCode: 1, works: false });
    expect(byName).toMatchObject({
      'docker engine': {
        status: 'fail',
        finding: expect.stringContaining('"/nonexistent"'),
        remedy: expect.stringContaining('PYEXEC_DOCKER_SOCKET'),
      },
      service: { status: 'fail', remedy: expect.stringMatching(/./) },
    });
    if (!hasRuntime) return;
    expect(byName['oci sandboxes crun']).toMatchObject({ finding: expect.stringContaining('PYEXEC_ZYGOTE is "off"') });
    expect(byName.service?.remedy).toContain('PYEXEC_BACKEND=oci');
  });

  it.runIf(hasRuntime)('says why no zygote could be had, and how to mend it; a program runs all the same', async () => {
    const runtime = `${folder.path}/crun`;
    // Zygotes are the containers whose names begin with a z.
    const script = 'case "$*" in *" z"??????????????) echo "no zygotes today" >&2; exit 1;; esac\nexec crun "$@"\n';
    await writeFile(runtime, `#!/bin/sh\n${script}`, { mode: 0o755 });
    await chmod(folder.path, 0o755);
    const { exitCode, byName } = await examine({
      PYEXEC_BACKEND: 'oci',
      PYEXEC_RUNTIME: runtime,
      PYEXEC_DOCKER_SOCKET: '/nonexistent',
    });
    expect(exitCode).toBe(0);
    expect(byName[`oci run ${runtime}`]).toMatchObject({ status: 'ok' });
    expect(byName[`oci sandboxes ${runtime}`]).toMatchObject({
      status: 'warn',
      finding: expect.stringMatching(/^a container a run, because no sandbox could be forked: .*no zygotes today/),
      remedy: expect.stringContaining('PYEXEC_ZYGOTE=off'),
    });
  });

  it.runIf(hasRuntime && installed('runsc'))('says that inside gVisor nothing can be forked', async () => {
    const { byName } = await examine({
      PYEXEC_BACKEND: 'oci',
      PYEXEC_RUNTIME: 'runsc',
      PYEXEC_DOCKER_SOCKET: '/nonexistent',
    });
    expect(byName['oci sandboxes runsc']).toMatchObject({ finding: expect.stringContaining('gVisor') });
  });

  it('exits with 1 when the runtime of the configuration is not there, though others are', async () => {
    const { exitCode, byName } = await examine({
      PYEXEC_BACKEND: 'oci',
      PYEXEC_RUNTIME: 'nosuchruntime',
      PYEXEC_DOCKER_SOCKET: '/nonexistent',
    });
    expect(exitCode).toBe(1);
    expect(byName).toMatchObject({
      'docker engine': { status: 'warn' },
      'oci runtime nosuchruntime': { status: 'fail', remedy: expect.stringContaining('install') },
      service: { status: 'fail' },
    });
  });

  it('exits with 1 when the data directory cannot be used', async () => {
    const { exitCode, byName } = await examine({
      PYEXEC_DATA_DIR: '/dev/null/data',
      PYEXEC_DOCKER_SOCKET: '/nonexistent',
      PYEXEC_RUNTIME: 'nosuchruntime',
    });
    expect(exitCode).toBe(1);
    expect(byName).toMatchObject({
      'data directory': { status: 'fail', remedy: expect.stringContaining('PYEXEC_DATA_DIR') },
      service: { status: 'fail', finding: 'cannot start: data directory fails' },
    });
  });

  it('gives up on an engine that never answers', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as AddressInfo;
    try {
      const { exitCode, byName } = await examine({
        PYEXEC_BACKEND: 'docker',
        PYEXEC_DOCKER_SOCKET: `tcp://127.0.0.1:${port}`,
        PYEXEC_RUNTIME: 'nosuchruntime',
      });
      expect(exitCode).toBe(1);
      expect(byName['docker engine']).toMatchObject({ status: 'fail', finding: expect.stringContaining('no answer') });
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });

  it('names faults of the configuration and exits with 2', async () => {
    const outcome = await run(['doctor'], { env: { ...env, PYEXEC_BACKEND: 'podman' } });
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toContain('PYEXEC_BACKEND');
  });

  it.runIf(hasRuntime)('leaves nothing behind when it is interrupted', async () => {
    const child = start(['doctor'], { env: { ...env, PYEXEC_DOCKER_SOCKET: '/nonexistent' } });
    const outcome = outcomeOf(child);
    await new Promise<void>((resolve) => {
      let said = '';
      child.stdout.on('data', (chunk) => {
        said += chunk;
        // The runs begin after it.
        if (said.includes('oci runtime runsc')) resolve();
      });
    });
    child.kill('SIGINT');
    expect(await outcome).toMatchObject({ exitCode: 130, stderr: '' });
  });
});
