import type { ExecutionConfig, Metadata } from '@python-executor/contract';
import { describe, expect, test } from 'vitest';
import { defaultSpec, type ResolveOptions, resolveJob } from '../../dist/jobs/resolve.js';
import { jobOf, type RequestOptions, requestOf, resolveOptions } from './request.js';

const mebibyte = 1024 * 1024;

function resolve(metadata: Metadata, options: ResolveOptions = resolveOptions(), request: RequestOptions = {}) {
  return resolveJob('exe_1', requestOf(metadata, request), options);
}

/** The code and the message of the error that a request ends with. */
function refusal(metadata: Metadata, options?: ResolveOptions, request?: RequestOptions): [string, string] {
  try {
    resolve(metadata, options, request);
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return [code, message];
  }
  throw new Error('The request was accepted');
}

describe('a request that asks for nothing', () => {
  test('gets every default', () => {
    expect(resolve({})).toEqual({
      job: {
        executionId: 'exe_1',
        spec: {
          image: 'python:3.11-slim',
          memoryBytes: 1024 * mebibyte,
          diskBytes: 2048 * mebibyte,
          cpuShares: 1024,
          network: 'none',
          privilege: 'program',
        },
        entrypoint: 'main.py',
        args: [],
        env: [],
        preCommands: [],
        stdin: '',
        evalLastExpr: false,
        timeoutMs: 300_000,
      },
      warnings: [],
    });
  });

  test.each<Record<string, string>>([
    {},
    { PYEXEC_DEFAULT_NETWORK: 'enabled', PYEXEC_DEFAULT_IMAGE: 'python:3.13', PYEXEC_DEFAULT_MEMORY_MB: '256' },
  ])('is served by the sandbox that waits for it, with %j', (environment) => {
    const options = resolveOptions(environment);
    expect(resolve({}, options).job.spec).toEqual(defaultSpec(options));
  });

  test('is frozen, as two parts of the server share it', () => {
    const job = jobOf();
    expect(Object.isFrozen(job)).toBe(true);
    expect(Object.isFrozen(job.spec)).toBe(true);
  });
});

describe('limits', () => {
  const options = resolveOptions({
    PYEXEC_DEFAULT_TIMEOUT: '7',
    PYEXEC_MAX_TIMEOUT: '10',
    PYEXEC_DEFAULT_MEMORY_MB: '100',
    PYEXEC_MAX_MEMORY_MB: '200',
    PYEXEC_DEFAULT_DISK_MB: '50',
    PYEXEC_MAX_DISK_MB: '60',
    PYEXEC_DEFAULT_CPU_SHARES: '512',
    PYEXEC_MAX_CPU_SHARES: '2048',
  });

  test.each<[string, ExecutionConfig]>([
    ['absent', {}],
    ['0', { timeout_seconds: 0, memory_mb: 0, disk_mb: 0, cpu_shares: 0 }],
  ])('that are %s are the defaults of the server', (_name, config) => {
    const { job } = resolve({ config }, options);
    expect(job.timeoutMs).toBe(7_000);
    expect(job.spec).toMatchObject({ memoryBytes: 100 * mebibyte, diskBytes: 50 * mebibyte, cpuShares: 512 });
  });

  test('may be as high as the caps', () => {
    const config = { timeout_seconds: 10, memory_mb: 200, disk_mb: 60, cpu_shares: 2048 };
    const { job } = resolve({ config }, options);
    expect(job.timeoutMs).toBe(10_000);
    expect(job.spec).toMatchObject({ memoryBytes: 200 * mebibyte, diskBytes: 60 * mebibyte, cpuShares: 2048 });
  });

  test.each([
    ['timeout_seconds', 11, 10],
    ['memory_mb', 201, 200],
    ['disk_mb', 61, 60],
    ['cpu_shares', 2049, 2048],
  ])('above the cap are refused, with the field, the value and the cap: %s', (field, value, cap) => {
    const [code, message] = refusal({ config: { [field]: value } }, options);
    expect(code).toBe('invalid_config');
    expect(message).toBe(`Cannot accept config.${field} ${value}: the most that this server allows is ${cap}`);
  });
});

describe('warnings', () => {
  test('say that a disk which was asked for is larger than the memory it counts against', () => {
    const { warnings } = resolve({ config: { disk_mb: 2000, memory_mb: 1000 } });
    expect(warnings).toEqual([expect.stringContaining('disk_mb 2000 exceeds memory_mb 1000')]);
  });

  test.each<ExecutionConfig>([{}, { disk_mb: 0 }, { memory_mb: 64 }, { disk_mb: 64, memory_mb: 64 }])(
    'are not given for defaults or for a disk that fits: %j',
    (config) => {
      expect(resolve({ config }).warnings).toEqual([]);
    },
  );

  test('of the request come first', () => {
    const { warnings } = resolve({ config: { disk_mb: 4096 } }, resolveOptions(), { warnings: ['Unknown field'] });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toBe('Unknown field');
  });
});

