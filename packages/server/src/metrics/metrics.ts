import { Gauge, Registry } from 'prom-client';
import type { ExecutionObserver, SandboxStats } from '../jobs/ports.js';
import type { ZygoteObserver } from '../sandbox/oci/zygote-maker.js';
import type { PoolObserver } from '../sandbox/pool/pool.js';
import type { Definition } from './definition.js';
import { countExecutions } from './executions.js';
import { countPool } from './pool.js';
import { countZygotes } from './zygotes.js';

/** What counts since the start, and what to tell whoever asks. Every server has its own. */
export interface Metrics {
  readonly executions: ExecutionObserver;
  readonly pool: PoolObserver;
  readonly zygotes: ZygoteObserver;
  /** All of it as Prometheus reads it. */
  render(now: Levels): Promise<string>;
}

/** What is read at the moment when it is asked for. */
export interface Levels {
  /** Executions that have their turn, and that wait for it. */
  readonly running: number;
  readonly waiting: number;
  readonly sandboxes: SandboxStats;
}

/** Of every name of a metric. */
const prefix = 'python_executor_';

export function createMetrics(): Metrics {
  const registry = new Registry();
  const definition: Definition = { registers: [registry], prefix };
  const level = (name: string, help: string): Gauge =>
    new Gauge({ name: `${prefix}${name}`, help, registers: [registry] });
  const running = level('executions_running', 'Executions that have their turn');
  const waiting = level('executions_waiting', 'Executions in the queue');
  const ready = level('sandboxes_waiting', 'Sandboxes that wait for a job');
  const making = level('sandboxes_making', 'Sandboxes that are being made');
  return {
    executions: countExecutions(definition),
    pool: countPool(definition),
    zygotes: countZygotes(definition),
    render(now) {
      running.set(now.running);
      waiting.set(now.waiting);
      ready.set(now.sandboxes.ready);
      making.set(now.sandboxes.making);
      return registry.metrics();
    },
  };
}
