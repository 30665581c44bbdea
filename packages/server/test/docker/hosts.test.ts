import { afterEach, expect, test, vi } from 'vitest';
import type { Sandbox } from '../../dist/sandbox/backend.js';
import {
  containersOf,
  docker,
  expectNothingLeft,
  never,
  openBackend,
  programSpec,
  readAll,
  type TestBackend,
} from './fixture.js';
import { openRelay } from './relay.js';

vi.setConfig({ testTimeout: 60_000 });

/** Says what it sees of a network once it is asked, so that it lives until then. */
const curious = `
import json, os, socket
os.read(0, 1)
def names(host):
    try: return [info[4][0] for info in socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)]
    except OSError as error: return error.args[0]
server = socket.create_server(('localhost', 0))
socket.create_connection(('localhost', server.getsockname()[1]), 5)
def written(path):
    try: open(path, 'a')
    except OSError as error: return error.strerror
os.write(1, json.dumps({
    'hosts': open('/etc/hosts').read(), 'resolver': open('/etc/resolv.conf').read(), 'name': socket.gethostname(),
    'links': [name for _, name in socket.if_nameindex()], 'ipv6': open('/proc/net/if_inet6').read(),
    'routes': open('/proc/net/route').read().count('\\n'), 'local': names('localhost'), 'other': names('example.org'),
    'written': [written('/etc/hosts'), written('/etc/resolv.conf')],
}).encode())
`;

const opened: { readonly backend: TestBackend; readonly sandboxes: Sandbox[] }[] = [];

afterEach(async () => {
  for (const { backend, sandboxes } of opened.splice(0)) {
    await Promise.all(sandboxes.map((sandbox) => sandbox.destroy()));
    await expectNothingLeft(backend);
    await backend.close();
  }
});

/** A backend with as many sandboxes as make a keeper worth while, and its keeper. */
async function openWithKeeper(options: Parameters<typeof openBackend>[0] = {}) {
  const backend = openBackend({ agentSource: curious, ...options });
  const sandboxes: Sandbox[] = [];
  opened.push({ backend, sandboxes });
  const add = async (spec = programSpec): Promise<Sandbox> => {
    const sandbox = await backend.create(spec, never());
    sandboxes.push(sandbox);
    return sandbox;
  };
  for (let count = 0; count < 3; count += 1) await add();
  const [first] = sandboxes as [Sandbox];
  const keeper = await vi.waitFor(async () => {
    const [id] = await containersOf(backend.ownerId, 'keeper');
    const details = await docker.getContainer(String(id)).inspect();
    expect(details.State.Running).toBe(true);
    return details;
  }, 20_000);
  return { backend, add, first, keeper, sandboxes };
}

async function ask(sandbox: Sandbox): Promise<unknown> {
  sandbox.stdin.write('?');
  return JSON.parse(await readAll(sandbox));
}

/** Makes sandboxes until one does without the engine's network: the keeper is used once its files are known. */
async function addOffline(add: () => Promise<Sandbox>): Promise<Sandbox> {
  return await vi.waitFor(async () => {
    const sandbox = await add();
    expect(await isOffline(sandbox)).toBe(true);
    return sandbox;
  }, 20_000);
}

async function isOffline(sandbox: Sandbox): Promise<boolean> {
  const { Config: config } = await docker.getContainer(sandbox.id).inspect();
  return (config as { readonly NetworkDisabled?: boolean }).NetworkDisabled === true;
}

test('a program sees the same whether the engine made its network or the runtime', async () => {
  const { add, first, keeper } = await openWithKeeper();
  const offline = await addOffline(add);
  const { Mounts: mounts, NetworkSettings: network } = await docker.getContainer(offline.id).inspect();
  expect(mounts.map(({ Source, Destination, RW }) => [Source, Destination, RW]).sort()).toEqual([
    [keeper.HostsPath, '/etc/hosts', false],
    [keeper.ResolvConfPath, '/etc/resolv.conf', false],
  ]);
  expect(network.IPAddress).toBe('');
  expect(await isOffline(first)).toBe(false);
  const seen = await ask(offline);
  expect(seen).toEqual(await ask(first));
  expect(seen).toMatchObject({ links: ['lo'], routes: 1, ipv6: '', resolver: 'nameserver 127.0.0.1\n' });
});

test('the keeper is held as tightly as a sandbox', async () => {
  const { first, keeper } = await openWithKeeper();
  const sandbox = await docker.getContainer(first.id).inspect();
  expect(keeper.Config.User).toBe('1000:1000');
  for (const name of ['CapAdd', 'CapDrop', 'SecurityOpt', 'MaskedPaths', 'ReadonlyRootfs', 'NetworkMode'] as const) {
    expect(keeper.HostConfig[name]).toEqual(sandbox.HostConfig[name]);
  }
});

test('a keeper that an earlier instance left is reaped, and that of a live one is not', async () => {
  const { backend, keeper } = await openWithKeeper();
  expect(await backend.reap()).toBe(0);
  const successor = openBackend({ ownerId: backend.ownerId });
  await successor.reap();
  await expectNothingLeft(backend);
  await expect(docker.getContainer(keeper.Id).inspect()).rejects.toMatchObject({ statusCode: 404 });
  await successor.close();
});

test('root of a sandbox has files of its own', async () => {
  const { add } = await openWithKeeper();
  await addOffline(add);
  expect(await isOffline(await add({ ...programSpec, privilege: 'setup' }))).toBe(false);
});

test('the keeper goes with the last sandbox, and comes again', async () => {
  const { backend, add, sandboxes } = await openWithKeeper();
  await Promise.all(sandboxes.splice(0).map((sandbox) => sandbox.destroy()));
  await expectNothingLeft(backend);
  await addOffline(add);
});

test('a keeper that somebody removed is replaced', async () => {
  const { add, keeper } = await openWithKeeper();
  await addOffline(add);
  await docker.getContainer(keeper.Id).remove({ force: true });
  await add();
  await addOffline(add);
});

test('an engine that refuses the files of the keeper makes the network', async () => {
  const relay = await openRelay();
  try {
    const { add } = await openWithKeeper({ socket: relay.socket });
    await addOffline(add);
    let refusals = 0;
    relay.onRequest = (line) => {
      if (!line.includes('/containers/create') || refusals > 0) return undefined;
      refusals += 1;
      return 'bind source path does not exist';
    };
    expect(await isOffline(await add())).toBe(false);
  } finally {
    relay.onRequest = () => undefined;
    for (const { sandboxes } of opened) await Promise.all(sandboxes.map((sandbox) => sandbox.destroy()));
    await relay.close();
  }
});
