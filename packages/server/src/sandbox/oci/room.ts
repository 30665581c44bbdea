import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { close, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { SandboxError } from '../../jobs/ports.js';
import { systemPath } from '../rootfs/executable.js';
import type { UserRange } from '../rootfs/root.js';

/**
 * A mount namespace of our own in which runtimes are started. What has to be mounted for sandboxes is mounted there once,
 * and nothing of it is seen on the host or outlives us.
 */
export interface Room {
  /** Where the devices are that sandboxes get. */
  readonly devices: string;
  /** Path of the runtime inside; see {@link RoomOptions.runtime}. */
  readonly runtime: string;
  /** A descriptor of the namespace, which a process that is to enter it gets as number 3. */
  readonly descriptor: number;
  /** Arguments of `nsenter` that run a script of the shell inside, with that descriptor closed. */
  enter(script: string, parameters: readonly string[]): readonly string[];
  /** Shows a root file system of the host inside, read-only. @returns where. */
  attach(source: string, name: string): Promise<string>;
  close(): Promise<void>;
}

export interface RoomOptions {
  /** Where mounts go that nobody else sees. */
  readonly directory: string;
  /** Path of the runtime. Inside it is a read-only mount: crun spares itself making a copy of itself at each start. */
  readonly runtime: string;
  /** A cgroup tree to hide; crun refuses to work while it sees version 2 with a controller beside version 1. */
  readonly strayCgroups: string | undefined;
  readonly users: UserRange;
  /** The interpreter that can show directories with owners of the sandbox; without one they belong to nobody there. */
  readonly python: string | undefined;
  /** The root file system in which directories of the host are shown. */
  readonly root: string;
  /** Flags that every root file system is mounted with, whatever those of the disk are that it lies on. */
  readonly rootFlags: string;
  /** Where directories of the host are shown, by their path on the host. */
  readonly shown: ReadonlyMap<string, string>;
}

const childEnvironment = { PATH: systemPath };
const devices = { null: 3, zero: 5, full: 7, random: 8, urandom: 9 };

const makeRoom = `
set -eu
if [ -n "$STRAY" ]; then umount "$STRAY"; fi
touch "$RUNTIME_INSIDE"
mount --bind "$RUNTIME" "$RUNTIME_INSIDE"
mount -o remount,bind,ro "$RUNTIME_INSIDE"
mount -t tmpfs -o "mode=755,nosuid,noexec,size=64k,uid=$FIRST,gid=$FIRST" tmpfs "$DEVICES"
cd "$DEVICES"
${Object.entries(devices)
  .map(([name, minor]) => `mknod -m 666 ${name} c 1 ${minor}`)
  .join('\n')}
mknod -m 666 tty c 5 0
chown "$FIRST:$FIRST" *
ln -s /proc/self/fd fd
ln -s /proc/self/fd/0 stdin
ln -s /proc/self/fd/1 stdout
ln -s /proc/self/fd/2 stderr
ln -s /proc/kcore core
ln -s pts/ptmx ptmx
mkdir pts mqueue
# Some runtimes give a file system the mode of the directory that it is mounted on.
mkdir -m 1777 shm
cd /
mount -o remount,ro "$DEVICES"
mount --bind "$ROOT" "$ROOT"
mount -o "remount,bind,$ROOT_FLAGS" "$ROOT"
if [ -z "$PYTHON" ] || ! "$PYTHON" -I -S "$SHOW" "$FIRST" "$COUNT" "$@"; then
  while [ $# -gt 0 ]; do
    mount --rbind "$1" "$2"
    mount -o remount,bind,ro,nosuid,nodev "$2"
    shift 2
  done
fi
echo ready
read -r line || :
`;

const attachRoot = `
set -eu
mount --bind "$1" "$2"
mount -o "remount,bind,$3" "$2"
`;

/** @throws SandboxError `engine_unavailable` when mounts cannot be made */
export async function openRoom(options: RoomOptions): Promise<Room> {
  const { directory } = options;
  const inside = { devices: join(directory, 'devices'), runtime: join(directory, 'runtime') };
  await mkdir(inside.devices, { recursive: true });
  const descriptor = await make(options, inside);
  const enter = (script: string, parameters: readonly string[]): readonly string[] => [
    ...['--mount=/proc/self/fd/3', '/bin/sh', '-c', `exec 3<&-\n${script}`, 'sh'],
    ...parameters,
  ];

  return {
    ...inside,
    descriptor,
    enter,
    async attach(source, name) {
      const target = join(directory, name);
      await mkdir(target, { recursive: true });
      const child = spawn('nsenter', enter(attachRoot, [source, target, options.rootFlags]), {
        stdio: ['ignore', 'ignore', 'pipe', descriptor],
        env: childEnvironment,
      });
      const [said, [status]] = await Promise.all([text(child.stderr as Readable), once(child, 'close')]);
      if (status !== 0) throw new SandboxError('internal', `Cannot show "${source}" to sandboxes: ${said.trim()}`);
      return target;
    },
    close: () => new Promise((resolve) => close(descriptor, () => resolve())),
  };
}

async function make(
  options: RoomOptions,
  inside: { readonly devices: string; readonly runtime: string },
): Promise<number> {
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'slave', '/bin/sh', '-c', makeRoom, 'sh', ...[...options.shown].flat()],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...childEnvironment,
        STRAY: options.strayCgroups ?? '',
        RUNTIME: options.runtime,
        RUNTIME_INSIDE: inside.runtime,
        DEVICES: inside.devices,
        ROOT: options.root,
        ROOT_FLAGS: options.rootFlags,
        FIRST: String(options.users.first),
        COUNT: String(options.users.count),
        PYTHON: options.python ?? '',
        SHOW: fileURLToPath(new URL('../../../rootfs/show.py', import.meta.url)),
      },
    },
  );
  const closed = once(child, 'close');
  const said = text(child.stderr);
  try {
    const ready = await Promise.race([once(child.stdout, 'data'), closed.then(() => undefined)]);
    if (ready !== undefined) return openSync(`/proc/${child.pid}/ns/mnt`, 'r');
  } catch (error) {
    throw unavailable((error as Error).message, error);
  } finally {
    // The descriptor keeps the namespace; the process was only needed until it was open.
    child.stdin.destroy();
  }
  throw unavailable((await said).trim());
}

function unavailable(reason: string, cause?: unknown): SandboxError {
  return new SandboxError('engine_unavailable', `Cannot mount what sandboxes need: ${reason}`, { cause });
}
