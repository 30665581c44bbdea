import { isUtf8 } from 'node:buffer';
import { quote, ServiceError } from '@python-executor/contract';
import { pathBytesMax } from './limits.js';

export interface PathLimits {
  readonly depthMax: number;
  readonly componentBytesMax: number;
}

const slash = 0x2f;
const firstPrintable = 0x20;
const del = 0x7f;

/**
 * Checks a path and writes it in the one way that is used from here on: relative, without empty and `.` components,
 * without a slash at its end. Backslashes are characters like others.
 *
 * @returns the path; empty when it is the root of the archive
 * @throws ServiceError `archive_path`
 */
export function normalisePath(bytes: Buffer, limits: PathLimits): string {
  if (bytes.length === 0) throw refuse(bytes, 'is empty');
  if (bytes.length > pathBytesMax) throw refuse(bytes, `has more than ${pathBytesMax} bytes`);
  if (!isUtf8(bytes)) throw refuse(bytes, 'is not UTF-8');
  if (bytes[0] === slash) throw refuse(bytes, 'is absolute');
  for (const byte of bytes) {
    if (byte < firstPrintable || byte === del) throw refuse(bytes, 'has a control character');
  }
  const components: string[] = [];
  for (const component of bytes.toString().split('/')) {
    if (component === '' || component === '.') continue;
    if (component === '..') throw refuse(bytes, 'has a ".." component');
    if (Buffer.byteLength(component) > limits.componentBytesMax) {
      throw refuse(bytes, `has a component of more than ${limits.componentBytesMax} bytes`);
    }
    components.push(component);
  }
  if (components.length > limits.depthMax) throw refuse(bytes, `is more than ${limits.depthMax} levels deep`);
  return components.join('/');
}

function refuse(bytes: Buffer, reason: string): ServiceError {
  const shown = quote(bytes.toString('utf8', 0, pathBytesMax));
  return new ServiceError('archive_path', `Cannot read archive: the path ${shown} ${reason}`);
}
