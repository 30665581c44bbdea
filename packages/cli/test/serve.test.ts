import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { outcomeOf, run, start } from './command.js';

const env = { PYEXEC_DATA_DIR: ':memory:', PYEXEC_LOG_LEVEL: 'error', PYEXEC_DOCKER_SOCKET: '/nonexistent' };

describe('serve', () => {
  it.each([['SIGTERM'], ['SIGINT']] as const)(
    'listens where the flags say, and exits with 0 after %s',
    async (signal) => {
      const child = start(['serve', '--host', '127.0.0.1', '--port', '0'], { env: { ...env, PYEXEC_PORT: '1' } });
      const outcome = outcomeOf(child);
      const line = await new Promise<string>((resolve) => child.stderr.once('data', (data) => resolve(String(data))));
      const url = /^Listening on (http:\/\/127\.0\.0\.1:\d+)\n$/.exec(line)?.[1];
      expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' });
      child.kill(signal);
      expect(await outcome).toMatchObject({ exitCode: 0 });
    },
  );

  it('names every fault of the configuration and exits with 2', async () => {
    const outcome = await run(['serve'], { env: { ...env, PYEXEC_PORT: 'x', PYEXEC_MAX_CONCURRENT: '0' } });
    expect(outcome).toMatchObject({ exitCode: 2, stdout: '' });
    expect(outcome.stderr).toMatch(/^error: Cannot start: PYEXEC_PORT must be .*; PYEXEC_MAX_CONCURRENT must be/);
  });

  it('says so when the port is taken, and exits with 1', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    const outcome = await run(['serve', '--host', '127.0.0.1', '--port', String(port)], { env });
    await new Promise((resolve) => other.close(resolve));
    expect(outcome).toMatchObject({ exitCode: 1 });
    expect(outcome.stderr).toMatch(/^error: Cannot start the service: .*EADDRINUSE/);
  });
});
