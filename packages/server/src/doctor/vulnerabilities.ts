import { type Check, ok, warn } from './check.js';
import { includesFix, parseVersion, type Version } from './version.js';

interface Vulnerability {
  readonly ids: readonly string[];
  /** The first version without it of each branch that was mended, the oldest first. */
  readonly fixedIn: readonly string[];
}

/**
 * Ways out of a container, or to more rights in it, that were found in runtimes; the oldest first. CVE-2025-24965 of crun
 * is not among them: it takes crun's krun handler, which nobody here starts.
 */
const known: Readonly<Record<string, readonly Vulnerability[]>> = {
  runc: [
    { ids: ['CVE-2019-5736'], fixedIn: ['1.0.0-rc7'] },
    { ids: ['CVE-2021-30465'], fixedIn: ['1.0.0-rc95'] },
    { ids: ['CVE-2024-21626'], fixedIn: ['1.1.12'] },
    { ids: ['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2025-52881'], fixedIn: ['1.2.8', '1.3.3', '1.4.0-rc3'] },
  ],
  crun: [
    { ids: ['CVE-2019-18837'], fixedIn: ['0.10.5'] },
    { ids: ['CVE-2022-27650'], fixedIn: ['1.4.4'] },
  ],
};

export interface RuntimeSubject {
  /** E.g. `runc`. */
  readonly program: string;
  readonly version: string;
  /** What the distribution's package says that it has mended. */
  readonly mended: ReadonlySet<string>;
  /** What else is to be said of it. */
  readonly about: string;
}

/** Says which version a runtime is and what is known to be wrong with it. */
export function checkVulnerabilities(name: string, { program, version, mended, about }: RuntimeSubject): Check {
  const found = affecting(program, parseVersion(version));
  const ids = found.flatMap((vulnerability) => vulnerability.ids);
  const open = ids.filter((id) => !mended.has(id));
  const closed = ids.filter((id) => mended.has(id));
  const note = closed.length > 0 ? `; ${closed.join(', ')} mended by the distribution` : '';
  const subject = `${program} ${version}${about}`;
  if (open.length === 0) return ok(name, `${subject}${note}`);
  const fixedIn = found.at(-1)?.fixedIn.join(', ');
  return warn(
    name,
    `${subject}; the upstream version has ${open.join(', ')}${note}`,
    `upgrade ${program} to ${fixedIn} or later, unless your distribution has backported the fix`,
  );
}

/** Of a version that cannot be read nothing is known. */
function affecting(program: string, version: Version | undefined): readonly Vulnerability[] {
  if (version === undefined) return [];
  const all = Object.hasOwn(known, program) ? (known[program] as readonly Vulnerability[]) : [];
  return all.filter(({ fixedIn }) => !includesFix(version, fixedIn.map(parseVersion) as Version[]));
}
