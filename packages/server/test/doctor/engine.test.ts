import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { readConfig } from '../../dist/config.js';
import { examineEngine } from '../../dist/doctor/engine.js';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const version = {
  Version: '28.5.2',
  ApiVersion: '1.51',
  Components: [
    { Name: 'Engine', Version: '28.5.2' },
    { Name: 'runc', Version: '1.3.3' },
  ],
};
const info = {
  CgroupDriver: 'systemd',
  CgroupVersion: '2',
  DefaultRuntime: 'runc',
  Driver: 'overlay2',
  MemoryLimit: true,
  PidsLimit: true,
  CPUShares: true,
  SwapLimit: true,
  Runtimes: { 'io.containerd.runc.v2': {}, runc: {}, runsc: {} },
  SecurityOptions: ['name=seccomp,profile=builtin', 'name=cgroupns'],
  Warnings: null,
};

/** An engine that answers, with the given differences from one that is well. */
async function serve(differences: { version?: object; info?: object } = {}): Promise<string> {
  const answers: Record<string, unknown> = {
    '/version': { ...version, ...differences.version },
    '/info': { ...info, ...differences.info },
    '/images/docker.io/library/python:3.11-slim/json': { Id: 'sha256:1' },
  };
  const server = createServer((request, response) => {
    const answer = answers[decodeURIComponent(request.url ?? '')];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { message: 'not found' }));
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function examine(socket: string, environment: Record<string, string> = {}) {
  const config = readConfig({ PYEXEC_DOCKER_SOCKET: socket, ...environment });
  const { checks, usable } = await examineEngine(config, { signal: new AbortController().signal });
  return { byName: Object.fromEntries(checks.map((check) => [check.name, check])), checks, usable };
}

test('an engine that is well has nothing to mend', async () => {
  const { checks, usable } = await examine(await serve());
  expect(checks.filter(({ status }) => status !== 'ok')).toEqual([]);
  expect(usable).toEqual({ runtimes: ['runc', 'runsc'], hasImage: true });
});

test('what an engine lacks is found, each with the way to mend it', async () => {
  const socket = await serve({
    version: { Version: '19.03.15', Components: [{ Name: 'runc', Version: '1.1.11' }] },
    info: {
      SwapLimit: false,
      PidsLimit: false,
      SecurityOptions: [],
      Driver: 'vfs',
      Warnings: ['WARNING: No swap limit support', 'WARNING: bridge-nf-call-iptables is disabled'],
    },
  });
  const { byName, usable } = await examine(socket, { PYEXEC_DEFAULT_IMAGE: 'python:9' });
  expect(byName).toMatchObject({
    'docker engine': { status: 'warn', finding: expect.stringContaining('Docker 19.03.15') },
    'docker cgroups': { status: 'fail', finding: expect.stringContaining('cannot limit pids') },
    'docker swap': { status: 'warn', remedy: expect.stringContaining('swapaccount=1') },
    'docker seccomp': { status: 'fail' },
    'docker storage': { status: 'warn', finding: expect.stringContaining('vfs') },
    'docker runtime': { status: 'warn', finding: expect.stringContaining('CVE-2024-21626') },
    'docker warnings': { status: 'warn', finding: 'WARNING: bridge-nf-call-iptables is disabled' },
    'docker image': { status: 'warn', remedy: 'docker pull python:9' },
  });
  for (const check of Object.values(byName)) expect(check.remedy, check.name).toBeTruthy();
  expect(usable?.hasImage).toBe(false);
});

test("Podman's runtime is known by its own name", async () => {
  const socket = await serve({
    version: {
      Version: '4.3.1',
      Components: [
        { Name: 'Podman Engine', Version: '4.3.1' },
        { Name: 'OCI Runtime (crun)', Version: 'crun version 1.4.3\ncommit: abc' },
      ],
    },
    info: { DefaultRuntime: 'crun' },
  });
  const { byName } = await examine(socket);
  expect(byName['docker engine']).toMatchObject({
    status: 'ok',
    finding: expect.stringContaining('Podman Engine 4.3.1'),
  });
  expect(byName['docker runtime']).toMatchObject({ status: 'warn', finding: expect.stringContaining('crun 1.4.3') });
});

test('an engine that is too old, or is none, is not used', async () => {
  const old = await examine(await serve({ version: { ApiVersion: '1.40' } }));
  expect(old).toMatchObject({
    usable: undefined,
    checks: [{ status: 'fail', remedy: expect.stringContaining('1.41') }],
  });
  for (const socket of ['/nonexistent', 'ftp://nowhere']) {
    const none = await examine(socket);
    expect(none).toMatchObject({ usable: undefined, checks: [{ name: 'docker engine', status: 'fail' }] });
  }
});
