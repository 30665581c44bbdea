import { posix } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { SandboxError } from '../../jobs/ports.js';
import { temporaryDirectory, workDirectory } from '../containment.js';
import { type Engine, EngineRefusal, raceAbort, reasonOf } from './engine.js';
import { type ImageReference, parseImageReference } from './image.js';

/** An image that the engine has. */
export interface Image {
  /** The name that was asked for, as messages quote it. */
  readonly name: string;
  /** Digest of its configuration, which no tag can be moved away from. */
  readonly id: string;
  /** Paths for which the engine would make a volume unless something else is mounted there. */
  readonly volumes: readonly string[];
}

export interface Images {
  /**
   * Finds an image and pulls it when the engine does not have it. The answer is not kept: an inspection takes a few
   * milliseconds, a hundredth of what follows it, and a kept one would outlive the image.
   *
   * @throws SandboxError `image_unavailable` or `engine_unavailable`, or the abort reason. The pull goes on after an
   * abort, because others may wait for it.
   */
  ensure(name: string, options: { readonly signal: AbortSignal }): Promise<Image>;
  /** Ends the pulls that are under way. */
  close(): void;
}

export function createImages(engine: Engine, options: { readonly pullTimeoutMs: number }): Images {
  const pulls = new Map<string, Promise<void>>();
  const closing = new AbortController();

  /** One pull at a time for an image, whoever asks. It belongs to none of those who wait for it. */
  function pullOnce(name: string, reference: ImageReference): Promise<void> {
    const running = pulls.get(reference.text);
    if (running !== undefined) return running;
    const pulling = pull(engine, reference, { timeoutMs: options.pullTimeoutMs, closing: closing.signal })
      .catch((error: unknown) => {
        throw toPullError(name, error);
      })
      .finally(() => pulls.delete(reference.text));
    // When everybody who waited for it has left, nobody hears of its failure.
    pulling.catch(() => {});
    pulls.set(reference.text, pulling);
    return pulling;
  }

  return {
    async ensure(name, { signal }) {
      const reference = parseImageReference(name);
      if (reference === undefined) throw imageUnavailable(name, 'its name is not valid');
      const found = await inspect(engine, name, reference, signal);
      if (found !== undefined) return found;
      await raceAbort(pullOnce(name, reference), [signal]);
      const pulled = await inspect(engine, name, reference, signal);
      if (pulled === undefined) throw imageUnavailable(name, 'the engine does not have it after the pull');
      return pulled;
    },
    close: () => closing.abort(new SandboxError('engine_unavailable', 'Cannot pull image: the server is closing')),
  };
}

export function imageUnavailable(name: string, reason: string, cause?: unknown): SandboxError {
  // Whoever asked may have sent a name of any length.
  const quoted = JSON.stringify(name.length <= 300 ? name : `${name.slice(0, 300)}…`);
  return new SandboxError('image_unavailable', `Cannot start execution: image ${quoted} is not available: ${reason}`, {
    cause,
  });
}

async function inspect(
  engine: Engine,
  name: string,
  reference: ImageReference,
  signal: AbortSignal,
): Promise<Image | undefined> {
  try {
    const image = engine.docker.getImage(reference.text);
    const { Id: id, Config: config } = await engine.call('inspect image', () => image.inspect(), { signal });
    return { name, id, volumes: checkVolumes(name, Object.keys(config?.Volumes ?? {})) };
  } catch (error) {
    if (error instanceof EngineRefusal && error.status === 404) return undefined;
    if (error instanceof EngineRefusal) throw imageUnavailable(name, error.reason, error);
    throw error;
  }
}

/** Each costs a mount. No honest image has more. */
const volumesMax = 16;
const systemDirectories = ['/proc', '/sys', '/dev'];
const ownDirectories = [workDirectory, temporaryDirectory];

/** Normalises the paths of an image's volumes and refuses those that would get in the way of the sandbox. */
function checkVolumes(name: string, paths: readonly string[]): readonly string[] {
  if (paths.length > volumesMax) throw imageUnavailable(name, `it has more than ${volumesMax} volumes`);
  const volumes = paths.map((path) => posix.resolve('/', path));
  for (const volume of volumes) {
    const inside = [...systemDirectories, ...ownDirectories].some((directory) => volume.startsWith(`${directory}/`));
    if (volume === '/' || inside || systemDirectories.includes(volume)) {
      throw imageUnavailable(name, `it has a volume at ${JSON.stringify(volume.slice(0, 100))}`);
    }
  }
  // The sandbox brings its own of these.
  return [...new Set(volumes)].filter((volume) => !ownDirectories.includes(volume));
}

async function pull(
  engine: Engine,
  reference: ImageReference,
  options: { readonly timeoutMs: number; readonly closing: AbortSignal },
): Promise<void> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const abortSignal = AbortSignal.any([deadline, options.closing]);
  try {
    await engine.call(
      'pull image',
      async () => {
        const query = { fromImage: reference.repository, tag: reference.version, abortSignal };
        await readProgress((await engine.streams.createImage(query)) as Readable);
      },
      // The deadline is what ends a pull; this is only so that the call has an end of its own.
      { timeoutMs: options.timeoutMs + 1000, signal: abortSignal },
    );
  } catch (error) {
    if (deadline.aborted) throw new EngineRefusal(504, `it took longer than ${options.timeoutMs / 1000} s to pull`);
    throw error;
  }
}

/** The engine answers 200 at once and says in one of many lines of JSON that the pull has failed. */
async function readProgress(lines: Readable): Promise<void> {
  for await (const line of createInterface({ input: lines, crlfDelay: Number.POSITIVE_INFINITY })) {
    const progress = parseProgress(line);
    if (progress?.error !== undefined) throw new EngineRefusal(500, reasonOf(progress));
  }
}

function parseProgress(line: string): { readonly error?: unknown } | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function toPullError(name: string, error: unknown): unknown {
  return error instanceof EngineRefusal ? imageUnavailable(name, error.reason, error) : error;
}
