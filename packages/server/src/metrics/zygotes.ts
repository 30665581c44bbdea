import { performance } from 'node:perf_hooks';
import { Counter, Gauge } from 'prom-client';
import type { ZygoteObserver } from '../sandbox/oci/zygote-maker.js';
import type { Definition } from './definition.js';

export function countZygotes({ prefix, registers }: Definition): ZygoteObserver {
  const known = new Set<Parameters<ZygoteObserver['onStarted']>[0]>();
  const alive = () => {
    for (const zygote of known) if (!zygote.alive) known.delete(zygote);
    return [...known];
  };
  const forks = new Counter({
    name: `${prefix}zygote_forks_total`,
    help: 'Sandboxes that were asked of a zygote, by whether they came up',
    labelNames: ['outcome'] as const,
    registers,
  });
  const replaced = new Counter({
    name: `${prefix}zygotes_replaced_total`,
    help: 'Zygotes in whose place another was started, by why',
    labelNames: ['cause'] as const,
    registers,
  });
  new Gauge({
    name: `${prefix}zygotes`,
    help: 'Zygotes that are alive, those included that were replaced and have sandboxes still',
    registers,
    collect() {
      this.set(alive().length);
    },
  });
  new Gauge({
    name: `${prefix}zygote_age_seconds`,
    help: 'Age of the zygote that was started last; 0 while there is none',
    registers,
    collect() {
      const born = alive().map(({ bornMs }) => bornMs);
      this.set(born.length === 0 ? 0 : (performance.now() - Math.max(...born)) / 1000);
    },
  });
  return {
    onStarted: (zygote) => void known.add(zygote),
    onForked: () => forks.inc({ outcome: 'made' }),
    onForkFailed: () => forks.inc({ outcome: 'failed' }),
    onReplaced: (cause) => replaced.inc({ cause }),
  };
}
