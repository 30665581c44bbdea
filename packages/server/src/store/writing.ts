import type { Database } from 'libsql';
import { faultOf, isOperationFault } from './faults.js';
import type { Fault, Operation } from './messages.js';
import { Statements } from './statements.js';

/** Carries out operations, many in one transaction. */
export class Writer {
  readonly #statements: Statements;

  constructor(
    private readonly database: Database,
    root: string,
  ) {
    this.#statements = new Statements(database, root);
  }

  /**
   * All operations in one transaction, and so with one wait for the disk. When one of them can never be done, the others
   * are all the same.
   *
   * @returns for each how many rows it changed, or why it can never be done
   * @throws SqliteError when nothing could be written; nothing has changed then
   */
  write(operations: readonly Operation[]): readonly (number | Fault)[] {
    try {
      return this.#transaction(() => operations.map((operation) => this.#statements.run(operation)));
    } catch (error) {
      if (!isOperationFault(faultOf(error))) throw error;
      return this.#transaction(() => operations.map((operation) => this.#attempt(operation)));
    }
  }

  #transaction<Result>(body: () => Result): Result {
    this.database.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      this.database.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself already after some errors.
      if (this.database.inTransaction) this.database.exec('ROLLBACK');
      throw error;
    }
  }

  #attempt(operation: Operation): number | Fault {
    this.database.exec('SAVEPOINT attempt');
    try {
      const changes = this.#statements.run(operation);
      this.database.exec('RELEASE attempt');
      return changes;
    } catch (error) {
      const fault = faultOf(error);
      if (!isOperationFault(fault)) throw error;
      this.database.exec('ROLLBACK TO attempt; RELEASE attempt');
      return fault;
    }
  }
}
