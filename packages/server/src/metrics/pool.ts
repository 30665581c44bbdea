import { Counter, Histogram } from 'prom-client';
import type { PoolObserver } from '../sandbox/pool/pool.js';
import type { Definition } from './definition.js';

/** From a fork to a container of a busy engine. */
const makingSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** From one that is used as soon as it is there to the age at which it is replaced. */
const ageSeconds = [0.01, 0.1, 1, 10, 60, 300, 900, 1_800, 3_600];

export function countPool({ prefix, registers }: Definition): PoolObserver {
  const hits = new Counter({
    name: `${prefix}pool_hits_total`,
    help: 'How often a sandbox waited when one was wanted',
    registers,
  });
  const misses = new Counter({ name: `${prefix}pool_misses_total`, help: 'How often none did', registers });
  const age = new Histogram({
    name: `${prefix}pool_sandbox_age_seconds`,
    help: 'How long a sandbox had waited when it was wanted',
    buckets: ageSeconds,
    registers,
  });
  const making = new Histogram({
    name: `${prefix}sandbox_making_seconds`,
    help: 'How long a sandbox took until its agent was ready',
    buckets: makingSeconds,
    registers,
  });
  return {
    onHit(ageMs) {
      hits.inc();
      age.observe(ageMs / 1000);
    },
    onMiss: () => misses.inc(),
    onMade: (makingMs) => making.observe(makingMs / 1000),
  };
}
