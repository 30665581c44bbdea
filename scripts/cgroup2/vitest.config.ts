import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The tests that `npm run test:cgroup2` runs in its virtual machine, one file after the other. */
const emulated = {
  root,
  fileParallelism: false,
  maxConcurrency: 1,
  setupFiles: ['scripts/cgroup2/patience.ts'],
};

/** Whatever has to do with cgroups, over HTTP. */
const service = ['e2e/hostile/resources.test.ts', 'e2e/wire/kill.test.ts', 'e2e/wire/setup.test.ts'];

export default defineConfig({
  root,
  test: {
    // These measure how quick the service is.
    testNamePattern: /^(?!.*(18: endless output|harms neither host nor service))/,
    projects: [
      {
        test: {
          ...emulated,
          name: 'unit',
          include: ['containment', 'host', 'lifecycle', 'reap'].map(
            (name) => `packages/server/test/oci/${name}.test.ts`,
          ),
        },
      },
      { test: { ...emulated, name: 'oci', include: service, env: { PYEXEC_TEST_BACKEND: 'oci' } } },
      {
        test: {
          ...emulated,
          name: 'oci-container',
          include: service,
          env: { PYEXEC_TEST_BACKEND: 'oci', PYEXEC_TEST_ZYGOTE: 'off' },
        },
      },
    ],
  },
});
