import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import Database, { type Database as Libsql } from 'libsql';
import { createDatabase } from './creation.js';
import { faultOf, isCorruption } from './faults.js';
import { migrate, schemaVersion } from './migrations.js';
import { select, selectNumber } from './query.js';

const inMemory = ':memory:';

/** How long a server that is just going away may hold the lock still. */
const busyTimeoutMs = 500;

/** Up to this size every page is checked at start, beyond it only the table that everything hangs on. */
const checkedBytesMax = 256 * 1024 * 1024;

/** The WAL is cut to this size after it was larger. */
const walBytesMax = 64 * 1024 * 1024;

/** Where the parts of a data directory lie. */
export interface Places {
  /** What paths in the database are relative to. */
  readonly root: string;
  readonly file: string;
  readonly spoolDir: string | undefined;
}

export function placesOf(dataDir: string): Places {
  if (dataDir === inMemory) return { root: '/', file: inMemory, spoolDir: undefined };
  const root = resolve(dataDir);
  return { root, file: join(root, 'executions.db'), spoolDir: join(root, 'spool') };
}

/**
 * Opens the database of a data directory, makes it when there is none, brings it up to date, and holds it alone until
 * the thread ends. The lock is SQLite's own, which the kernel drops with the process. It would be lost if another part
 * of this process opened and closed the file, so nothing but SQLite ever opens it.
 *
 * @throws Error that names the file: in use, corrupt, of a newer version, or not to be opened
 */
export function openDatabase(dataDir: string): Libsql {
  const { file } = placesOf(dataDir);
  try {
    if (file !== inMemory) ensureFile(dataDir, file);
    const database = new Database(file, { timeout: busyTimeoutMs });
    lock(database);
    check(database);
    // Nothing is written before this line, so that a database that is refused stays as it is.
    configure(database);
    migrate(database);
    return database;
  } catch (error) {
    throw new Error(refusalOf(error, dataDir, file), { cause: error });
  }
}

function ensureFile(dataDir: string, file: string): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const status = statSync(file, { throwIfNoEntry: false });
  if (status?.size === 0) throw corruption('the file is empty');
  if (status !== undefined) return;
  const journal = `${file}-wal`;
  // SQLite would carry out the changes in it on the new database.
  if (existsSync(journal)) throw new Error(`${JSON.stringify(journal)} is there without it; move that away too`);
  createDatabase(file);
}

function lock(database: Libsql): void {
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('BEGIN EXCLUSIVE');
  database.exec('COMMIT');
}

function check(database: Libsql): void {
  const sizeBytes = selectNumber(database, 'PRAGMA page_count') * selectNumber(database, 'PRAGMA page_size');
  const [row] = select(
    database,
    sizeBytes > checkedBytesMax ? "PRAGMA quick_check('executions')" : 'PRAGMA quick_check(1)',
  );
  if (row?.[0] !== 'ok') throw corruption(String(row?.[0]).replaceAll('\n', ' '));
  const version = selectNumber(database, 'PRAGMA user_version');
  if (version > schemaVersion) throw new NewerVersion(version);
}

function configure(database: Libsql): void {
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  database.exec('PRAGMA foreign_keys = ON');
  // What held secrets is overwritten where that costs no further write.
  database.exec('PRAGMA secure_delete = FAST');
  database.exec(`PRAGMA journal_size_limit = ${walBytesMax}`);
}

class NewerVersion extends Error {
  constructor(readonly version: number) {
    super(`it has schema ${version}, and this version knows schemas up to ${schemaVersion}`);
  }
}

function corruption(message: string): Error {
  return Object.assign(new Error(message), { code: 'SQLITE_CORRUPT' });
}

function refusalOf(error: unknown, dataDir: string, file: string): string {
  const fault = faultOf(error);
  const { code, message } = fault;
  if (code.startsWith('SQLITE_BUSY')) {
    return `Cannot open the store: data directory ${JSON.stringify(dataDir)} is in use by another python-executor`;
  }
  if (error instanceof NewerVersion) {
    return `Cannot open the store: ${JSON.stringify(file)} was written by a newer python-executor (${message})`;
  }
  if (isCorruption(fault)) {
    return `Cannot open the store: ${JSON.stringify(file)} is corrupt (${message}); restore it from a backup, or move it and its -wal away to start without it`;
  }
  return `Cannot open the store: ${JSON.stringify(file)} could not be opened: ${message}`;
}
