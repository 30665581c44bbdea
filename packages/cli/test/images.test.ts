import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildEmptyImage, buildImage, makeDirectory } from '../../server/test/oci/image.js';
import { type Folder, makeFolder, run } from './command.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const canAdd = process.getuid?.() === 0 && ['skopeo', 'umoci'].every((tool) => existsSync(`/usr/bin/${tool}`));
const name = 'example.org/team/mini:1';
let folder: Folder;
let env: Readonly<Record<string, string>>;

beforeAll(async () => {
  folder = await makeFolder();
  env = { PYEXEC_DATA_DIR: folder.path };
});

afterAll(() => folder.remove());

describe.runIf(canAdd)('images', () => {
  const sources = makeDirectory();
  const saved = join(sources, 'saved.tar');
  const archived = join(sources, 'archived.tar');

  beforeAll(() => {
    const { source } = buildImage(sources, 'first');
    execFileSync('skopeo', ['copy', '--quiet', source, `docker-archive:${saved}:${name}`]);
    execFileSync('skopeo', ['copy', '--quiet', source, `oci-archive:${archived}`]);
  });

  afterAll(() => rmSync(sources, { recursive: true }));

  it.each([
    ['of docker save', saved],
    ["of OCI's layout", archived],
  ])('adds a tar %s, lists it and takes it away', async (_, from) => {
    const added = await run(['images', 'add', name, '--from', from], { env });
    expect(added).toMatchObject({ exitCode: 0, stdout: '' });
    expect(added.stderr).toMatch(
      /^Fetching .* and unpacking it\nAdded example\.org\/team\/mini:1 \(sha256:\w{64}\)\n$/,
    );

    const listed = await run(['images', 'list'], { env });
    expect(listed).toMatchObject({ exitCode: 0, stderr: '' });
    expect(listed.stdout).toMatch(
      /^NAME +DIGEST +ADDED\nexample\.org\/team\/mini:1 {2}sha256:\w{12} {2}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n$/,
    );

    expect(await run(['images', 'rm', name], { env })).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect((await run(['images', 'list'], { env })).stdout).toBe('');
    expect(readdirSync(join(folder.path, 'images', 'roots'))).toEqual([]);
  });

  it('says nothing but results when it is to be quiet', async () => {
    const added = await run(['images', 'add', name, '--from', saved, '--quiet'], { env });
    expect(added).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  it('refuses an image without Python, and leaves nothing of it', async () => {
    const { layout } = buildEmptyImage(sources);
    const { exitCode, stderr } = await run(['images', 'add', 'empty', '--from', layout], { env });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('error: Cannot add image "docker.io/library/empty:latest": it has no python3\n');
    expect(readdirSync(join(folder.path, 'images')).filter((entry) => entry.startsWith('.'))).toEqual([]);
  });

  it('refuses a name that is none', async () => {
    const { exitCode, stderr } = await run(['images', 'add', 'BAD!', '--from', saved], { env });
    expect(exitCode).toBe(1);
    expect(stderr).toContain('error: Cannot add image "BAD!": its name is not valid\n');
  });
});

describe('images', () => {
  it('says that there are none, and how to add one', async () => {
    const outcome = await run(['images', 'list'], { env: { PYEXEC_DATA_DIR: join(folder.path, 'none') } });
    expect(outcome).toMatchObject({ exitCode: 0, stdout: '', stderr: expect.stringContaining('images add') });
    expect(existsSync(join(folder.path, 'none'))).toBe(false);
  });

  it('cannot take away what is not there', async () => {
    const outcome = await run(['images', 'rm', 'nosuch'], { env });
    expect(outcome).toMatchObject({ exitCode: 1, stdout: '' });
    expect(outcome.stderr).toMatch(/^error: Cannot remove image "nosuch": there is none/);
  });

  it.each([
    ['a source that is not there', ['add', name, '--from', '/nonexistent.tar'], {}, 'there is no such file'],
    ['a data directory in memory', ['list'], { PYEXEC_DATA_DIR: ':memory:' }, 'PYEXEC_DATA_DIR is ":memory:"'],
    ['no name', ['add'], {}, "missing required argument 'ref'"],
  ])('refuses %s with 2', async (_, args, variables, message) => {
    const outcome = await run(['images', ...args], { env: { ...env, ...variables } });
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toContain(message);
  });
});
