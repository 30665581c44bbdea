import { expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile();

// What a program may take for random, although its interpreter is a fork of one that others are forks of too.
const sources: Readonly<Record<string, string>> = {
  random: 'import random; print(random.getrandbits(128))',
  'random.SystemRandom': 'import random; print(random.SystemRandom().getrandbits(128))',
  secrets: 'import secrets; print(secrets.token_hex(16))',
  uuid1: 'import uuid; print(uuid.uuid1())',
  uuid4: 'import uuid; print(uuid.uuid4())',
  'os.urandom': 'import os; print(os.urandom(16).hex())',
  'the generator of OpenSSL': 'import ssl; print(ssl.RAND_bytes(16).hex())',
  'names of temporary files': 'import tempfile; print(tempfile.mkstemp()[1])',
};

test.each(Object.entries(sources))('%s says something else in every sandbox', async (_name, code) => {
  const results = await Promise.all(Array.from({ length: 6 }, () => run(service, code)));
  for (const { exit_code, stderr } of results) expect([exit_code, stderr]).toEqual([0, '']);
  expect(new Set(results.map(({ stdout }) => stdout)).size).toBe(results.length);
});

test('hashes of strings are the same in sandboxes of one zygote, as the documentation says', async () => {
  const results = await Promise.all([1, 2, 3].map(() => run(service, 'print(hash("a"))')));
  expect(new Set(results.map(({ stdout }) => stdout)).size).toBe(1);
});

test('descriptors of a program are those of plain Python', async () => {
  const code = 'import os; print(sorted(map(int, os.listdir("/proc/self/fd"))))';
  expect((await run(service, code)).stdout).toBe('[0, 1, 2, 3]\n');
});
