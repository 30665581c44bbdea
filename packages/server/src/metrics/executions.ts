import { Counter } from 'prom-client';
import type { ExecutionObserver } from '../jobs/ports.js';
import type { Definition } from './definition.js';

export function countExecutions({ prefix, registers }: Definition): ExecutionObserver {
  const ended = new Counter({
    name: `${prefix}executions_total`,
    help: 'Executions that have ended, by status and reason of the result',
    labelNames: ['status', 'reason'] as const,
    registers,
  });
  return {
    onEnded: ({ status, termination: { reason } }) => ended.inc({ status, reason }),
  };
}
