import type { Registry } from 'prom-client';

/** What every metric of one server is defined with. */
export interface Definition {
  readonly registers: Registry[];
  /** Of its name. */
  readonly prefix: string;
}
