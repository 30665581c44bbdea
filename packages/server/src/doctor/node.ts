import { type Check, fail, ok } from './check.js';
import { isBefore, parseVersion, type Version } from './version.js';

const name = 'node';
const versionMin: Version = [20, 19, 0, Infinity];

export async function checkNode(text: string = process.versions.node): Promise<Check> {
  const version = parseVersion(text);
  if (version !== undefined && !isBefore(version, versionMin)) return ok(name, text);
  return fail(name, `${text} is older than ${versionMin.slice(0, 3).join('.')}`, 'install a newer Node.js');
}