describe('the network', () => {
  const openServer = resolveOptions({ PYEXEC_DEFAULT_NETWORK: 'enabled' });

  test.each<[string, ExecutionConfig, ResolveOptions, string]>([
    ['off unless asked for', {}, resolveOptions(), 'none'],
    ['on when asked for', { network_disabled: false }, resolveOptions(), 'public'],
    ['on where the server says so', {}, openServer, 'public'],
    ['off when that is asked for, whatever the server says', { network_disabled: true }, openServer, 'none'],
  ])('is %s', (_name, config, options, network) => {
    expect(resolve({ config }, options).job.spec.network).toBe(network);
  });

  test('is refused when the backend has none to give', () => {
    const [code, message] = refusal(
      { config: { network_disabled: false } },
      { ...resolveOptions(), networks: ['none'] },
    );
    expect(code).toBe('network_unsupported');
    expect(message).toContain('network_disabled');
  });
});

describe('the image', () => {
  const options: ResolveOptions = { ...resolveOptions(), isImageAllowed: (image) => image === 'python:3.11-slim' };

  test.each([undefined, ''])('is the default of the server for %j', (docker_image) => {
    expect(resolve(docker_image === undefined ? {} : { docker_image }, options).job.spec.image).toBe(
      'python:3.11-slim',
    );
  });

  test('that is not allowed is refused, with its name', () => {
    const [code, message] = refusal({ docker_image: 'evil:latest' }, options);
    expect(code).toBe('image_not_allowed');
    expect(message).toContain('"evil:latest"');
  });

  test('of the server itself is refused when it is not allowed', () => {
    expect(refusal({}, { ...options, isImageAllowed: () => false })[0]).toBe('image_not_allowed');
  });
});

describe('the entrypoint', () => {
  test.each([
    ['main.py', ['a.py', '__main__.py', 'main.py']],
    ['__main__.py', ['a.py', '__main__.py', 'src/main.py']],
    ['src/b.py', ['README.md', 'src/b.py', 'a.py']],
    ['ok.py', ['-c.py', 'ok.py']],
  ])('is found to be %s among %j', (entrypoint, files) => {
    expect(jobOf({}, { files }).entrypoint).toBe(entrypoint);
    expect(jobOf({ entrypoint: '' }, { files }).entrypoint).toBe(entrypoint);
  });

  test.each([[[]], [['README.md', 'main.PY', 'py']], [['-c.py']]])('is not found among %j', (files) => {
    const [code, message] = refusal({}, resolveOptions(), { files });
    expect(code).toBe('entrypoint_not_found');
    expect(message).toContain('main.py');
  });

  test.each(['src/app.py', './src/app.py', 'src//app.py', 'src/./app.py'])('may be written as %s', (entrypoint) => {
    expect(jobOf({ entrypoint }, { files: ['src/app.py'] }).entrypoint).toBe('src/app.py');
  });

  test('need not end in .py', () => {
    expect(jobOf({ entrypoint: 'tool' }, { files: ['tool'] }).entrypoint).toBe('tool');
  });

  test.each(['../x', '/x', '/work/main.py', 'a/../main.py', '..', '-c', '-', 'ma\nin.py', 'main.py\u0000', '\u0085'])(
    'that leaves the archive or is no plain path is refused: %j',
    (entrypoint) => {
      const [code, message] = refusal({ entrypoint }, resolveOptions(), { files: ['main.py', entrypoint] });
      expect(code).toBe('invalid_entrypoint');
      expect(message).toContain(JSON.stringify(entrypoint));
    },
  );

  test.each(['other.py', 'src', '.', './', 'Main.py', 'main.py '])(
    'that is no file of the archive is not found: %j',
    (entrypoint) => {
      const [code, message] = refusal({ entrypoint }, resolveOptions(), { files: ['main.py', 'src/app.py'] });
      expect(code).toBe('entrypoint_not_found');
      expect(message).toContain(JSON.stringify(entrypoint));
    },
  );
});

describe('what is asked for besides', () => {
  test('is passed on as it is', () => {
    const metadata = { stdin: 'a\n', env_vars: ['A=b=c', 'A=', 'B= x'], script_args: ['; rm -rf /', '$(id)', ''] };
    expect(jobOf(metadata)).toMatchObject({ stdin: 'a\n', env: metadata.env_vars, args: metadata.script_args });
  });

  test('is the value of the last expression only for an eval', () => {
    expect(jobOf({}, { mode: 'eval' }).evalLastExpr).toBe(true);
    expect(jobOf({}, { mode: 'script' }).evalLastExpr).toBe(false);
  });

  test.each([
    [['true'], 'setup'],
    [[''], 'setup'],
    [[], 'program'],
  ])('are pre_commands, which need a sandbox that can be prepared: %j', (pre_commands, privilege) => {
    const job = jobOf({ pre_commands });
    expect(job.preCommands).toEqual(pre_commands);
    expect(job.spec.privilege).toBe(privilege);
  });

  test.each(['', '-', ' \n'])('are no dependencies: %j', (requirements_txt) => {
    expect(resolve({ requirements_txt }).warnings).toEqual([]);
  });

  test.each(['requests', '# nothing\n', '-r other.txt'])(
    'are dependencies, which are refused: %j',
    (requirements_txt) => {
      expect(refusal({ requirements_txt })[0]).toBe('dependencies_unsupported');
    },
  );
});
