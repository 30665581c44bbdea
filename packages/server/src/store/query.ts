import type { Database } from 'libsql';

/** Rows as arrays of columns. */
export function select(database: Database, sql: string): unknown[][] {
  return database.prepare(sql).raw().all([]) as unknown[][];
}

/** The first column of the first row. */
export function selectNumber(database: Database, sql: string): number {
  return Number(select(database, sql)[0]?.[0]);
}
