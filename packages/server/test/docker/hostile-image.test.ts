import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { docker, expectNothingLeft, image, never, openBackend, programSpec, readAll, runProbe } from './fixture.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const repository = `python-executor-test-${randomUUID()}`;

type ImageFile = string | { readonly content: string; readonly mode: number };

/** Makes an image of the usual one with some files on top and with properties of our choice. */
async function commitImage(tag: string, changes: readonly string[], files: Readonly<Record<string, ImageFile>> = {}) {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['true'],
    StopSignal: 'SIGCONT',
    HostConfig: { NetworkMode: 'none' },
  });
  try {
    const archive = pack();
    for (const [name, file] of Object.entries(files)) {
      const { content, mode } = typeof file === 'string' ? { content: file, mode: 0o644 } : file;
      archive.entry({ name, mode }, content);
    }
    archive.finalize();
    await container.putArchive(Readable.from(archive), { path: '/' });
    await container.commit({ repo: repository, tag, changes });
  } finally {
    await container.remove({ force: true, v: true });
  }
  return `${repository}:${tag}`;
}

async function removeImages(): Promise<void> {
  const images = await docker.listImages({ filters: JSON.stringify({ reference: [repository] }) });
  await Promise.all(images.map(({ Id: id }) => docker.getImage(id).remove({ force: true })));
}

const describeAgent = `
import json, os
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
mounts = {line.split()[1]: line.split()[2:4] for line in open('/proc/mounts')}
def writes(path):
    try:
        open(path, 'w').close()
        return True
    except OSError:
        return False
print(json.dumps({
    'pid': os.getpid(), 'groups': sorted(set(os.getgroups()) - {1000}), 'directory': os.getcwd(), 'user': status['Uid'].split()[0], 'group': status['Gid'].split()[0],
    'home': os.environ['HOME'], 'threads': os.environ['OMP_NUM_THREADS'], 'theirs': os.environ['THEIRS'],
    'data': [mounts['/data'][0], 'ro' in mounts['/data'][1].split(','), os.listdir('/data'), writes('/data/x')],
    'work': [mounts['/work'][0], os.listdir('/work'), writes('/work/x')],
    'evil': os.path.exists('/evil/ran') or os.path.exists('/tmp/ran'),
}), flush=True)
os.read(0, 1)
`;

describe('a hostile image', () => {
  let name: string;

  beforeAll(async () => {
    const changes = [
      'ENTRYPOINT ["/bin/touch", "/tmp/ran"]',
      'CMD ["--evil"]',
      'HEALTHCHECK --interval=1s CMD touch /tmp/ran',
      'WORKDIR /evil',
      'VOLUME ["/data", "/work"]',
      'USER root',
      'ENV HOME=/root OMP_NUM_THREADS=64 THEIRS=kept PYTHONPATH=/evil PYTHONSTARTUP=/evil/os.py PYTHONHOME=/evil',
      'LABEL python-executor.owner=somebody python-executor.instance=else',
      'EXPOSE 80',
      'ONBUILD RUN false',
    ];
    name = await commitImage('hostile', changes, {
      'etc/passwd': 'root:x:0:0::/root:/bin/sh\n1000:x:0:0::/root:/bin/sh\nsandbox:x:1000:0::/root:/bin/sh\n',
      'etc/group': 'root:x:0:sandbox,1000\n1000:x:0:sandbox\nwheel:x:10:root,sandbox,1000\n',
      'evil/os.py': 'open("/tmp/ran", "w")',
      'evil/sitecustomize.py': 'open("/tmp/ran", "w")',
      'data/secret': 'content of the volume',
      'work/main.py': 'content of the volume',
    });
  });

  afterAll(removeImages);

  test('has no say in what runs, as whom and where', async () => {
    const backend = openBackend({ agentSource: describeAgent });
    const sandbox = await backend.create({ ...programSpec, image: name }, never());
    onTestFinished(() => sandbox.destroy());
    const [said] = await once(sandbox.stdout, 'data');
    expect(JSON.parse(String(said))).toEqual({
      pid: 1,
      // Some engines add the group whose name is the number of ours. It opens nothing but files of the image itself.
      groups: expect.toSatisfy((groups: readonly number[]) => groups.every((group) => group === 0)),
      directory: '/work',
      user: '1000',
      group: '1000',
      home: '/work',
      threads: '1',
      theirs: 'kept',
      data: ['tmpfs', true, [], false],
      work: ['tmpfs', [], true],
      evil: false,
    });
    const container = await docker.getContainer(sandbox.id).inspect();
    expect(container.Config).toMatchObject({ StopSignal: 'SIGKILL' });
    expect(container.Config.Healthcheck?.Test).toEqual(['NONE']);
    expect(container.Config.Labels['python-executor.owner']).toBe(backend.ownerId);
    expect(container.State.Health).toBeUndefined();
    const volumes = container.Mounts.filter(({ Type }) => Type === 'volume').map(({ Name }) => Name ?? '');
    sandbox.stdin.end();
    await readAll(sandbox);
    await sandbox.destroy();
    await expectNothingLeft(backend);
    const remaining = (await docker.listVolumes()).Volumes.map(({ Name }) => Name);
    expect(remaining.filter((volume) => volumes.includes(volume))).toEqual([]);
    await backend.close();
  });

  test('gives a setup room where it has a volume', async () => {
    const answer = await runProbe(describeAgent.replace('os.read(0, 1)', ''), {
      spec: { image: name, privilege: 'setup' },
    });
    expect(answer).toMatchObject({ user: '0', data: ['tmpfs', false, [], true], evil: false });
  });
});

