import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('../..', import.meta.url));
const slowness = { PYEXEC_TEST_SLOWNESS: '10' };

/** The tests that `npm run test:cgroup2` runs in its virtual machine, one file after the other. */
const emulated = {
  root,
  fileParallelism: false,
  maxConcurrency: 1,
  // A worker for each project, not for each file: starting one takes ten seconds.
  isolate: false,
  setupFiles: ['scripts/cgroup2/patience.ts'],
};

/** Of the backend itself. Images need skopeo, umoci and a second root file system, and know nothing of cgroups. */
const parts = [
  'packages/cli/test/doctor.test.ts',
  ...['cgroup', 'containment', 'host', 'lifecycle', 'reap'].map((name) => `packages/server/test/oci/${name}.test.ts`),
];

/** Limits, their ends, what was used of them and containment, over HTTP. */
const service = [
  'e2e/hostile/isolation.test.ts',
  'e2e/hostile/resources.test.ts',
  'e2e/hostile/syscalls.test.ts',
  'e2e/wire/exec.test.ts',
  'e2e/wire/kill.test.ts',
  'e2e/wire/setup.test.ts',
];

/** What only sandboxes that are forked have to show. */
const zygotes = ['e2e/zygote/escape.test.ts', 'e2e/zygote/supervision.test.ts'];

/** Parts of the titles of tests that show nothing here, or take too long. */
const leftOut = [
  // Whether so many megabytes come in so many seconds.
  '18: endless output',
  // Six hundred runs, which take a quarter of an hour.
  'hundreds in a row',
  // Nothing of cgroups, and three seconds of starting Node.js each.
  'exits with 1 when',
  'gives up on an engine',
  'names faults of the configuration',
  // Nothing of cgroups, and every request takes its time. One of them has to see a state that is soon over.
  'POST /exec/async',
  'the parts of an upload',
  'metadata ',
  'the entrypoint',
  'GET /health and GET /ready',
  'an image that is not there',
];

export default defineConfig({
  root,
  test: {
    testNamePattern: new RegExp(`^(?!.*(${leftOut.join('|')}))`),
    projects: [
      { test: { ...emulated, name: 'unit', include: parts, env: slowness } },
      {
        test: {
          ...emulated,
          name: 'oci',
          include: [...service, ...zygotes],
          env: { ...slowness, PYEXEC_TEST_BACKEND: 'oci' },
        },
      },
      {
        test: {
          ...emulated,
          name: 'oci-container',
          include: service,
          env: { ...slowness, PYEXEC_TEST_BACKEND: 'oci', PYEXEC_TEST_ZYGOTE: 'off' },
        },
      },
    ],
  },
});
