import { SandboxError } from '../../jobs/ports.js';
import {
  type Account,
  type AttachedContainer,
  attachContainer,
  cleanupTimeoutMs,
  createContainer,
} from './attached.js';
import { type ContainerSettings, describeKeeper } from './container.js';
import type { Engine } from './engine.js';
import type { Image } from './images.js';

/**
 * Lets sandboxes do without the engine's network. For the network `none` an engine makes a namespace with the help of
 * processes of its own, which takes a third of the work of making a sandbox; where networking is disabled the runtime
 * makes one by the way. But then the engine writes no `/etc/hosts` either, and programs would not find `localhost`. So
 * one container is made the ordinary way, the keeper, and the others get its files, read-only.
 *
 * There is a keeper only while there are other sandboxes: it goes with the last of them. Like them it ends with its
 * stdin, so that a server that crashes leaves none.
 */
export interface SharedHosts {
  /**
   * Takes part until {@link leave}. Where several do, a keeper is made for those that come later.
   *
   * @returns undefined while there is no keeper
   */
  enter(image: Image): HostsFiles | undefined;
  /** Resolves when the keeper is gone, if this was the last. Never throws. */
  leave(): Promise<void>;
  /** The engine refused a sandbox with these files. Never throws. */
  refuse(files: HostsFiles): Promise<void>;
}

/** Paths on the engine's machine, as the engine itself has told them. */
export interface HostsFiles {
  readonly hosts: string;
  readonly resolver: string;
}

/** For fewer a keeper is not worth the making. */
const sandboxesMin = 3;

/** An engine that refuses so often does not let its own files be mounted, as when its paths are those of another machine. */
const refusalsMax = 3;

interface Keeper {
  readonly container: AttachedContainer;
  readonly files: HostsFiles;
}

export function shareHosts(account: Account, settings: ContainerSettings): SharedHosts {
  let inside = 0;
  let refusals = 0;
  let keeper: Keeper | undefined;
  let making: Promise<void> | undefined;

  async function make(image: Image): Promise<void> {
    try {
      const made = await startKeeper(account, settings, image);
      // It is lost when the engine restarts, for one.
      made.container.connection.once('close', () => {
        if (keeper === made) keeper = undefined;
      });
      keeper = made;
    } catch (error) {
      // Sandboxes do as well without it.
      if (!isUnavailable(error)) refusals += 1;
    } finally {
      making = undefined;
    }
  }

  async function dismiss(): Promise<void> {
    const { container } = keeper ?? {};
    keeper = undefined;
    await container?.discard({ timeoutMs: cleanupTimeoutMs });
  }

  return {
    enter(image) {
      inside += 1;
      if (inside >= sandboxesMin && keeper === undefined && refusals < refusalsMax) making ??= make(image);
      return keeper?.files;
    },
    async leave() {
      inside -= 1;
      await making;
      if (inside === 0) await dismiss();
    },
    async refuse(files) {
      if (keeper?.files !== files) return;
      refusals += 1;
      await dismiss();
    },
  };
}

async function startKeeper(account: Account, settings: ContainerSettings, image: Image): Promise<Keeper> {
  const { engine } = account;
  await checkEngine(engine);
  const create = (name: string) => createContainer(engine, describeKeeper({ name, image }, settings));
  const container = await attachContainer(account, create, { signal: new AbortController().signal });
  try {
    container.connection.resume();
    await container.start();
    const inspect = () => engine.docker.getContainer(container.id).inspect();
    const { HostsPath: hosts, ResolvConfPath: resolver } = await engine.call('inspect container', inspect);
    if (!hosts || !resolver) throw cannotShare('the engine does not say where its files are');
    return { container, files: { hosts, resolver } };
  } catch (error) {
    await container.discard({ timeoutMs: cleanupTimeoutMs });
    throw error;
  }
}

/**
 * Others that speak Docker's API make no such difference between networks. Where SELinux confines containers, one cannot
 * read the files of another.
 */
async function checkEngine(engine: Engine): Promise<void> {
  const [{ Components: components = [] }, { SecurityOptions: options }] = await Promise.all([
    engine.call('ask for version', () => engine.docker.version()),
    engine.call('ask for security', (): Promise<{ SecurityOptions?: readonly string[] }> => engine.docker.info()),
  ]);
  if (!components.some(({ Name: name }) => name === 'Engine')) throw cannotShare('the engine is not Docker');
  if (options?.some((option) => option.includes('selinux'))) throw cannotShare('SELinux confines its containers');
}

function isUnavailable(error: unknown): boolean {
  return error instanceof SandboxError && error.reason === 'engine_unavailable';
}

function cannotShare(reason: string): SandboxError {
  return new SandboxError('internal', `Cannot share files between sandboxes: ${reason}`);
}
