import { describe, vi } from 'vitest';
import { describeContainment } from '../sandbox/containment.js';
import { describePython } from '../sandbox/python.js';
import { installed, type ProbeOptions, programSpec, runProbe } from './fixture.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

describe.each(installed(['crun', 'runc']))('%s', (runtime) => {
  const options = {
    runProbe: <Answer>(source: string, probe: ProbeOptions = {}) =>
      runProbe<Answer>(source, { ...probe, backend: { runtime, ...probe.backend } }),
    diskBytes: programSpec.diskBytes,
    networks: ['none'] as const,
    hasPackages: false,
  };
  describeContainment(runtime, options);
  describePython(runtime, options);
});
