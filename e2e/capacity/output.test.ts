import { expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { mostMemory } from '../support/memory.js';

const service = serviceForFile();
const growthBytesMax = 64 * 1024 * 1024;
const capBytes = 10_485_760;

test('a program that prints 200 MB is answered within 15 s, cut and flagged, and memory stays flat', async () => {
  await run(service, 'print("warm")');
  const program =
    'import sys\nfor _ in range(200): sys.stdout.write("x" * 999_999 + "\\n")\nprint("end", file=sys.stderr)';
  const began = performance.now();
  const { value, grownBytes } = await mostMemory(service, () => run(service, program));
  expect(performance.now() - began).toBeLessThan(15_000);
  expect(value).toMatchObject({
    status: 'completed',
    exit_code: 0,
    stdout_truncated: true,
    stderr_truncated: false,
    stderr: 'end\n',
    termination: { reason: 'exit' },
  });
  expect(value.stdout).toHaveLength(capBytes);
  expect(grownBytes).toBeLessThan(growthBytesMax);
});

test('output of exactly the limit is neither cut nor flagged, and one byte more is', async () => {
  const exact = await run(service, `import sys\nsys.stdout.write("x" * ${capBytes})`);
  expect([exact.stdout.length, exact.stdout_truncated]).toEqual([capBytes, false]);
  const more = await run(service, `import sys\nsys.stdout.write("x" * ${capBytes + 1})`);
  expect([more.stdout.length, more.stdout_truncated]).toEqual([capBytes, true]);
});

test('both streams have a limit of their own', async () => {
  const program =
    'import sys\nfor _ in range(12): sys.stdout.write("o" * 1_000_000); sys.stderr.write("e" * 1_000_000)';
  const result = await run(service, program);
  expect([result.stdout.length, result.stderr.length]).toEqual([capBytes, capBytes]);
  expect([result.stdout_truncated, result.stderr_truncated]).toEqual([true, true]);
});
