import { afterEach, describe, expect, it } from 'vitest';
import { ApiError, ConnectionError, PythonExecutorClient } from '../dist/index.js';
import { type Answerer, type Recorder, startRecorder } from './recorder.js';

const completed = { execution_id: 'exe_1', status: 'completed', stdout: 'hi\n', stderr: '', exit_code: 0 };
const main = { files: { 'main.py': 'print("hi")' } };

let recorder: Recorder | undefined;
afterEach(async () => {
  await recorder?.close();
  recorder = undefined;
});

async function connect(answerer: Answerer, options: { timeoutMs?: number } = {}) {
  recorder = await startRecorder(answerer);
  const client = new PythonExecutorClient({ baseUrl: `${recorder.url}/`, ...options });
  return { client, requests: recorder.requests, url: recorder.url };
}

describe('executeSync', () => {
  it('uploads the files as a tar beside the metadata and returns the result', async () => {
    const { client, requests } = await connect(() => ({ body: completed }));
    const result = await client.executeSync({
      files: { 'main.py': 'import lib', 'lib/__init__.py': new Uint8Array([0x31]) },
      metadata: { stdin: 'ping', script_args: ['--x'], config: { timeout_seconds: 5 } },
    });
    expect(result).toEqual(completed);
    expect(requests).toMatchObject([
      {
        method: 'POST',
        path: '/api/v1/exec/sync',
        metadata: { stdin: 'ping', script_args: ['--x'], config: { timeout_seconds: 5 } },
        entries: [
          { name: 'main.py', content: 'import lib' },
          { name: 'lib/__init__.py', content: '1' },
        ],
      },
    ]);
  });

  it('uploads a tar as it is, from bytes and from a Blob', async () => {
    const { client, requests } = await connect(() => ({ body: completed }));
    const tar = new Uint8Array(1024);
    await client.executeSync({ tar });
    await client.executeSync({ tar: new Blob([tar]) });
    expect(requests).toMatchObject([
      { metadata: {}, entries: [] },
      { metadata: {}, entries: [] },
    ]);
  });

  it('refuses a request with neither files nor a tar, and one with both', async () => {
    const { client } = await connect(() => ({ body: completed }));
    await expect(client.executeSync({} as never)).rejects.toThrow(TypeError);
    await expect(client.executeSync({ ...main, tar: new Uint8Array(0) } as never)).rejects.toThrow(TypeError);
  });

  it('closes the connection when the signal aborts, and throws its reason', async () => {
    const controller = new AbortController();
    const { client, requests } = await connect(() => {
      controller.abort(new Error('enough'));
      return new Promise<never>(() => {});
    });
    await expect(client.executeSync(main, { signal: controller.signal })).rejects.toThrow('enough');
    await requests[0]?.departed;
  });

  it('sends nothing when the signal has aborted before', async () => {
    const { client, requests } = await connect(() => ({ body: completed }));
    await expect(client.executeSync(main, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    expect(requests).toEqual([]);
  });

  it('throws a TimeoutError after timeoutMs', async () => {
    const { client } = await connect(() => new Promise<never>(() => {}), { timeoutMs: 20 });
    await expect(client.executeSync(main)).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

describe('executeAsync', () => {
  it('returns the id', async () => {
    const { client, requests } = await connect(() => ({ status: 202, body: { execution_id: 'exe_7' } }));
    expect(await client.executeAsync(main)).toBe('exe_7');
    expect(requests).toMatchObject([{ method: 'POST', path: '/api/v1/exec/async' }]);
  });
});

describe('getExecution and kill', () => {
  it('name the execution in the path, encoded', async () => {
    const { client, requests } = await connect(({ method }) => ({
      body: method === 'DELETE' ? { status: 'killed' } : completed,
    }));
    expect(await client.getExecution('a/b')).toEqual(completed);
    expect(await client.kill('a/b')).toBe('killed');
    expect(requests).toMatchObject([
      { method: 'GET', path: '/api/v1/executions/a%2Fb' },
      { method: 'DELETE', path: '/api/v1/executions/a%2Fb' },
    ]);
  });
});

describe('eval', () => {
  it('sends the request as JSON', async () => {
    const { client, requests } = await connect(() => ({ body: { ...completed, result: '42' } }));
    expect(await client.eval({ code: '6 * 7', eval_last_expr: true })).toMatchObject({ result: '42' });
    expect(requests).toMatchObject([
      { method: 'POST', path: '/api/v1/eval', json: { code: '6 * 7', eval_last_expr: true } },
    ]);
  });
});

describe('waitForCompletion', () => {
  it('looks until the execution has ended', async () => {
    const states = ['pending', 'running', 'failed'];
    const { client, requests } = await connect(() => ({ body: { ...completed, status: states.shift() } }));
    expect(await client.waitForCompletion('exe_1', { pollIntervalMs: 1 })).toMatchObject({ status: 'failed' });
    expect(requests).toHaveLength(3);
  });

  it('throws a TimeoutError after maxWaitMs, having looked once more', async () => {
    const { client, requests } = await connect(() => ({ body: { ...completed, status: 'running' } }));
    const waiting = client.waitForCompletion('exe_1', { pollIntervalMs: 60_000, maxWaitMs: 20 });
    await expect(waiting).rejects.toMatchObject({
      name: 'TimeoutError',
      message: 'Execution "exe_1" is still running after 20 ms',
    });
    expect(requests).toHaveLength(2);
  });

  it('ends between two looks when the signal aborts, and throws its reason', async () => {
    const controller = new AbortController();
    const { client, requests } = await connect(() => {
      setTimeout(() => controller.abort(new Error('enough')), 50);
      return { body: { ...completed, status: 'running' } };
    });
    const { signal } = controller;
    await expect(client.waitForCompletion('exe_1', { pollIntervalMs: 60_000, signal })).rejects.toThrow('enough');
    expect(requests).toHaveLength(1);
  });
});

describe('faults', () => {
  it('are ApiErrors in the words of the service', async () => {
    const { client } = await connect(() => ({
      status: 503,
      headers: { 'retry-after': '7' },
      body: { error: 'The queue is full', code: 'queue_full' },
    }));
    const error = await client.executeAsync(main).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({
      status: 503,
      code: 'queue_full',
      message: 'The queue is full',
      retryAfterSeconds: 7,
    });
  });

  it('of a proxy are ApiErrors without a code', async () => {
    const { client } = await connect(() => ({ status: 502, body: '<h1>Bad Gateway</h1>' }));
    const error = await client.getExecution('exe_1').catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 502, code: undefined, message: 'HTTP 502 Bad Gateway' });
  });

  it('include an answer that is no JSON object', async () => {
    const { client, url } = await connect(() => ({ body: 'Welcome!' }));
    await expect(client.getExecution('exe_1')).rejects.toThrow(
      `"${url}" did not answer with a JSON object; is it a python-executor service?`,
    );
  });

  it('of the connection are ConnectionErrors that name the address and the reason', async () => {
    const { client, url } = await connect(() => ({ body: completed }));
    await recorder?.close();
    recorder = undefined;
    const error = await client.executeSync(main).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ConnectionError);
    expect(error).toMatchObject({ baseUrl: url, message: expect.stringMatching(/^Cannot reach "http.*ECONNREFUSED/) });
  });

  it('of an answer that breaks off are ConnectionErrors', async () => {
    const { client } = await connect(() => ({ headers: { 'content-length': '100' }, body: '{"execution_id"' }));
    const waiting = client.getExecution('exe_1').catch((thrown) => thrown);
    await expect.poll(() => recorder?.requests.length).toBe(1);
    await recorder?.close();
    recorder = undefined;
    expect(await waiting).toBeInstanceOf(ConnectionError);
  });
});

describe('fetch', () => {
  it('may be replaced, e.g. to send a header', async () => {
    const seen: string[] = [];
    const client = new PythonExecutorClient({
      baseUrl: 'http://example.invalid/executor/',
      fetch: async (input) => {
        seen.push(String(input));
        return Response.json(completed);
      },
    });
    await client.getExecution('exe_1');
    expect(seen).toEqual(['http://example.invalid/executor/api/v1/executions/exe_1']);
  });
});
