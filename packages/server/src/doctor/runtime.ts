import { findRuntime, type Runtime, usualRuntimes } from '../sandbox/oci/runtime.js';
import { findExecutable } from '../sandbox/rootfs/executable.js';
import { readMended } from './changelog.js';
import { type Check, fail, ok, warn } from './check.js';
import { messageOf } from './probe.js';
import { checkVulnerabilities } from './vulnerabilities.js';

export interface RuntimeFindings {
  readonly check: Check;
  /** Undefined when it is not there, or does not say what it is. */
  readonly runtime: Runtime | undefined;
}

/** Where packages put programs. */
const packagedPath = /^\/(?:usr\/)?s?bin\//;

/**
 * Looks for an OCI runtime on this machine.
 *
 * @param name of the program, or its path
 * @param configured the one of the configuration; empty when there is none
 */
export async function examineRuntime(name: string, configured: string): Promise<RuntimeFindings> {
  const label = `oci runtime ${name}`;
  if ((await findExecutable(name)) === undefined)
    return { check: await missing(label, name, configured), runtime: undefined };
  try {
    const runtime = await findRuntime(name);
    const { kind: program, version, path } = runtime;
    const mended = packagedPath.test(path) ? await readMended(program, version) : new Set<string>();
    const about = ` at ${JSON.stringify(path)}`;
    return { check: checkVulnerabilities(label, { program, version, mended, about }), runtime };
  } catch (error) {
    return { check: fail(label, messageOf(error), 'install it again'), runtime: undefined };
  }
}

/** Only what the configuration names, or all of the usual ones together, can be missed. */
async function missing(label: string, name: string, configured: string): Promise<Check> {
  const remedy = `install it (Debian: apt-get install ${name})`;
  if (name === configured) return fail(label, 'not installed, and PYEXEC_RUNTIME names it', remedy);
  const usual = await Promise.all(usualRuntimes.map(findExecutable));
  if (configured !== '' || usual.some((path) => path !== undefined)) return ok(label, 'not installed, and not needed');
  return usualRuntimes.includes(name)
    ? warn(label, 'not installed', remedy)
    : ok(label, 'not installed, and not needed');
}
