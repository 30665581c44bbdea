import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { usualUsers as users } from '../../dist/sandbox/oci/backend.js';
import { addImage, listImages, removeImage } from '../../dist/sandbox/rootfs/images.js';
import { installed, never, openBackend, type ProbeOptions, programSpec, readAll, runProbe } from './fixture.js';
import { buildEmptyImage, buildImage, makeDirectory, type TestImage } from './image.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const directory = makeDirectory();
const imagesDir = join(directory, 'images');
const archive = join(directory, 'saved.tar');
const name = 'example.org/team/mini:1';
let mini: TestImage;

const add = (image: string, from?: string) =>
  addImage(imagesDir, image, { ...(from === undefined ? {} : { from }), users, ...never() });

beforeAll(() => {
  mini = buildImage(directory, 'first');
  execFileSync('skopeo', ['copy', '--quiet', mini.source, `docker-archive:${archive}:${name}`]);
});

afterEach(async () => {
  for (const { reference } of await listImages(imagesDir)) await removeImage(imagesDir, reference);
  if (existsSync(imagesDir)) {
    const left = ['names', 'roots'].flatMap((room) =>
      existsSync(join(imagesDir, room)) ? readdirSync(join(imagesDir, room)) : [],
    );
    expect(left).toEqual([]);
    expect(readdirSync(imagesDir).filter((entry) => entry.startsWith('.'))).toEqual([]);
  }
});

afterAll(() => rmSync(directory, { recursive: true }));

const question = `
import json, os
def attempt(action):
    try:
        action()
        return 'done'
    except OSError as error:
        return type(error).__name__
print(json.dumps({
    'mark': open('/mark').read(),
    'variable': os.environ['MARK'],
    'user': [os.getuid(), os.getgid()],
    'owner': os.stat('/mark').st_uid,
    'hosts': open('/etc/hosts').read().split()[1],
    'tmp': attempt(lambda: open('/tmp/x', 'w')),
    'root': attempt(lambda: open('/x', 'w')) != 'done',
    'device': attempt(lambda: open('/disk', 'rb')) != 'done',
    'bin': 'python3' in os.listdir('/usr/bin'),
}))
`;

const seen = {
  mark: 'first',
  variable: 'set',
  user: [1000, 1000],
  owner: 0,
  hosts: 'localhost',
  tmp: 'done',
  root: true,
  device: true,
  bin: true,
};

describe.each(installed(['crun', 'runc', 'runsc']))('an image that was added, run by %s,', (runtime) => {
  const probe = (options: ProbeOptions = {}) =>
    runProbe<typeof seen>(question, { ...options, backend: { runtime, imagesDir } });

  test('is the root of a sandbox, with its variables and none of its other wishes', async () => {
    await add(name, archive);
    expect(await probe({ spec: { image: name } })).toEqual(seen);
  });

  test('can be changed by a setup, for that sandbox alone', async () => {
    await add(name, archive);
    const changing = `
import json, os
open('/mark', 'a').write('!')
os.chown('/mark', 7, 7)
print(json.dumps([open('/mark').read(), os.stat('/mark').st_uid]))
`;
    const backend = { runtime, imagesDir };
    const spec = { image: name, privilege: 'setup' } as const;
    expect(await runProbe(changing, { spec, backend })).toEqual(['first!', 7]);
    expect(await probe({ spec: { image: name } })).toEqual(seen);
  });
});

test('an image is listed with its digest until it is removed', async () => {
  expect(await listImages(imagesDir)).toEqual([]);
  const added = await add('mini', archive);
  expect(added).toMatchObject({
    reference: 'docker.io/library/mini:latest',
    digest: expect.stringMatching(/^sha256:\w{64}$/),
  });
  expect(await listImages(imagesDir)).toEqual([added]);
  expect(await removeImage(imagesDir, 'docker.io/mini')).toBe(true);
  expect(await removeImage(imagesDir, 'mini')).toBe(false);
});

test('an image can come from an archive or a directory of OCI too', async () => {
  const saved = join(directory, 'oci.tar');
  execFileSync('skopeo', ['copy', '--quiet', mini.source, `oci-archive:${saved}`]);
  const digests = [await add('one', saved), await add('two', mini.layout)].map(({ digest }) => digest);
  expect(new Set(digests).size).toBe(1);
  // Both names share the files, which stay until neither is left.
  expect(readdirSync(join(imagesDir, 'roots'))).toHaveLength(1);
  await removeImage(imagesDir, 'one');
  expect(readdirSync(join(imagesDir, 'roots'))).toHaveLength(1);
});

