import type { Workload } from './workloads.js';

/** Runs something once and throws unless it printed the right thing. */
export type Run = () => Promise<void>;

/** A way of running Python that is timed. */
export interface Target {
  readonly name: string;
  /** Gets ready for a workload. */
  prepare(workload: Workload): Promise<Run>;
  /** Resolves when the next run meets a machine at rest: everything that waits is there, nothing is being made. */
  rest?(): Promise<void>;
  close(): Promise<void>;
}
