import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { bundleGate } from '../../dist/sandbox/agent/bundle.js';
import { containersOf, docker, expectNothingLeft, image, never, openBackend, programSpec, readAll } from './fixture.js';
import { gateOf } from './neighbour.js';
import { openRelay } from './relay.js';

vi.setConfig({ testTimeout: 30_000 });

const spec = { ...programSpec, network: 'public' } as const;

describe('a gate', () => {
  test('belongs to one sandbox, keeps no privilege and goes with it', async () => {
    const backend = openBackend();
    const create = () => backend.create(spec, never());
    const [first, second] = await Promise.all([create(), create()]);
    const gates = await Promise.all([gateOf(first.id), gateOf(second.id)]);
    expect(new Set([...gates.map(({ id }) => id), first.id, second.id]).size).toBe(4);
    const [gate] = gates;
    const inspected = await docker.getContainer(gate.id).inspect();
    expect(inspected.Config.Labels['python-executor.owner']).toBe(backend.ownerId);
    expect(inspected.HostConfig).toMatchObject({ ReadonlyRootfs: true, AutoRemove: true, LogConfig: { Type: 'none' } });
    const none = '0000000000000000';
    expect(await gate.status()).toMatchObject({
      Uid: '1000',
      CapPrm: none,
      CapEff: none,
      CapBnd: none,
      NoNewPrivs: '1',
    });
    await first.destroy();
    expect([...(await containersOf(backend.ownerId))].sort()).toEqual([gates[1].id, second.id].sort());
    await second.destroy();
    await expectNothingLeft(backend);
    await backend.close();
  });

  test('costs the engine four questions more', async () => {
    const relay = await openRelay();
    const backend = openBackend({ socket: relay.socket });
    const first = await backend.create(spec, never());
    const asked = relay.requests.length;
    const second = await backend.create(spec, never());
    expect(relay.requests.slice(asked)).toHaveLength(8);
    await Promise.all([first.destroy(), second.destroy()]);
    await backend.close();
    await relay.close();
  });

  test.each([
    ['fails', 'raise SystemExit("no such filter")', /^Cannot confine .+: the gate ended with "no such filter"$/],
    ['says nothing', '', /the gate ended with ""$/],
    ['is in another kernel', 'print("confined 4.4.0")', /brings a kernel of its own \("4\.4\.0", and/],
  ])('that %s lets no sandbox start', async (_what, source, message) => {
    const backend = openBackend({ gate: { image, source, deniedAddresses: [] } });
    const creating = backend.create(spec, never());
    await expect(creating).rejects.toMatchObject({ reason: 'internal', message: expect.stringMatching(message) });
    await expectNothingLeft(backend);
    await backend.close();
  });

  test('whose image is not there is what is said to be missing', async () => {
    const gate = { image: '127.0.0.1:1/none', source: bundleGate(), deniedAddresses: [] };
    const backend = openBackend({ gate });
    await expect(backend.create(spec, never())).rejects.toMatchObject({
      reason: 'image_unavailable',
      message: expect.stringContaining('"127.0.0.1:1/none"'),
    });
    const sandbox = await backend.create(programSpec, never());
    await sandbox.destroy();
    await backend.close();
  });

  test('cannot deny what is no address', () => {
    const gate = { image, source: bundleGate(), deniedAddresses: ['10.0.0.0/33'] };
    expect(() => openBackend({ gate })).toThrow('Cannot deny network "10.0.0.0/33"');
  });

  const steps = ['POST /containers/create', '/attach?', '/start'].flatMap((step) => [
    [1, step] as const,
    [2, step] as const,
  ]);

  test.each(steps)('goes when request %d of %s is aborted', async (count, step) => {
    const relay = await openRelay();
    const backend = openBackend({ socket: relay.socket });
    const abort = new AbortController();
    let seen = 0;
    relay.onRequest = (line) => {
      if (line.includes(step)) seen += 1;
      if (seen === count) abort.abort(new Error('not wanted any more'));
      return undefined;
    };
    await expect(backend.create(spec, abort)).rejects.toThrow('not wanted any more');
    await vi.waitFor(() => expectNothingLeft(backend), 5000);
    expect(seen).toBe(count);
    await backend.close();
    await relay.close();
  });

  test('takes the network with it when it is killed', async () => {
    const agentSource = `
import json, os, socket
os.read(0, 1)
print(json.dumps([name for _, name in socket.if_nameindex()]), flush=True)
`;
    const backend = openBackend({ agentSource });
    const sandbox = await backend.create(spec, never());
    const gate = await gateOf(sandbox.id);
    await docker.getContainer(gate.id).remove({ force: true });
    sandbox.stdin.write('?');
    expect(await readAll(sandbox)).toBe('["lo"]\n');
    await sandbox.destroy();
    await expectNothingLeft(backend);
    await backend.close();
  });

  test('ends with its sandbox when the server is killed', async () => {
    const server = spawn(process.execPath, [fileURLToPath(new URL('server-until-killed.mjs', import.meta.url))], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [ownerId] = await once(server.stdout, 'data');
    expect(await containersOf(String(ownerId))).toHaveLength(2);
    server.kill('SIGKILL');
    await vi.waitFor(async () => expect(await containersOf(String(ownerId))).toEqual([]), 10_000);
  });

  test('is reaped with its sandbox', async () => {
    const gone = openBackend();
    const sandbox = await gone.create(spec, never());
    expect(await gone.reap()).toBe(0);
    const successor = openBackend({ ownerId: gone.ownerId });
    expect(await successor.reap()).toBe(2);
    await expectNothingLeft(successor);
    await readAll(sandbox);
    await sandbox.destroy();
    await Promise.all([gone.close(), successor.close()]);
  });
});
