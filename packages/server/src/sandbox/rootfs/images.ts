import { createHash, randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImageReference, parseImageReference } from '../docker/image.js';
import { fetchImage } from './fetch.js';
import { prepareRoot } from './prepare.js';
import type { UserRange } from './root.js';
import { ToolError } from './tool.js';
import { unpackImage } from './unpack.js';

/** An image that was unpacked for sandboxes. */
export interface UnpackedImage {
  /** In full, e.g. `docker.io/library/python:3.11-slim`. */
  readonly reference: string;
  /** Digest of its manifest. */
  readonly digest: string;
  /** `KEY=value`. */
  readonly environment: readonly string[];
  /** The first of the users that its files belong to. */
  readonly firstUser: number;
  /** RFC 3339. */
  readonly addedAt: string;
}

export interface AddImageOptions {
  /** A tar of `docker save` or of OCI's layout, or a directory of that layout; the image's registry unless given. */
  readonly from?: string;
  readonly users: UserRange;
  readonly signal: AbortSignal;
}

/**
 * In the directory of images, `names/` has a file for each reference, and `roots/` a root file system for each digest:
 * a name moves from one image to another in one step.
 */
const namesOf = (directory: string) => join(directory, 'names');
const rootsOf = (directory: string) => join(directory, 'roots');

/** Where the root file system of an image is. Its files belong to certain users, so others need another copy. */
export function rootOfImage(directory: string, { digest, firstUser }: UnpackedImage): string {
  return join(rootsOf(directory), `${digest.replace(/[^\w]/g, '-')}-${firstUser}`);
}

/**
 * Fetches an image, unpacks it and gives it its name. An image that had the name before is gone then, unless it has
 * another one.
 *
 * @throws ImageError naming what failed
 */
export async function addImage(
  directory: string,
  name: string,
  { from, users, signal }: AddImageOptions,
): Promise<UnpackedImage> {
  const reference = parse(name);
  const making = join(directory, `.new-${randomUUID()}`);
  await mkdir(making, { recursive: true, mode: 0o700 });
  try {
    const layout = join(making, 'layout');
    const target = join(making, 'bundle');
    const tools = { signal, home: making };
    await fetchImage(reference, { from, layout, ...tools });
    const { digest, environment } = await unpackImage(layout, { target, users, ...tools });
    const unpacked = join(target, 'rootfs');
    await prepareRoot(unpacked, { owner: users.first, environment });
    const addedAt = new Date().toISOString();
    const image = { reference: reference.text, digest, environment, firstUser: users.first, addedAt };
    await publish(directory, image, unpacked);
    return image;
  } catch (error) {
    throw error instanceof ToolError ? new ImageError(reference.text, error.message, { cause: error }) : error;
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

/** Every image, by name. */
export async function listImages(directory: string): Promise<readonly UnpackedImage[]> {
  const names = await readdir(namesOf(directory)).catch(() => []);
  const files = names.filter((name) => name.endsWith('.json'));
  const images = files.map((file) => readImage(join(namesOf(directory), file)));
  return images.filter((image) => image !== undefined).sort((one, other) => (one.reference < other.reference ? -1 : 1));
}

/** @returns undefined when no image has the name */
export function findImage(directory: string, name: string): UnpackedImage | undefined {
  const reference = parseImageReference(name);
  return reference === undefined ? undefined : readImage(nameFile(directory, reference.text));
}

/**
 * Takes a name away, and removes what is unpacked when it had no other. Sandboxes that still run from it lose their files.
 *
 * @returns false when no image has the name
 */
export async function removeImage(directory: string, name: string): Promise<boolean> {
  const image = findImage(directory, name);
  if (image === undefined) return false;
  await rm(nameFile(directory, image.reference), { force: true });
  await removeUnnamed(directory, image);
  return true;
}

/** The image cannot be had, or cannot be used. */
export class ImageError extends Error {
  override readonly name = 'ImageError';

  constructor(
    reference: string,
    readonly reason: string,
    options: { readonly cause?: unknown } = {},
  ) {
    super(`Cannot add image ${JSON.stringify(reference)}: ${reason}`, options);
  }
}

function parse(name: string): ImageReference {
  const reference = parseImageReference(name);
  if (reference === undefined) throw new ImageError(name.slice(0, 300), 'its name is not valid');
  return reference;
}

/** Moves the files into their place, unless the same image is there already, and lets the name point to them. */
async function publish(directory: string, image: UnpackedImage, unpacked: string): Promise<void> {
  const previous = findImage(directory, image.reference);
  const root = rootOfImage(directory, image);
  for (const path of [namesOf(directory), rootsOf(directory)]) await mkdir(path, { recursive: true, mode: 0o700 });
  await rename(unpacked, root).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  });
  const file = nameFile(directory, image.reference);
  const written = `${file}.${randomUUID()}`;
  await writeFile(written, JSON.stringify(image), { mode: 0o600 });
  await rename(written, file);
  if (previous !== undefined) await removeUnnamed(directory, previous);
}

/** Removes the files of an image unless a name points to them. */
async function removeUnnamed(directory: string, image: UnpackedImage): Promise<void> {
  const root = rootOfImage(directory, image);
  const named = (await listImages(directory)).some((other) => rootOfImage(directory, other) === root);
  if (!named) await rm(root, { recursive: true, force: true });
}

function nameFile(directory: string, reference: string): string {
  return join(namesOf(directory), `${createHash('sha256').update(reference).digest('hex').slice(0, 32)}.json`);
}

/** Synchronous, and looking before reading: every sandbox asks, and most names belong to no image. */
function readImage(path: string): UnpackedImage | undefined {
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as UnpackedImage;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
