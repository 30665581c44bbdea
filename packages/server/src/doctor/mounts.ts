import { execFile } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemPath } from '../sandbox/rootfs/executable.js';
import { findHostPython } from '../sandbox/rootfs/python.js';
import type { UserRange } from '../sandbox/rootfs/root.js';
import { type Check, ok, warn } from './check.js';
import { messageOf } from './probe.js';

/** Shows a directory to nobody, in a mount namespace that ends with the attempt. */
export async function checkMounts(options: { readonly users: UserRange; readonly hostPython: string }): Promise<Check> {
  const name = 'oci mounts';
  const python = await findHostPython(options.hostPython).catch(() => undefined);
  if (python === undefined) return ok(name, "not needed: the host's files are not shown");
  const show = fileURLToPath(new URL('../../rootfs/show.py', import.meta.url));
  const { first, count } = options.users;
  const target = await mkdtemp(join(tmpdir(), 'python-executor-doctor-'));
  const parameters = ['--mount', '--propagation', 'slave', python.path, '-I', '-S', show, `${first}`, `${count}`];
  try {
    await promisify(execFile)('unshare', [...parameters, '/usr', target], {
      env: { PATH: systemPath },
      timeout: 10_000,
    });
    return ok(name, 'can be shown with other owners: files of root belong to root inside');
  } catch (error) {
    const reason = messageOf(error).trim().split('\n').at(-1);
    const remedy =
      'nothing breaks; it takes Linux 5.12 and a file system that can (ext4, xfs, btrfs; overlay from 5.19)';
    return warn(name, `cannot be shown with other owners, so that files belong to nobody inside: ${reason}`, remedy);
  } finally {
    await rmdir(target).catch(() => {});
  }
}
