import { closeSync, linkSync, openSync, rmSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import Database from 'libsql';
import { faultOf } from './faults.js';
import { migrate } from './migrations.js';

/**
 * Makes a database where there is none. It appears with all its tables or not at all, so that a file that is empty is
 * known for one that was cut off.
 */
export function createDatabase(file: string): void {
  const draft = `${file}.${process.pid}-${threadId}.new`;
  rmSync(draft, { force: true });
  try {
    // SQLite gives its other files the mode of this one.
    closeSync(openSync(draft, 'wx', 0o600));
    const database = new Database(draft);
    database.exec('PRAGMA auto_vacuum = INCREMENTAL');
    migrate(database);
    database.close();
    linkSync(draft, file);
  } catch (error) {
    // Another server that starts at the same time was first; the lock tells which of them goes on.
    if (faultOf(error).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
