import { defineConfig } from 'vitest/config';

/** Tests of the whole: a service in a process of its own, one file after the other. */
const wholeService = {
  fileParallelism: false,
  testTimeout: 120_000,
  hookTimeout: 120_000,
};

/** What has to hold whichever backend makes the sandboxes. */
const everyBackend = ['endurance', 'fidelity', 'hostile', 'wire'].map((folder) => `e2e/${folder}/**/*.test.ts`);

/** What only sandboxes that are forked have to show. */
const zygotes = ['e2e/zygote/**/*.test.ts'];

/**
 * The ways of making sandboxes that the whole of the tests runs over: containers of an engine, forks of a zygote on the
 * host's Python and on an unpacked image, and containers of an OCI runtime.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: ['packages/*/test/**/*.test.ts'], testTimeout: 30_000, hookTimeout: 60_000 },
      },
      {
        test: {
          ...wholeService,
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          exclude: zygotes,
          env: { PYEXEC_TEST_BACKEND: 'docker' },
        },
      },
      {
        test: {
          ...wholeService,
          name: 'oci',
          include: [...everyBackend, ...zygotes],
          env: { PYEXEC_TEST_BACKEND: 'oci' },
        },
      },
      {
        test: {
          ...wholeService,
          name: 'oci-image',
          include: everyBackend,
          globalSetup: 'e2e/support/images.ts',
          env: { PYEXEC_TEST_BACKEND: 'oci' },
        },
      },
      {
        test: {
          ...wholeService,
          name: 'oci-container',
          include: everyBackend,
          env: { PYEXEC_TEST_BACKEND: 'oci', PYEXEC_TEST_ZYGOTE: 'off' },
        },
      },
    ],
  },
});
