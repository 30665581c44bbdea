import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { UnpackedImage } from '@python-executor/server';
import type { Command } from 'commander';
import { readConfiguration } from '../configuration.js';
import type { Context } from '../context.js';
import { ServerError, UsageError } from '../failure.js';
import { type Flags, readFlags } from '../flags.js';
import { interruptible } from '../interrupt.js';
import { reportPatience } from '../patience.js';

interface AddFlags {
  readonly from?: string;
}

const about = `
The oci backend runs programs in images that were unpacked before, in PYEXEC_DATA_DIR, or by
the Python of this machine. Docker keeps images of its own: the docker backend needs none of this.

Examples:
  python-executor images add python:3.12-slim
  python-executor images list
  python-executor images rm python:3.12-slim`;

const aboutAdding = `
It takes root, skopeo and umoci (Debian: apt-get install skopeo umoci). An image that had the
name before is replaced. A server that runs on the same PYEXEC_DATA_DIR sees it at once.

Examples:
  python-executor images add python:3.12-slim
  python-executor images add registry.example.org/team/python:1
  docker save -o python.tar python:3.12-slim
  python-executor images add python:3.12-slim --from python.tar
  skopeo copy docker://python:3.12-slim oci-archive:python-oci.tar
  python-executor images add python:3.12-slim --from python-oci.tar`;

const tools = ['skopeo', 'umoci'];

export function addImagesCommand(program: Command, context: Context): void {
  const images = program
    .command('images')
    .usage('COMMAND')
    .description('the images that the oci backend can run programs in')
    .addHelpText('after', about);
  images
    .command('add')
    .argument('<ref>', 'name of the image, e.g. python:3.12-slim')
    .description('fetch an image and unpack it for sandboxes')
    .option('--from <source>', 'tar of "docker save", tar or directory of OCI\'s layout (default: its registry)')
    .addHelpText('after', aboutAdding)
    .action((name: string, _flags, command: Command) => add(name, readFlags<AddFlags>(command), context));
  images
    .command('list')
    .description('print name, digest and age of every image')
    .action(() => list(context));
  images
    .command('rm')
    .argument('<ref>', 'name of the image')
    .description('take the name of an image away, and its files unless it has another name')
    .addHelpText('after', '\nPrograms that run in it at the moment lose its files.')
    .action((name: string) => remove(name, context));
}

async function add(name: string, flags: Flags & AddFlags, context: Context): Promise<void> {
  const { addImage, usualUsers } = await import('@python-executor/server');
  const directory = await imagesDirectory(context);
  const from = flags.from === undefined ? undefined : await readSource(flags.from);
  await checkAbilities();
  const tell = (line: string): void => {
    if (!flags.quiet) context.stderr.write(`${line}\n`);
  };
  tell(`Fetching ${name} from ${from ?? 'its registry'} and unpacking it`);
  const stop = reportPatience((seconds) => tell(`Still at it after ${seconds} s`));
  try {
    const options = { ...(from !== undefined && { from }), users: usualUsers };
    const image = await interruptible((signal) => explained(addImage(directory, name, { ...options, signal })));
    tell(`Added ${image.reference} (${image.digest})`);
  } finally {
    stop();
  }
}

async function list(context: Context): Promise<void> {
  const { listImages } = await import('@python-executor/server');
  const images = await explained(listImages(await imagesDirectory(context)));
  if (images.length === 0) {
    context.stderr.write('There are no images; add one: python-executor images add IMAGE\n');
    return;
  }
  const rows = [['NAME', 'DIGEST', 'ADDED'], ...images.map(rowOf)];
  const nameColumns = Math.max(...rows.map(([name = '']) => name.length));
  const lines = rows.map(
    ([name = '', digest = '', added]) => `${name.padEnd(nameColumns)}  ${digest.padEnd(19)}  ${added}\n`,
  );
  context.stdout.write(lines.join(''));
}

function rowOf({ reference, digest, addedAt }: UnpackedImage): readonly string[] {
  return [reference, digest.slice(0, 'sha256:'.length + 12), `${addedAt.slice(0, 19)}Z`];
}

async function remove(name: string, context: Context): Promise<void> {
  const { removeImage } = await import('@python-executor/server');
  const isRemoved = await explained(removeImage(await imagesDirectory(context), name));
  if (isRemoved) return;
  throw new ServerError(`Cannot remove image "${name}": there is none of that name; see: python-executor images list`);
}

async function imagesDirectory({ environment }: Context): Promise<string> {
  const { imagesDirOf } = await import('@python-executor/server');
  const { store } = await readConfiguration(environment);
  if (store.dataDir !== ':memory:') return imagesDirOf(store.dataDir);
  throw new UsageError('Cannot keep images: PYEXEC_DATA_DIR is ":memory:"; set it to the directory of the service');
}

/** Tools run elsewhere, so the path is made whole. */
async function readSource(path: string): Promise<string> {
  try {
    await stat(path);
    return resolve(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'there is no such file or directory' : message;
    throw new UsageError(`Cannot read image from "${path}": ${reason}`, { cause: error });
  }
}

/** @throws ServerError with what is missing: the tools would say so in words of their own, and after the download */
async function checkAbilities(): Promise<void> {
  const { findExecutable } = await import('@python-executor/server');
  if (process.getuid?.() !== 0) {
    throw new ServerError('Cannot add image: its files get owners of their own, which takes root; try again with sudo');
  }
  const found = await Promise.all(tools.map((tool) => findExecutable(tool)));
  const missing = tools.filter((_tool, index) => found[index] === undefined);
  if (missing.length === 0) return;
  const names = missing.join(' and ');
  throw new ServerError(`Cannot add image: ${names} not found; install with: apt-get install ${missing.join(' ')}`);
}

/** Faults of the image, of its registry and of the disk are no faults of ours. */
async function explained<Value>(work: Promise<Value>): Promise<Value> {
  const { ImageError } = await import('@python-executor/server');
  try {
    return await work;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (error instanceof ImageError) throw new ServerError(message, { cause: error });
    if (typeof code === 'string')
      throw new ServerError(`Cannot use the directory of images: ${message}`, { cause: error });
    throw error;
  }
}
