/** Numbers that compare in their order; the last is that of a release candidate, or infinite. */
export type Version = readonly [major: number, minor: number, patch: number, candidate: number];

/** Reads the number of a version as upstream has it, e.g. of `1.0.0~rc93+ds1`, `v1.2.8` or `1.1.5+ds1`. */
export function parseVersion(text: string): Version | undefined {
  const match = /^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-~.]?rc\.?(\d+))?/.exec(text);
  if (match === null) return undefined;
  const [, major, minor, patch = '0', candidate] = match;
  return [Number(major), Number(minor), Number(patch), candidate === undefined ? Infinity : Number(candidate)];
}

export function isBefore(one: Version, other: Version): boolean {
  const index = one.findIndex((part, position) => part !== other[position]);
  return index >= 0 && (one[index] as number) < (other[index] as number);
}

/** Whether it has what came with each of `fixes`: the first version of every branch that has it, the oldest first. */
export function includesFix(version: Version, fixes: readonly Version[]): boolean {
  const [major, minor] = version;
  const ofBranch = fixes.find((fix) => fix[0] === major && fix[1] === minor);
  const newest = fixes.at(-1);
  const needed = ofBranch ?? newest;
  return needed !== undefined && !isBefore(version, needed);
}
