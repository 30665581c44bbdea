import { closeSync, openSync, unlinkSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { SandboxError } from '../../jobs/ports.js';
import type { Maker, SandboxRequest } from './maker.js';

export interface PreloadMakerOptions {
  /** Makes the containers. */
  readonly fallback: Maker;
  /** Packs the agent for the interpreter that runs it; see agent/preload.py. */
  readonly packerSource: string;
  /** Where archives are written; they stay there for a moment only. */
  readonly directory: string;
  /** Hears of an archive that could not be made, with why. */
  readonly onTrouble: (error: unknown) => void;
}

/** Where the interpreter finds its descriptor 3, as agent/preload.py has it. */
const archivePath = '/proc/self/fd/3';
const packingTimeoutMs = 20_000;
const packingMemoryBytes = 256 * 1024 * 1024;

/**
 * Has containers start with the agent compiled already and in the interpreter that the program becomes a fork of, so that
 * one interpreter starts and not two. The agent is packed by an interpreter of the same root file system when that is
 * used for the first time; until then, and if that fails, containers start in the usual way.
 */
export function createPreloadMaker(options: PreloadMakerOptions): Maker {
  const { fallback } = options;
  /** Descriptors of archives by root; undefined while one is made. */
  const archives = new Map<string, number | undefined>();
  const packing = new Set<Promise<void>>();
  let closing = false;

  function archiveFor(request: SandboxRequest): number | undefined {
    const { path } = request.root;
    if (!archives.has(path)) {
      archives.set(path, undefined);
      const packed = pack(request, options)
        .then(
          (descriptor) => void archives.set(path, descriptor),
          (error: unknown) => {
            if (!closing) options.onTrouble(error);
          },
        )
        .finally(() => packing.delete(packed));
      packing.add(packed);
    }
    return archives.get(path);
  }

  return {
    ...fallback,
    async make(request) {
      const archive = request.spec.privilege === 'program' ? archiveFor(request) : undefined;
      return await fallback.make(archive === undefined ? request : preloaded(request, archive));
    },
    async close() {
      closing = true;
      await fallback.close();
      await Promise.all(packing);
      for (const descriptor of archives.values()) if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

function preloaded(request: SandboxRequest, handedOn: number): SandboxRequest {
  const { root } = request;
  const path = root.environment.find((entry) => entry.startsWith(variable))?.slice(variable.length);
  const others = root.environment.filter((entry) => !entry.startsWith(variable));
  const environment = [...others, `${variable}${path ? `${archivePath}:${path}` : archivePath}`];
  return { ...request, root: { ...root, environment }, command: ['python3', 'main.py'], handedOn };
}

const variable = 'PYTHONPATH=';

/** A descriptor of the archive, whose file has no name any more and can be written to by nobody. */
async function pack(request: SandboxRequest, options: PreloadMakerOptions): Promise<number> {
  const bytes = await runPacker(request, options);
  const path = join(options.directory, `agent-${process.hrtime.bigint()}`);
  await writeFile(path, bytes, { mode: 0o444 });
  try {
    return openSync(path, 'r');
  } finally {
    unlinkSync(path);
  }
}

async function runPacker(request: SandboxRequest, options: PreloadMakerOptions): Promise<Uint8Array> {
  const command = ['python3', '-I', '-S', '-c', options.packerSource];
  // Whatever limits the request has, packing has its own.
  const spec = { ...request.spec, memoryBytes: packingMemoryBytes };
  const sandbox = await options.fallback.make({ spec, root: request.root, command });
  const timer = setTimeout(() => void sandbox.destroy(), packingTimeoutMs);
  try {
    const [bytes, said] = await Promise.all([buffer(sandbox.stdout), text(sandbox.stderr)]);
    if (bytes.length === 0 || said !== '') {
      throw new SandboxError(
        'internal',
        `Cannot prepare the agent for "${spec.image}": ${said.trim() || 'it ended early'}`,
      );
    }
    return bytes;
  } finally {
    clearTimeout(timer);
    await sandbox.destroy();
  }
}
