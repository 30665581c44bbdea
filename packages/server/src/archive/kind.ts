import { quote, ServiceError } from '@python-executor/contract';

const typeNames: Readonly<Record<string, string>> = {
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '6': 'a fifo',
  S: 'a sparse file',
};

/**
 * What an entry is, by its type flag. Contiguous files (`7`) are files; before there was a type for directories, a
 * slash at the end of the name made one.
 *
 * @throws ServiceError `archive_entry_type`
 */
export function readKind(type: string, name: Buffer): 'file' | 'directory' {
  if (type === '5') return 'directory';
  if (type === '0' || type === '7') return name.at(-1) === 0x2f ? 'directory' : 'file';
  throw new ServiceError(
    'archive_entry_type',
    `Cannot read archive: entry ${quote(name.toString())} is ${typeNames[type] ?? `of type ${quote(type)}`}, ` +
      'not a file or a directory',
  );
}
