import { maskedPaths, readonlyPaths, sharedMemoryBytes, type Tmpfs } from '../containment.js';

/** What a zygote has to know of one sandbox that it is to fork; see agent/zygote.py. */
export interface ForkDescription {
  /** One path component: the name of the sandbox's cgroup. */
  readonly cgroup: string;
  readonly writable: readonly Tmpfs[];
}

/** Options of `mount` that are flags of the system call; every other is handed on as text. */
const flags: Readonly<Record<string, number>> = { ro: 1, nosuid: 2, nodev: 4, noexec: 8, rw: 0, exec: 0 };

const closed = ['nosuid', 'noexec', 'nodev'];

/** One line of `key=value` words, in the order in which they are to be done. */
export function encodeDescription({ cgroup, writable }: ForkDescription): string {
  const mounts = writable.map(({ path, options }) => encodeMount('tmpfs', path, options));
  return `${[`cgroup=${cgroup}`, ...mounts].join(' ')}\n`;
}

/** What all sandboxes of a zygote have in common, in the same form. */
export function describeForks(): string {
  const mounts = [
    encodeMount('tmpfs', '/dev/shm', [...closed, 'mode=1777', `size=${sharedMemoryBytes}`]),
    encodeMount('mqueue', '/dev/mqueue', closed),
    encodeMount('devpts', '/dev/pts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
  ];
  const masks = maskedPaths.filter(isInProc).map((path) => `mask=${path}`);
  const readonlys = readonlyPaths.filter(isInProc).map((path) => `readonly=${path}`);
  return [...mounts, ...masks, ...readonlys].join(' ');
}

/** What lies elsewhere the zygote's own container hides already. */
export function isInProc(path: string): boolean {
  return path.startsWith('/proc/');
}

function encodeMount(type: string, path: string, options: readonly string[]): string {
  const flagBits = options.reduce((bits, option) => bits | (flags[option] ?? 0), 0);
  const rest = options.filter((option) => !(option in flags));
  return `mount=${type}:${path}:${flagBits}:${rest.join(',')}`;
}
