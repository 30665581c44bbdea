import type { Config } from '../config.js';
import { type Check, fail, ok, warn } from './check.js';
import type { BackendFindings } from './docker.js';

export interface Evidence {
  /** Without these no server starts. */
  readonly needed: readonly Check[];
  readonly docker: BackendFindings;
  readonly oci: BackendFindings;
}

const name = 'service';

/** Says whether a server could do its work, from all that was found; it fails when it could not. */
export function judge(configured: Config['sandbox']['backend'], { needed, docker, oci }: Evidence): Check {
  const broken = needed.find(({ status }) => status === 'fail');
  if (broken !== undefined) return fail(name, `cannot start: ${broken.name} fails`, broken.remedy);
  const chosen = configured === 'auto' ? autoChoice(docker) : configured;
  const because = `because PYEXEC_BACKEND is ${JSON.stringify(configured)}`;
  const [own, other, otherName] = chosen === 'docker' ? [docker, oci, 'oci'] : [oci, docker, 'docker'];
  if (own.works) return ok(name, `would run programs through ${chosen}, ${because}`);
  if (other.works) {
    const finding = `would take ${chosen}, ${because}, through which nothing ran; ${otherName} works`;
    const remedy = `mend ${chosen} as it says above, or set PYEXEC_BACKEND=${otherName}`;
    return configured === 'auto' ? warn(name, finding, remedy) : fail(name, finding, remedy);
  }
  const finding = `cannot run programs: nothing ran through ${configured === 'auto' ? 'docker or oci' : chosen}`;
  return fail(
    name,
    finding,
    'mend what stands above: start a Docker engine, or as root install crun or runc and python3',
  );
}

/** As the server chooses. */
function autoChoice(docker: BackendFindings): 'docker' | 'oci' {
  return docker.answers ? 'docker' : 'oci';
}