test('what is added to the host leaves its own files alone', async () => {
  const before = readFileSync('/etc/passwd', 'utf8');
  await add(name, archive);
  expect(readFileSync('/etc/passwd', 'utf8')).toBe(before);
  const [root = ''] = readdirSync(join(imagesDir, 'roots'));
  expect(statSync(join(imagesDir, 'roots', root, 'tmp')).isDirectory()).toBe(true);
  expect(statSync(join(imagesDir, 'roots', root, 'mark')).uid).toBe(users.first);
  expect(statSync(join(imagesDir, 'roots')).mode & 0o077).toBe(0);
});

test('a name that moves to another image gives new sandboxes the new one', async () => {
  const other = buildImage(directory, 'second');
  const backend = openBackend({ imagesDir, agentSource: 'print(open("/mark").read())' });
  const read = async () => {
    const sandbox = await backend.create({ ...programSpec, image: name }, never());
    const said = await readAll(sandbox);
    await sandbox.destroy();
    return said.trim();
  };
  await add(name, archive);
  expect(await read()).toBe('first');
  await add(name, other.layout);
  expect(await read()).toBe('second');
  await removeImage(imagesDir, name);
  await expect(read()).rejects.toMatchObject({
    reason: 'image_unavailable',
    message: `Cannot start execution: image "${name}" is not available: add it with: python-executor images add ${name}`,
  });
  await backend.close();
});

test('an image with a name of the host comes before the host', async () => {
  const backend = openBackend({ imagesDir, agentSource: 'import os\nprint(os.path.exists("/mark"))' });
  const read = async (image: string) => {
    const sandbox = await backend.create({ ...programSpec, image }, never());
    const said = await readAll(sandbox);
    await sandbox.destroy();
    return said.trim();
  };
  expect(await read('python:3.11-slim')).toBe('False');
  expect(await read('docker.io/library/python:3.11-slim')).toBe('False');
  await add('python:3.11-slim', archive);
  expect(await read('python:3.11-slim')).toBe('True');
  await backend.close();
});

test('an image that was added for other users has to be added again', async () => {
  await add(name, archive);
  const backend = openBackend({ imagesDir, users: { first: 3_000_000, count: 65_536 } });
  await expect(backend.create({ ...programSpec, image: name }, never())).rejects.toThrow('add it again');
  await backend.close();
});

test.each([
  ['no such file', 'mini', '/nowhere.tar', /no such file/i],
  ['a name that is none', 'Not A Name', undefined, /its name is not valid/],
  ['a registry that nobody runs', '127.0.0.1:1/mini:1', undefined, /connection refused/],
])('%s is told as the reason', async (_title, image, from, reason) => {
  await expect(add(image, from)).rejects.toThrow(reason);
});

test('an image without an interpreter is refused, and nothing of it stays', async () => {
  await expect(add('empty', buildEmptyImage(directory).layout)).rejects.toThrow(
    'Cannot add image "docker.io/library/empty:latest": it has no python3',
  );
});

test('an abort ends the work, and nothing of it stays', async () => {
  const abort = new AbortController();
  const adding = addImage(imagesDir, name, { from: archive, users, signal: abort.signal });
  setTimeout(() => abort.abort(new Error('not wanted any more')), 100);
  await expect(adding).rejects.toThrow('not wanted any more');
});

describe.runIf(installed(['docker-registry']).length > 0)('a registry', () => {
  let registry: ChildProcess;
  let host: string;

  beforeAll(async () => {
    const port = await findPort();
    host = `127.0.0.1:${port}`;
    const configuration = join(directory, 'registry.yml');
    const storage = `{filesystem: {rootdirectory: ${join(directory, 'registry')}}}`;
    writeFileSync(configuration, `version: 0.1\nstorage: ${storage}\nhttp: {addr: '${host}'}\nlog: {level: error}\n`);
    registry = spawn('docker-registry', ['serve', configuration], { stdio: 'ignore' });
    await vi.waitUntil(async () => (await fetch(`http://${host}/v2/`).catch(() => undefined))?.ok, 10_000);
    execFileSync('skopeo', ['copy', '--quiet', '--dest-tls-verify=false', mini.source, `docker://${host}/mini:1`]);
  });

  afterAll(async () => {
    registry.kill();
    await once(registry, 'exit');
  });

  test('is where an image comes from by its name or its digest', async () => {
    const added = await add(`${host}/mini:1`);
    expect(await runProbe(question, { spec: { image: `${host}/mini:1` }, backend: { imagesDir } })).toEqual(seen);
    expect(await add(`${host}/mini@${added.digest}`)).toMatchObject({ digest: added.digest });
  });

  test('that does not have an image says so', async () => {
    await expect(add(`${host}/other:1`)).rejects.toThrow(/manifest unknown|name unknown/i);
  });
});

async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
