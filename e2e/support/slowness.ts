/** How many times as long as usual anything may take: more than once on a machine that is emulated. */
export const slowness = Number(process.env.PYEXEC_TEST_SLOWNESS ?? 1);
