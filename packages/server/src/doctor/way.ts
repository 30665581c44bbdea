import { type Check, ok, warn } from './check.js';
import type { Trial } from './run.js';

const mend = 'mend what is quoted here, or set PYEXEC_ZYGOTE=off, so that no time is lost with trying';

/** Says how sandboxes were made, why so, and what would make them cheaper. */
export function describeWay(runtime: string, { making, warnings }: Trial, zygote: 'on' | 'off'): Check {
  const { backend, way, why } = making;
  const name = `${backend} sandboxes ${runtime}`;
  const finding = `${way === 'zygote' ? 'forked from a zygote' : 'a container a run'}, because ${why}`;
  if (way === 'zygote') {
    return warnings.length === 0 ? ok(name, finding) : warn(name, `${finding}; ${warnings.join('; ')}`, mend);
  }
  if (backend === 'docker') return ok(name, `${finding}; oci with crun or runc makes them at a fraction of the cost`);
  if (making.runtime.startsWith('runsc')) return ok(name, finding);
  if (zygote === 'off') return ok(name, `${finding}; "on" makes them at a fifth of the cost`);
  // What the zygote failed with is the reason, and the warnings say it again.
  return warn(name, finding, mend);
}
