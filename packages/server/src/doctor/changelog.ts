import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const bytesMax = 8 * 1024 * 1024;

/**
 * The ids of vulnerabilities that Debian's package of a program names in its changelog: distributions mend them without
 * a new upstream version. Empty where there is no such package, or where the program is not from it.
 *
 * @param version as the program itself has it, e.g. `1.1.5+ds1`
 */
export async function readMended(program: string, version: string): Promise<ReadonlySet<string>> {
  try {
    const compressed = await readFile(`/usr/share/doc/${program}/changelog.Debian.gz`);
    const text = (await promisify(gunzip)(compressed, { maxOutputLength: bytesMax })).toString();
    // Packages that only bring the same source as another are not looked for.
    const [, packaged = ''] = /^\S+ \((?:\d+:)?([^)]+)\)/.exec(text) ?? [];
    if (packaged !== version && !packaged.startsWith(`${version}-`)) return new Set();
    return new Set(text.match(/\bCVE-\d{4}-\d{4,}\b/g));
  } catch {
    return new Set();
  }
}
