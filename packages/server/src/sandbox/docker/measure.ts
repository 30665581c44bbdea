import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerStats } from 'dockerode';
import type { Measured } from '../../jobs/ports.js';
import type { Ending } from './endings.js';
import type { Engine } from './engine.js';

const measureTimeoutMs = 2000;
/** How long a container that is gone may take to be reported as gone, with why. */
const endingTimeoutMs = 500;

/**
 * Reads a container's counters. The peak is the highest use on cgroup v1; the engine has none on v2, so there it is the
 * use of the moment. A container that is gone has no counters any more: if it was killed for memory that is still known,
 * and its peak then was its limit.
 */
export async function measureContainer(
  engine: Engine,
  container: { readonly id: string; readonly ending: Ending; readonly memoryBytes: number },
): Promise<Measured | undefined> {
  const counters = await readCounters(engine, container.id);
  if (counters !== undefined) return { ...counters, oomKilled: container.ending.oomKilled };
  await Promise.race([container.ending.removed, delay(endingTimeoutMs, undefined, { ref: false })]);
  if (!container.ending.oomKilled) return undefined;
  return { cpuMs: 0, memoryPeakBytes: container.memoryBytes, oomKilled: true };
}

async function readCounters(engine: Engine, id: string): Promise<Omit<Measured, 'oomKilled'> | undefined> {
  const container = engine.docker.getContainer(id);
  try {
    const read = () => container.stats({ stream: false, 'one-shot': true });
    return toCounters(await engine.call('measure container', read, { timeoutMs: measureTimeoutMs }));
  } catch {
    return undefined;
  }
}

/** A container that has ended is answered for with zeros. */
function toCounters(stats: Partial<ContainerStats>): Omit<Measured, 'oomKilled'> | undefined {
  const cpuNanoseconds = stats.cpu_stats?.cpu_usage?.total_usage ?? 0;
  if (cpuNanoseconds === 0) return undefined;
  const { max_usage: peak, usage = 0 } = stats.memory_stats ?? {};
  return { cpuMs: Math.round(cpuNanoseconds / 1e6), memoryPeakBytes: peak || usage };
}
