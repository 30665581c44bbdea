import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectSame } from './compare.js';
import type { Plain } from './plain.js';
import { needsNewInterpreter, newInterpreter, type Program } from './program.js';
import { programs } from './programs/all.js';
import { interpreters, openPlainInterpreter, runWithAgent } from './versions.js';

test.skipIf(interpreters.length === 0)('PYEXEC_TEST_PYTHONS names interpreters', () => {
  for (const python of interpreters) expect(python).toMatch(/^\/.*\/bin\/python3$/);
});

// The same programs with other versions of Python, where this machine has them: see versions.ts.
for (const python of interpreters) {
  describe(python, () => {
    let plain: Plain;
    beforeAll(() => {
      plain = openPlainInterpreter(python);
    });
    afterAll(() => plain.close());

    for (const program of Object.values(programs).flat()) {
      if (!needsNewInterpreter(program)) test.concurrent(`${program.name}: the same`, () => compare(program));
      const forced = { ...program, env: [...(program.env ?? []), newInterpreter] };
      test.concurrent(`${program.name}: the same with a new interpreter`, () => compare(forced));
    }

    async function compare(program: Program): Promise<void> {
      const [expected, actual] = await Promise.all([plain.run(program), runWithAgent(python, program)]);
      expectSame(program, actual, expected);
    }
  });
}
