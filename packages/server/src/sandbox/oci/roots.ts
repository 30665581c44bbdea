import { statSync } from 'node:fs';
import { SandboxError } from '../../jobs/ports.js';
import { parseImageReference } from '../docker/image.js';
import { systemPath } from '../rootfs/executable.js';
import { findImage, rootOfImage, type UnpackedImage } from '../rootfs/images.js';
import type { RootFileSystem, UserRange } from '../rootfs/root.js';
import type { Room } from './room.js';

export interface RootsOptions {
  /** Where unpacked images are; see rootfs/images.ts. */
  readonly imagesDir: string;
  /** The host's own, when it has an interpreter. */
  readonly host: RootFileSystem | undefined;
  /** Names of images in whose place the host's own is used unless there is such an image. */
  readonly hostImages: readonly string[];
  readonly users: UserRange;
  readonly room: Pick<Room, 'attach'>;
}

/** Finds the root file system for the name of an image. */
export interface Roots {
  /** @throws SandboxError `image_unavailable` with the way to add the image */
  find(name: string): Promise<RootFileSystem>;
}

/** Reading a name costs less than a tenth of a millisecond, so that what is added or removed counts at once. */
export function createRoots(options: RootsOptions): Roots {
  const { imagesDir, host, users, room } = options;
  const hostImages = new Set(options.hostImages.map((name) => parseImageReference(name)?.text));
  const attached = new Map<string, Promise<string>>();

  /** Each root is attached once; it stays as long as the server lives. */
  async function attach(image: UnpackedImage): Promise<string> {
    const source = rootOfImage(imagesDir, image);
    // What was removed and added again is another directory.
    const { ino, birthtimeMs } = statSync(source);
    const key = `${source} ${ino} ${birthtimeMs}`;
    const known = attached.get(key);
    if (known !== undefined) return await known;
    const attaching = room.attach(source, `image-${attached.size}`);
    attached.set(key, attaching);
    attaching.catch(() => attached.delete(key));
    return await attaching;
  }

  return {
    async find(name) {
      const reference = parseImageReference(name);
      if (reference === undefined) throw unavailable(name, 'its name is not valid');
      const image = findImage(imagesDir, name);
      if (image === undefined) {
        if (host !== undefined && hostImages.has(reference.text)) return host;
        throw unavailable(name, `add it with: python-executor images add ${reference.text}`);
      }
      if (image.firstUser !== users.first) {
        throw unavailable(
          name,
          `it was added for other users; add it again: python-executor images add ${reference.text}`,
        );
      }
      return { path: await attach(image), mounts: [], environment: withPath(image.environment) };
    },
  };
}

function withPath(environment: readonly string[]): readonly string[] {
  return environment.some((entry) => entry.startsWith('PATH=')) ? environment : [`PATH=${systemPath}`, ...environment];
}

function unavailable(name: string, reason: string): SandboxError {
  // Whoever asked may have sent a name of any length.
  const quoted = JSON.stringify(name.length <= 300 ? name : `${name.slice(0, 300)}…`);
  return new SandboxError('image_unavailable', `Cannot start execution: image ${quoted} is not available: ${reason}`);
}
