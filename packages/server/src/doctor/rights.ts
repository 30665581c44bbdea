import { readFile } from 'node:fs/promises';
import { findExecutable } from '../sandbox/rootfs/executable.js';
import { type Check, fail, ok } from './check.js';

/** What it takes to make containers, by the bit that stands for it. */
const capabilities = { CHOWN: 0, SETGID: 6, SETUID: 7, SYS_ADMIN: 21, MKNOD: 27 };
/** Programs that prepare mounts and namespaces. */
const programs = ['sh', 'mount', 'umount', 'nsenter', 'setpriv', 'unshare'];

/** Whether this process may make containers by itself. */
export async function checkRights(): Promise<Check> {
  const name = 'oci rights';
  const user = process.getuid?.();
  if (user !== 0) {
    return fail(name, `this is user ${user}; containers without an engine take root`, 'start the service as root');
  }
  const [, mask = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(await readFile('/proc/self/status', 'utf8')) ?? [];
  const bits = BigInt(`0x${mask}`);
  const missing = Object.entries(capabilities).filter(([, bit]) => (bits & (1n << BigInt(bit))) === 0n);
  if (missing.length > 0) {
    const names = missing.map(([capability]) => `CAP_${capability}`).join(', ');
    return fail(name, `root without ${names}`, 'in a container: give it those capabilities, or --privileged');
  }
  const found = await Promise.all(programs.map(findExecutable));
  const absent = programs.filter((_program, index) => found[index] === undefined);
  if (absent.length === 0) return ok(name, 'root, with the capabilities and programs that it takes');
  return fail(name, `root, but ${absent.join(', ')} not found`, 'install them; most are of the package util-linux');
}
