import { quote, ServiceError } from '@python-executor/contract';
import type { Archive } from '../jobs/ports.js';
import { CanonicalArchive } from './canonical.js';
import type { ArchiveOptions } from './limits.js';

/** A text file. The name is a path, under the same rules as in an archive. */
export interface SourceFile {
  readonly name: string;
  readonly content: string;
}

/**
 * Writes a canonical archive of text files.
 *
 * @throws ServiceError `archive_path`, `archive_conflict`, `archive_too_many_entries`, `archive_too_large` or
 * `store_unavailable`. Nothing is left behind then.
 */
export async function archiveOfFiles(files: readonly SourceFile[], options: ArchiveOptions): Promise<Archive> {
  const archive = new CanonicalArchive(options);
  try {
    for (const file of files) {
      const content = Buffer.from(file.content);
      archive.begin({ name: encodeName(file.name), kind: 'file', executable: false, sizeBytes: content.length });
      archive.write(content);
      archive.end();
      if (archive.full) await archive.flush();
    }
    return await archive.finish();
  } catch (error) {
    await archive.discard();
    throw error;
  }
}

function encodeName(name: string): Buffer {
  const bytes = Buffer.from(name);
  // A lone surrogate would silently become another character.
  if (bytes.toString() === name) return bytes;
  throw new ServiceError('archive_path', `Cannot read archive: the path ${quote(name)} is not Unicode`);
}
