import type { Row } from '../row.js';
import type { ServiceTarget } from '../service.js';
import type { Way } from '../ways.js';
import type { Workload } from '../workloads.js';

export interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly workloads: readonly Workload[];
  readonly note: (text: string) => void;
}

/** What was found beside rows: a table of its own. */
export interface Extra {
  readonly title: string;
  readonly head: readonly string[];
  readonly cells: readonly string[];
}

export interface Findings {
  readonly rows?: readonly Row[];
  readonly extras?: readonly Extra[];
}

/** Measures one service in one respect. */
export type Part = (service: ServiceTarget, way: Way, settings: Settings) => Promise<Findings>;
