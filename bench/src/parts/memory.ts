import { namespaceOf, processesOf, pssBytes } from '../processes.js';
import { median } from '../statistics.js';
import type { Part } from './part.js';

const title = 'idle memory of a warm sandbox';
const head = ['way', 'waiting', 'PSS of a sandbox', 'with its keeper', 'PSS of the zygote', 'with its keeper'];

/**
 * Proportional set sizes when nothing runs: private pages in full, and of shared ones a share for each process that has
 * them. A sandbox's are those of all processes in its PID namespace; its keeper is what the runtime leaves outside of it
 * to watch over it. Pages that a sandbox has in common with its zygote count for both by their share.
 */
export const measureMemory: Part = async (service, way) => {
  if (way.temperature === 'cold') return {};
  await service.rest();
  const { sandboxes, zygotes } = processesOf(service);
  const sizes = [...sandboxes.values()].map(sizeOf);
  const zygote = sizeOf(zygotes);
  const cells = [
    way.name,
    String(sizes.length),
    megabytes(median(sizes.map(({ own }) => own))),
    megabytes(median(sizes.map(({ all }) => all))),
    zygotes.length === 0 ? '' : megabytes(zygote.own),
    zygotes.length === 0 ? '' : megabytes(zygote.all),
  ];
  return { extras: [{ title, head, cells }] };
};

function sizeOf(pids: readonly number[]): { readonly own: number; readonly all: number } {
  const hostNamespace = namespaceOf('self', 'pid');
  const sizes = pids.map((pid) => ({ bytes: pssBytes(pid), isInside: namespaceOf(pid, 'pid') !== hostNamespace }));
  const sum = (members: typeof sizes): number => members.reduce((total, { bytes }) => total + bytes, 0);
  return { own: sum(sizes.filter(({ isInside }) => isInside)), all: sum(sizes) };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
