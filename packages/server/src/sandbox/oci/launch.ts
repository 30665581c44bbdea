import { join } from 'node:path';
import type { SandboxSpec } from '../../jobs/ports.js';
import { coreBytesMax } from '../containment.js';
import type { RootFileSystem, UserRange } from '../rootfs/root.js';
import type { Cgroup } from './cgroup/cgroups.js';
import type { Room } from './room.js';
import type { RuntimeTraits } from './runtime.js';

/** How a sandbox is to be started. */
export interface Launch {
  readonly id: string;
  readonly spec: Pick<SandboxSpec, 'privilege' | 'diskBytes'>;
  readonly inodesMax: number;
  readonly root: RootFileSystem;
  readonly users: UserRange;
  readonly traits: RuntimeTraits;
  readonly openFilesMax: number;
  /** The sandbox's own directory, with its configuration in it. */
  readonly directory: string;
  /** Where the runtime keeps its account of containers. */
  readonly stateDirectory: string;
  /** `file`: the container gets the process's descriptor 4 as its number 3. */
  readonly handsOn: 'nothing' | 'file';
}

/** In a cgroup from before the runtime begins, so that whatever it starts is there from its first moment. */
const joinCgroup = `
while [ "$1" != -- ]; do
  echo 0 > "$1" || exit 1
  shift
done
shift
exec "$@"
`;

const handOn = 'exec 3<&4 4<&-';

/** Lays a file system in memory over the shared root, in a mount namespace that ends with the sandbox. */
const makeWritable = `
set -eu
directory=$1 size=$2 inodes=$3 owner=$4 root=$5
shift 5
mount -t tmpfs -o "size=$size,nr_inodes=$inodes,mode=711" tmpfs "$directory"
cd "$directory"
mkdir -m 755 root
layer=0
while [ "$1" != -- ]; do
  mkdir -m 755 "upper$layer" "work$layer"
  chown "$owner:$owner" "upper$layer"
  mount -t overlay -o "nosuid,nodev,lowerdir=$root$1,upperdir=$PWD/upper$layer,workdir=$PWD/work$layer" overlay "root$1"
  layer=$((layer + 1))
  shift
done
shift
cd /
exec "$@"
`;

/** Whether a root that can be written to has to be made on the host. */
export function makesWritable({ spec, traits }: Launch): boolean {
  return spec.privilege === 'setup' && traits.writableRootOptions === undefined;
}

/** Where the runtime finds the root. */
export function rootOf(launch: Launch): string {
  return makesWritable(launch) ? join(writableOf(launch), 'root') : launch.root.path;
}

export function writableOf({ directory }: Launch): string {
  return join(directory, 'writable');
}

/**
 * The command that starts a sandbox, for a process that has the room's descriptor as number 3, and the file that it is to
 * hand on as number 4.
 */
export function launchCommand(
  launch: Launch,
  { room, cgroup }: { readonly room: Room; readonly cgroup: Cgroup },
): readonly [program: string, parameters: readonly string[]] {
  const { traits } = launch;
  const options = launch.spec.privilege === 'setup' ? (traits.writableRootOptions ?? []) : [];
  const run = [
    ...(traits.processLimits === 'before' ? limitCommand(launch) : []),
    ...[room.runtime, '--root', launch.stateDirectory, ...traits.options, ...options],
    ...['run', ...(launch.handsOn === 'file' ? (traits.descriptorOptions ?? []) : [])],
    ...['--bundle', launch.directory, launch.id],
  ];
  const command = makesWritable(launch) ? [...writableCommand(launch), '--', ...run] : run;
  const joined = traits.cgroups === 'join' ? cgroup.joinFiles : [];
  const script = launch.handsOn === 'file' ? `${handOn}\n${joinCgroup}` : joinCgroup;
  return ['nsenter', room.enter(script, [...joined, '--', ...command])];
}

/** Sets the limits on the runtime, which hands them on. */
function limitCommand({ openFilesMax }: Launch): readonly string[] {
  return ['prlimit', `--nofile=${openFilesMax}:${openFilesMax}`, `--core=${coreBytesMax}:${coreBytesMax}`];
}

function writableCommand(launch: Launch): readonly string[] {
  const { root, spec } = launch;
  return [
    ...['unshare', '--mount', '--propagation', 'private', '/bin/sh', '-c', makeWritable, 'sh', writableOf(launch)],
    ...[String(spec.diskBytes), String(launch.inodesMax), String(launch.users.first), root.path, '', ...root.mounts],
  ];
}
