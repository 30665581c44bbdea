import { readFileSync } from 'node:fs';

/**
 * Reads our seccomp profile. It is in the format of Docker's profiles without `includes` and `excludes`, so that an OCI
 * runtime takes it too once `archMap` is resolved.
 *
 * @returns the profile as JSON without white space
 */
export function readSeccompProfile(): string {
  const text = readFileSync(new URL('../../seccomp/profile.json', import.meta.url), 'utf8');
  return JSON.stringify(JSON.parse(text));
}
