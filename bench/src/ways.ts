import { engineImage } from './engine.js';

/** How the service makes sandboxes in one measurement. */
export interface Way {
  /** E.g. `oci crun zygote warm`. */
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** `warm` keeps sandboxes that wait; `cold` makes every one when it is asked for. */
  readonly temperature: 'warm' | 'cold';
  /** Of an engine one run takes tenths of a second, so fewer of them have to do. */
  readonly pace: 'slow' | 'fast';
}

/** How many sandboxes wait when a warm service is at rest and has had few clients. */
export const poolSize = 8;
/** How many may wait when it has had many. */
export const poolMax = 32;

const makers: readonly (readonly [name: string, env: Readonly<Record<string, string>>])[] = [
  ['docker', { PYEXEC_BACKEND: 'docker', PYEXEC_DEFAULT_IMAGE: engineImage }],
  ['oci crun zygote', oci('crun', 'on')],
  ['oci crun container', oci('crun', 'off')],
  ['oci runc zygote', oci('runc', 'on')],
  ['oci runc container', oci('runc', 'off')],
  // Inside gVisor nothing can be forked into namespaces.
  ['oci runsc container', oci('runsc', 'off')],
];

const temperatures = {
  cold: { PYEXEC_POOL_SIZE: '0', PYEXEC_POOL_MAX: '0' },
  warm: { PYEXEC_POOL_SIZE: String(poolSize), PYEXEC_POOL_MAX: String(poolMax) },
} as const;

function oci(runtime: string, zygote: string): Readonly<Record<string, string>> {
  return { PYEXEC_BACKEND: 'oci', PYEXEC_RUNTIME: runtime, PYEXEC_ZYGOTE: zygote };
}

export const ways: readonly Way[] = makers.flatMap(([name, env]) =>
  (['warm', 'cold'] as const).map((temperature) => ({
    name: `${name} ${temperature}`,
    env: { ...env, ...temperatures[temperature] },
    temperature,
    pace: name === 'docker' ? 'slow' : 'fast',
  })),
);

/** The same way without a pool. */
export function coldOf({ name, env, pace }: Way): Way {
  return {
    name: name.replace(/warm$/, 'cold'),
    env: { ...env, ...temperatures.cold },
    temperature: 'cold',
    pace,
  };
}

/** @throws Error that names those that are not known */
export function waysNamed(names: readonly string[]): readonly Way[] {
  const unknown = names.filter((name) => !ways.some((way) => way.name === name));
  if (unknown.length > 0) throw new Error(`Cannot measure ${JSON.stringify(unknown)}: there is no such way`);
  return ways.filter(({ name }) => names.includes(name));
}
