import { readFile } from 'node:fs/promises';
import type { UserRange } from '../sandbox/rootfs/root.js';
import { type Check, ok, warn } from './check.js';

/** The user after the last owns the sandboxes' namespace. */
export async function checkUsers({ first, count }: UserRange): Promise<Check> {
  const name = 'oci users';
  const last = first + count;
  const taken: string[] = [];
  for (const [file, lengthField] of [
    ['/etc/passwd', undefined],
    ['/etc/group', undefined],
    ['/etc/subuid', 2],
    ['/etc/subgid', 2],
  ] as const) {
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(Boolean);
    for (const fields of lines.map((line) => line.split(':'))) {
      const start = Number(fields[lengthField === undefined ? 2 : 1]);
      const end = start + (lengthField === undefined ? 0 : Number(fields[lengthField]) - 1);
      if (start <= last && end >= first) taken.push(`${fields[0]} in ${file}`);
    }
  }
  if (taken.length === 0) return ok(name, `${first} to ${last} belong to nobody`);
  const remedy = 'give those accounts, or their subordinate users, other numbers';
  return warn(name, `of the sandboxes' users ${first} to ${last} some belong to ${taken.join(', ')}`, remedy);
}
