import type { Database } from 'libsql';
import { selectNumber } from './query.js';

/**
 * The schema, as the steps that led to it. A step that was released is never changed: databases in the field have taken
 * it. The number of steps that a database has taken stands in its `user_version`.
 */
const migrations: readonly string[] = [
  `
  -- What an execution is and how it ended. Kept small, because changing a row rewrites it.
  CREATE TABLE executions (
    -- Counts up, so that it is also the order of acceptance.
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'running', 'completed', 'failed', 'killed')),
    created_at TEXT NOT NULL,
    started_at TEXT,
    finished_at TEXT,
    accepted TEXT NOT NULL,
    finished TEXT
  ) STRICT;

  CREATE INDEX executions_finished ON executions (finished_at) WHERE finished_at IS NOT NULL;

  -- What is needed to run an execution: code and secrets. A row goes when its execution ends.
  CREATE TABLE jobs (
    execution INTEGER PRIMARY KEY REFERENCES executions ON DELETE CASCADE,
    job TEXT NOT NULL,
    -- Either the bytes of the archive or the path of its file, relative to the data directory.
    archive BLOB,
    archive_path TEXT,
    archive_bytes INTEGER NOT NULL,
    archive_files TEXT NOT NULL
  ) STRICT;

  CREATE TABLE output (
    execution INTEGER NOT NULL REFERENCES executions ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    stream TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (execution, seq)
  ) STRICT, WITHOUT ROWID;
  `,
];

/** The schema that this version writes. */
export const schemaVersion = migrations.length;

/** Takes the steps that the database has not taken yet, each in a transaction. */
export function migrate(database: Database): void {
  const version = selectNumber(database, 'PRAGMA user_version');
  migrations.slice(version).forEach((migration, index) => {
    database.exec(`BEGIN IMMEDIATE; ${migration}; PRAGMA user_version = ${version + index + 1}; COMMIT`);
  });
}
