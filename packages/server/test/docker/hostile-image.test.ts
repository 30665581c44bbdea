import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { docker, expectNothingLeft, image, never, openBackend, programSpec, readAll, runProbe } from './fixture.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const repository = `python-executor-test-${randomUUID()}`;

/** Makes an image of the usual one with some files on top and with properties of our choice. */
async function commitImage(tag: string, changes: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['true'],
    StopSignal: 'SIGCONT',
    HostConfig: { NetworkMode: 'none' },
  });
  try {
    const archive = pack();
    for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
    archive.finalize();
    await container.putArchive(archive, { path: '/' });
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
    'pid': os.getpid(), 'directory': os.getcwd(), 'user': status['Uid'].split()[0], 'group': status['Gid'].split()[0],
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
      'etc/group': 'root:x:0:sandbox,1000\n1000:x:0:sandbox\nwheel:x:10:sandbox,1000\n',
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
    expect(container.Config.StopSignal).toBe('SIGKILL');
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
