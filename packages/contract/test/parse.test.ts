import { describe, expect, test } from 'vitest';
import { errorStatus, parseMetadata, parseSimpleExecRequest, quote, ServiceError } from '../dist/index.js';

function faultOf(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (error) {
    if (error instanceof ServiceError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('metadata', () => {
  test('unknown keys are dropped and named, in config too', () => {
    const text = '{"entrypoint":"a.py","timout_seconds":1,"config":{"memory":2,"memory_mb":3}}';
    expect(parseMetadata(text)).toEqual({
      value: { entrypoint: 'a.py', config: { memory_mb: 3 } },
      warnings: ['Unknown field "timout_seconds" was ignored', 'Unknown field "config.memory" was ignored'],
    });
  });

  test('null is as good as absent, but not in config', () => {
    expect(parseMetadata('{"stdin":null,"pre_commands":null}').value).toEqual({});
    expect(faultOf(() => parseMetadata('{"config":{"network_disabled":null}}')).code).toBe('invalid_config');
    expect(faultOf(() => parseMetadata('{"config":null}')).code).toBe('invalid_config');
  });

  test.each(['-1', '1.5', '"x"', '[]', 'true'])('timeout_seconds %s is refused by name', (value) => {
    const { code, message } = faultOf(() => parseMetadata(`{"config":{"timeout_seconds":${value}}}`));
    expect(code).toBe('invalid_config');
    expect(message).toContain('config.timeout_seconds');
  });

  test('zero means the default of the server and passes', () => {
    expect(parseMetadata('{"config":{"timeout_seconds":0}}').value).toEqual({ config: { timeout_seconds: 0 } });
  });

  test.each(['', 'x', '[]', '1', 'null', '{"env_vars":["NOVALUE"]}', '{"script_args":["a\\u0000b"]}', '{"stdin":1}'])(
    '%j is invalid_metadata',
    (text) => {
      expect(faultOf(() => parseMetadata(text)).code).toBe('invalid_metadata');
    },
  );

  test('a key of the prototype is a key like any other', () => {
    expect(parseMetadata('{"__proto__":{"stdin":"x"},"constructor":1}').value).toEqual({});
  });

  test('a message never repeats what may be secret', () => {
    expect(faultOf(() => parseMetadata('{"stdin":["hunter2"]}')).message).not.toContain('hunter2');
  });
});

test('a simple request of the wrong type is invalid_request', () => {
  expect(faultOf(() => parseSimpleExecRequest('{"code":1}')).code).toBe('invalid_request');
  expect(parseSimpleExecRequest('{"code":"1"}').value).toEqual({ code: '1' });
});

test('an error carries the status of its code', () => {
  const error = new ServiceError('queue_full', 'Cannot accept', { retryAfterSeconds: 5 });
  expect([error.status, error.retryAfterSeconds, error.toBody()]).toEqual([
    errorStatus.queue_full,
    5,
    { error: 'Cannot accept', code: 'queue_full' },
  ]);
});

test('a quoted value is cut', () => {
  expect(quote('x'.repeat(1000))).toHaveLength(81);
  expect(quote(undefined)).toBe('undefined');
});
