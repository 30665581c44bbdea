import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

export interface TestImage {
  /** A directory of OCI's layout. */
  readonly layout: string;
  /** The image in it, as skopeo has it. */
  readonly source: string;
}

const version = execFileSync('/usr/bin/python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
  .toString()
  .trim();

/** Of the standard library, what is enough to start and to print JSON. */
const library = `/usr/lib/python${version}`;
const packages = ['collections', 'encodings', 'importlib', 'json', 're'];

export function makeDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'python-executor-images-'));
}

/**
 * Makes an image of a few megabytes with the host's interpreter and a shell in it, and with what an image might do to get
 * at the host: places that lead elsewhere and a device.
 *
 * @param mark what `/mark` in it says
 */
export function buildImage(directory: string, mark: string): TestImage {
  const root = join(directory, `root-${mark}`);
  mkdirSync(join(root, 'etc'), { recursive: true });
  for (const program of ['/usr/bin/python3', '/bin/sh']) copyProgram(program, root);
  mkdirSync(join(root, library, 'lib-dynload'), { recursive: true });
  for (const entry of readdirSync(library)) {
    if (!entry.endsWith('.py') && !packages.includes(entry)) continue;
    cpSync(join(library, entry), join(root, library, entry), { recursive: true, dereference: true });
  }
  writeFileSync(join(root, 'mark'), mark);
  symlinkSync('/root', join(root, 'tmp'));
  symlinkSync('/etc/passwd', join(root, 'etc/hosts'));
  execFileSync('mknod', ['-m', '666', join(root, 'disk'), 'b', '7', '0']);
  return pack(directory, root, mark);
}

/** An image without an interpreter. */
export function buildEmptyImage(directory: string): TestImage {
  const root = join(directory, 'root-empty');
  mkdirSync(join(root, 'bin'), { recursive: true });
  // From outside it leads to an interpreter, from inside to nothing.
  symlinkSync('/usr/bin/python3', join(root, 'bin/python3'));
  return pack(directory, root, 'empty');
}

function pack(directory: string, root: string, name: string): TestImage {
  const layout = join(directory, `layout-${name}`);
  const image = `${layout}:latest`;
  const run = (...parameters: readonly string[]) => execFileSync('umoci', parameters, { stdio: 'pipe' });
  run('init', '--layout', layout);
  run('new', '--image', image);
  run('insert', '--image', image, root, '/');
  const settings = ['--config.env', 'PATH=/usr/bin:/bin', '--config.env', 'MARK=set', '--config.user', '12:34'];
  run('config', '--image', image, ...settings, '--config.entrypoint', '/bin/false', '--config.volume', '/usr/bin');
  rmSync(root, { recursive: true });
  return { layout, source: `oci:${image}` };
}

/** Copies a program of the host and its libraries to the same places. */
function copyProgram(program: string, root: string): void {
  const libraries = execFileSync('ldd', [program])
    .toString()
    .matchAll(/(\/\S+) \(/g);
  for (const path of [program, ...[...libraries].map(([, library]) => library as string)]) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(realpathSync(path), target);
  }
  const real = realpathSync(program);
  if (basename(real) !== basename(program))
    symlinkSync(basename(program), join(root, dirname(program), basename(real)));
}
