import { quote, ServiceError } from '@python-executor/contract';
import { pathsBytesMax } from './limits.js';

/** The paths of an archive, each of them a file or a directory and never both. Parents are directories. */
export class Tree {
  readonly #kinds = new Map<string, 'file' | 'directory'>();
  readonly #directoriesMax: number;
  #directories = 0;
  #pathBytes = 0;

  constructor(directoriesMax: number) {
    this.#directoriesMax = directoriesMax;
  }

  /** In the order in which they came first. */
  get files(): readonly string[] {
    const files: string[] = [];
    for (const [path, kind] of this.#kinds) if (kind === 'file') files.push(path);
    return files;
  }

  /** @throws ServiceError `archive_conflict`, `archive_too_many_entries` or `archive_too_large` */
  addFile(path: string): void {
    this.#addParents(path);
    this.#add(path, 'file');
  }

  /** @throws ServiceError `archive_conflict`, `archive_too_many_entries` or `archive_too_large` */
  addDirectory(path: string): void {
    this.#addParents(path);
    this.#add(path, 'directory');
  }

  #addParents(path: string): void {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      // A directory that is known has had its own parents added.
      if (!this.#add(path.slice(0, end), 'directory')) return;
    }
  }

  /** @returns whether the path is new */
  #add(path: string, kind: 'file' | 'directory'): boolean {
    const known = this.#kinds.get(path);
    if (known === kind) return false;
    if (known !== undefined) {
      throw new ServiceError('archive_conflict', `Cannot read archive: ${quote(path)} is both a file and a directory`);
    }
    this.#kinds.set(path, kind);
    if (kind === 'directory') this.#countDirectory();
    this.#countBytes(path);
    return true;
  }

  #countDirectory(): void {
    if (++this.#directories > this.#directoriesMax) {
      throw new ServiceError(
        'archive_too_many_entries',
        `Cannot read archive: it has more than ${this.#directoriesMax} directories`,
      );
    }
  }

  #countBytes(path: string): void {
    this.#pathBytes += path.length;
    if (this.#pathBytes > pathsBytesMax) {
      throw new ServiceError(
        'archive_too_large',
        `Cannot read archive: its paths add up to more than ${pathsBytesMax} characters`,
      );
    }
  }
}
