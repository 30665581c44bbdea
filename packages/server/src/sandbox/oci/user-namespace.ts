import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { close, openSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { SandboxError } from '../../jobs/ports.js';
import { systemPath } from '../rootfs/executable.js';
import type { UserRange } from '../rootfs/root.js';

/** A user namespace that sandboxes share. */
export interface UserNamespace {
  /** For whoever is to join it, as long as this process lives and has not closed it. */
  readonly path: string;
  close(): Promise<void>;
}

const waitForMaps = 'echo ready; read -r line || :';

/**
 * Makes a user namespace that belongs to a user whom no account has. What sandboxes use up of things that the kernel
 * counts by user, as of inotify's, it counts for the owner of their namespace too: were that root, a sandbox could leave
 * the services of the host without.
 *
 * @throws SandboxError `engine_unavailable`
 */
export async function openUserNamespace({ first, count }: UserRange): Promise<UserNamespace> {
  const owner = first + count;
  const child = spawn(
    'setpriv',
    [
      ...[
        `--reuid=${owner}`,
        `--regid=${owner}`,
        '--clear-groups',
        '--inh-caps=+sys_admin',
        '--ambient-caps=+sys_admin',
      ],
      ...['unshare', '--user', '/bin/sh', '-c', waitForMaps],
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: systemPath } },
  );
  const ended = once(child, 'close');
  const said = text(child.stderr);
  try {
    const ready = await Promise.race([once(child.stdout, 'data'), ended.then(() => undefined)]);
    if (ready === undefined) throw new Error((await said).trim());
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, `0 ${first} ${count}`);
    const descriptor = openSync(`/proc/${child.pid}/ns/user`, 'r');
    return {
      path: `/proc/${process.pid}/fd/${descriptor}`,
      close: () => new Promise((resolve) => close(descriptor, () => resolve())),
    };
  } catch (error) {
    const message = `Cannot make a user namespace: ${(error as Error).message}`;
    throw new SandboxError('engine_unavailable', message, { cause: error });
  } finally {
    // The descriptor keeps the namespace; the process was only needed until it was open.
    child.stdin.destroy();
  }
}
