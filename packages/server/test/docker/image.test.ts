import { describe, expect, test } from 'vitest';
import { imageAllowed, parseImageReference } from '../../dist/sandbox/docker/image.js';

const digest = `sha256:${'a1'.repeat(32)}`;

describe('a reference', () => {
  test.each([
    ['python', 'docker.io/library/python:latest'],
    ['python:3.11-slim', 'docker.io/library/python:3.11-slim'],
    ['docker.io/library/python:3.11-slim', 'docker.io/library/python:3.11-slim'],
    ['docker.io/python', 'docker.io/library/python:latest'],
    ['index.docker.io/acme/tool:1', 'docker.io/acme/tool:1'],
    ['acme/tool', 'docker.io/acme/tool:latest'],
    ['ghcr.io/acme/tool/sub__name:V1.0_x', 'ghcr.io/acme/tool/sub__name:V1.0_x'],
    ['localhost/tool', 'localhost/tool:latest'],
    ['127.0.0.1:5000/tool:1', '127.0.0.1:5000/tool:1'],
    ['GHCR.io/acme/tool', 'ghcr.io/acme/tool:latest'],
    [`python@${digest}`, `docker.io/library/python@${digest}`],
    [`python:3.11-slim@${digest}`, `docker.io/library/python@${digest}`],
  ])('%s is taken as %s', (text, whole) => {
    expect(parseImageReference(text)?.text).toBe(whole);
  });

  test.each([
    '',
    ' ',
    '-x',
    '--privileged',
    'python:',
    ':3.11',
    'python:3.11 ',
    'python 3',
    'python\n',
    'Python',
    'acme/Tool',
    'Acme/tool',
    'python:-tag',
    'python/',
    '/python',
    'a//b',
    '../python',
    'a/../b',
    'python?x=1',
    'python#',
    'python%2f',
    'http://ghcr.io/python',
    'ghcr.io:port/python',
    '[::1]:5000/python',
    'python@sha256:abc',
    `python@md5:${'a'.repeat(32)}`,
    'a1'.repeat(32),
    `python:${'t'.repeat(129)}`,
    'p'.repeat(256),
    'a-'.repeat(100_000),
    'pythön',
    'python\u0000',
  ])('%j is refused', (text) => {
    expect(parseImageReference(text)).toBeUndefined();
  });
});

describe('the list of allowed images', () => {
  test('allows every image when it is empty', () => {
    expect(imageAllowed('ghcr.io/acme/tool', [])).toBe(true);
  });

  test.each([
    ['python:3.11-slim', 'docker.io/library/python:3.11-slim'],
    ['docker.io/library/python:3.11-slim', 'python:3.11-slim'],
    ['python', 'python:latest'],
    ['python:3.11-slim', 'python:*'],
    ['python:3.11-slim', 'python:3.*-slim'],
    ['python:3.11-slim', 'python*'],
    ['python:3.11-slim', '*'],
    ['ghcr.io/acme/tool/x:1', 'ghcr.io/acme/*'],
    ['registry.example.com/tool:1', '*.example.com/tool:*'],
    [`python@${digest}`, 'python@*'],
    [`python:3.11-slim@${digest}`, `python@${digest}`],
    [`ghcr.io/acme/tool@${digest}`, 'ghcr.io/acme/*'],
  ])('covers %s by %s', (reference, pattern) => {
    expect(imageAllowed(reference, ['nothing:else', pattern])).toBe(true);
  });

  test.each([
    ['python:3.12-slim', 'python:3.11-slim'],
    ['python:3.11-slim', 'python'],
    ['acme/python:3.11-slim', 'python:3.11-slim'],
    ['ghcr.io/library/python:3.11-slim', 'python:*'],
    ['python-evil:3.11', 'python:*'],
    ['evil.com/x.example.com/tool:1', '*.example.com/tool:*'],
    ['ghcr.io/acme-evil/tool', 'ghcr.io/acme/*'],
    ['pythonx3:11', 'python.3:11'],
    // The engine goes by the digest alone, so that a tag before it proves nothing.
    [`python:3.11-slim@${digest}`, 'python:3.11-slim'],
    [`python:3.11-slim@${digest}`, 'python:*'],
    ['Not Valid', '*'],
  ])('does not cover %s by %s', (reference, pattern) => {
    expect(imageAllowed(reference, [pattern])).toBe(false);
  });
});