/** In the place of `python3`. It tries to undo what confines its network, and to get the right to do so. */
const takeover = `#!/usr/bin/env -S PATH=/usr/local/bin:/usr/bin:/bin python3
import errno, fcntl, json, os, socket, struct

def attempt(action):
    try:
        action()
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]

def netlink(protocol, kind, body, flags=5):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.send(struct.pack('IHHII', 16 + len(body), kind, flags, 1, 0) + body)
        code = struct.unpack_from('i', link.recv(4096), 16)[0]
        if code: raise OSError(-code, '')

def control(request, data):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain: fcntl.ioctl(plain, request, data)

index = socket.if_nametoindex('eth0')
destination = struct.pack('HH4s', 8, 1, bytes([10, 0, 0, 0]))
interface = struct.pack('HHi', 8, 4, index)
answers = {
    'add route': attempt(lambda: netlink(0, 24, struct.pack('BBBBBBBBI', 2, 8, 0, 0, 254, 4, 253, 1, 0) + destination + interface, 0x505)),
    'delete route': attempt(lambda: netlink(0, 25, struct.pack('BBBBBBBBI', 2, 8, 0, 0, 53, 0, 0, 0, 0) + destination)),
    'delete rule': attempt(lambda: netlink(0, 33, struct.pack('BBBBBBBBI', 2, 0, 0, 0, 53, 0, 0, 1, 0))),
    'add address': attempt(lambda: netlink(0, 20, struct.pack('BBBBi', 2, 8, 0, 0, index) + struct.pack('HH4s', 8, 2, bytes([10, 0, 0, 9])))),
    'add neighbour': attempt(lambda: netlink(0, 28, struct.pack('BBHiHBB', 2, 0, 0, index, 128, 0, 0) + destination, 0x505)),
    'link down': attempt(lambda: netlink(0, 16, struct.pack('BBHiII', 0, 0, 0, index, 0, 1))),
    'set address': attempt(lambda: control(0x8916, struct.pack('16sHH4s8s', b'eth0', 2, 0, bytes([10, 0, 0, 9]), bytes(8)))),
    'filter': attempt(lambda: netlink(12, 0xa02, bytes(4))),
    'iptables': attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).setsockopt(0, 64, bytes(100))),
    'packet': attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)),
    'raw': attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)),
    'mark': attempt(lambda: socket.socket().setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)),
    'sysctl': attempt(lambda: open('/proc/sys/net/ipv4/ip_forward', 'w').write('1')),
    'private': attempt(lambda: socket.create_connection(('10.0.0.1', 80), 2)),
}
if os.getuid() != 0:
    answers['become root'] = attempt(lambda: os.setuid(0))
    answers['join groups'] = attempt(lambda: os.setgroups([0]))
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print(json.dumps({**answers, 'admin': int(status['CapBnd'], 16) >> 12 & 1}), flush=True)
`;

describe('a hostile python3', () => {
  afterAll(removeImages);

  test.each(['program', 'setup'] as const)('cannot open the network that it is given, as %s', async (privilege) => {
    const name = await commitImage(`takeover-${privilege}`, ['ENV PATH=/takeover', 'EXPOSE 80', 'USER root'], {
      'takeover/python3': { content: takeover, mode: 0o755 },
    });
    const {
      admin,
      raw,
      packet,
      filter,
      sysctl,
      private: address,
      ...others
    } = await runProbe<Record<string, unknown>>('', { spec: { image: name, privilege, network: 'public' } });
    expect({ admin, address }).toEqual({ admin: 0, address: 'EHOSTUNREACH' });
    expect({ raw, packet, filter }).toEqual({
      raw: 'EPROTONOSUPPORT',
      packet: 'EAFNOSUPPORT',
      filter: 'EPROTONOSUPPORT',
    });
    expect(sysctl).toBe('EROFS');
    expect(others).toEqual(Object.fromEntries(Object.keys(others).map((name) => [name, 'EPERM'])));
  });
});

describe('an image that cannot be used', () => {
  const backend = openBackend();

  afterAll(async () => {
    await expectNothingLeft(backend);
    await backend.close();
    await removeImages();
  });

  async function expectRefused(name: string, reason: RegExp): Promise<void> {
    const creating = backend.create({ ...programSpec, image: name }, never());
    await expect(creating).rejects.toMatchObject({
      reason: 'image_unavailable',
      message: expect.stringMatching(reason),
    });
  }

  test.each([
    ['above-work', 'VOLUME /work/data', /a volume at "\/work\/data"/],
    ['at-proc', 'VOLUME /proc', /a volume at "\/proc"/],
    ['many', `VOLUME ${Array.from({ length: 17 }, (_, index) => `/v${index}`).join(' ')}`, /more than 16 volumes/],
  ])('is refused for its volumes: %s', async (tag, change, reason) => {
    await expectRefused(await commitImage(tag, [change]), reason);
  });

  test('is refused when it has no python3', async () => {
    const name = await commitImage('no-python', ['ENV PATH=/nowhere']);
    await expectRefused(name, /image ".+" is not available: it has no python3 that can run/);
  });

  test('is refused when its python3 is no program', async () => {
    const name = await commitImage('bad-python', ['ENV PATH=/fake'], { 'fake/python3': 'text' });
    await expectRefused(name, /it has no python3 that can run/);
  });
});
