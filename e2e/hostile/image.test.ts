import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { kill, read, run, submit } from '../support/api.js';
import { backend } from '../support/backend.js';
import { docker, dockerWithStdin } from '../support/engine.js';
import { serviceForFile } from '../support/file-service.js';
import { testBackend } from '../support/service.js';
import { type RawEntry, tarOf } from '../support/tar.js';

const base = 'python:3.11-slim';
const service = serviceForFile({ env: { PYEXEC_READY_TIMEOUT: '3', PYEXEC_PULL_TIMEOUT: '3' } });
const names: string[] = [];

afterAll(async () => {
  if (names.length > 0) await docker('rmi', '--force', ...names);
});

/** Builds an image on top of the usual one and returns its name. Nothing in it is run for that. */
async function build(lines: readonly string[], files: readonly RawEntry[] = []): Promise<string> {
  const name = `pyexec-e2e-${randomUUID()}:hostile`;
  const dockerfile = [`FROM ${base}`, ...lines].join('\n');
  await dockerWithStdin(
    tarOf({ name: 'Dockerfile', content: dockerfile }, ...files),
    'build',
    '--quiet',
    '--tag',
    name,
    '-',
  );
  names.push(name);
  return name;
}

/** An image whose python3 is a shell script. */
function buildWithInterpreter(script: string): Promise<string> {
  const file = { name: 'python3', mode: '0000755', content: `#!/bin/sh\n${script}\n` };
  return build(['COPY python3 /usr/local/bin/python3', 'ENV PATH=/usr/local/bin:/usr/bin:/bin'], [file]);
}

describe.skipIf(testBackend !== 'docker')('23: an image', () => {
  test('that wants to start otherwise is overridden', async () => {
    const docker_image = await build([
      'ENTRYPOINT ["/bin/false"]',
      'CMD ["--evil"]',
      'HEALTHCHECK --interval=1s CMD touch /tmp/health',
      'WORKDIR /nowhere',
      'VOLUME ["/data", "/srv/more"]',
      'USER root',
      'STOPSIGNAL SIGWINCH',
      'SHELL ["/bin/evil"]',
      'EXPOSE 8080',
      'ONBUILD RUN false',
      'LABEL python-executor.owner=somebody-else',
    ]);
    const program = `
import os, time
time.sleep(1.5)
print(os.getuid(), os.getcwd(), sorted(os.listdir("/tmp")), os.path.exists("/nowhere") and os.listdir("/nowhere"))
for path in ("/data", "/srv/more", "/nowhere"):
    try: open(path + "/x", "w")
    except OSError as error: print(path, error.strerror)`;
    const result = await run(service, program, { docker_image });
    expect(result).toMatchObject({ status: 'completed', exit_code: 0, stderr: '' });
    expect(result.stdout).toMatch(/^1000 \/work \[\] \[\]\n/);
    expect(result.stdout.trim().split('\n').slice(1)).toEqual([
      expect.stringMatching(/^\/data (Read-only file system|Permission denied)$/),
      expect.stringMatching(/^\/srv\/more (Read-only file system|Permission denied)$/),
      '/nowhere Read-only file system',
    ]);
  });

  test('with volumes leaves none of them behind', async () => {
    const before = await backend.traces();
    const docker_image = await build(['VOLUME ["/data"]']);
    for (const pre_commands of [undefined, ['echo x > /data/x']]) {
      const program = 'import os; print(os.path.isdir("/data"))';
      expect((await run(service, program, { docker_image, pre_commands })).stdout).toBe('True\n');
    }
    const added = (await backend.traces()).filter((trace) => trace.startsWith('volume') && !before.includes(trace));
    expect(added).toEqual([]);
  });

  test.each([
    ['/work', true],
    ['/tmp', true],
    ['/proc', false],
    ['/dev/shm', false],
    ['/sys/fs/cgroup', false],
  ])('with a volume at %s cannot take its place (runs: %s)', async (path, runs) => {
    const docker_image = await build([`VOLUME ["${path}"]`]).catch(() => undefined);
    // The engine itself refuses to build some of these.
    if (docker_image === undefined) return;
    const result = await run(service, 'open("x", "w"); open("/tmp/x", "w"); print("ran")', { docker_image });
    if (runs) expect(result).toMatchObject({ status: 'completed', stdout: 'ran\n' });
    else expect(result).toMatchObject({ status: 'failed', termination: { reason: 'image_unavailable' } });
  });

  test('with variables of its own has them, and they change nothing of the containment', async () => {
    const docker_image = await build([
      'ENV MINE=1 HOME=/root USER=root PYTHONSTARTUP=/x PYTHONHASHSEED=7 TZ=Asia/Tokyo',
    ]);
    const program =
      'import os, sys; print(os.environ["MINE"], os.environ["HOME"], os.getuid(), os.environ["TZ"], hash("a") != 0)';
    expect(await run(service, program, { docker_image })).toMatchObject({
      stdout: '1 /work 1000 Asia/Tokyo True\n',
      stderr: '',
    });
  });

  test('whose variables break its interpreter fails by itself', async () => {
    const docker_image = await build(['ENV PYTHONHOME=/nowhere LD_PRELOAD=/nowhere.so']);
    const result = await run(service, 'print(1)', { docker_image });
    expect(['completed', 'failed']).toContain(result.status);
    expect(await run(service, 'print("next")')).toMatchObject({ stdout: 'next\n' });
  });

  test('without python3 is not available', async () => {
    const docker_image = await build(['ENV PATH=/nowhere']);
    const result = await run(service, 'print(1)', { docker_image });
    expect(result).toMatchObject({ status: 'failed', exit_code: 125, termination: { reason: 'image_unavailable' } });
    expect(result.error).toContain('python3');
  });

  test.each([
    ['prints garbage', 'echo garbage; cat /dev/urandom'],
    ['prints nothing but zeros', 'cat /dev/zero'],
    ['announces a frame of 4 GiB', "printf 'R\\000\\000\\000\\000O\\377\\377\\377\\377'; sleep 60"],
    ['sends an end that makes no sense', "printf 'R\\000\\000\\000\\000Z\\000\\000\\000\\005phase'; sleep 60"],
    [
      'sends numbers out of all bounds',
      "printf 'R\\000\\000\\000\\000Z\\000\\000\\000\\036phase=run exit_code=9999999999 '; sleep 60",
    ],
    ['goes on after the end', "printf 'R\\000\\000\\000\\000O\\000\\000\\000\\001xQ\\000\\000\\000\\000'; sleep 60"],
    ['ends at once', 'exit 3'],
    ['is ready and ends', "printf 'R\\000\\000\\000\\000'"],
    ['is never ready', 'sleep 60'],
    ['complains without end', 'while :; do echo complaint >&2; done'],
  ])('whose interpreter %s fails by itself, and the service goes on', async (_name, script) => {
    const before = await service.residentBytes();
    const docker_image = await buildWithInterpreter(script);
    const began = performance.now();
    const result = await run(service, 'print(1)', { docker_image, config: { timeout_seconds: 10 } });
    expect(result.status).toBe('failed');
    expect(['internal', 'worker_lost']).toContain(result.termination?.reason);
    expect(result.error?.length).toBeLessThan(5_000);
    expect(performance.now() - began).toBeLessThan(8_000);
    expect((await service.residentBytes()) - before).toBeLessThan(64 * 1024 * 1024);
    expect(await run(service, 'print("next")')).toMatchObject({ stdout: 'next\n' });
  });

  test('whose agent lies about output and end is held to the limits all the same', async () => {
    const header = "printf 'R\\000\\000\\000\\000'; head -c 300 > /dev/null";
    const flood =
      "i=0; while [ $i -lt 400 ]; do printf 'O\\000\\001\\000\\000'; head -c 65536 /dev/zero; i=$((i+1)); done";
    const end =
      "printf 'Z\\000\\000\\000\\143phase=run disk_full=0 exit_code=0 signal=0 stdout_cut=0 stderr_cut=0 wall_us=1 cpu_us=1 peak_bytes=1 oom_kills=0 counted=1'";
    const docker_image = await buildWithInterpreter(`${header}; ${flood}; ${end}; sleep 60`);
    const result = await run(service, 'print(1)', { docker_image, config: { timeout_seconds: 10 } });
    expect(result.stdout.length).toBeLessThanOrEqual(10_485_760);
    expect(['failed', 'completed']).toContain(result.status);
  });

  test.each(['no/such image', 'UPPER', '../x', 'a:b:c', '', 'x'.repeat(5_000), 'python@sha256:zz', '-v', 'a\nb'])(
    'with a name that is none is not available: %.20s',
    async (docker_image) => {
      const result = await run(service, 'print(1)', { docker_image });
      if (docker_image === '') expect(result.stdout).toBe('1\n');
      else
        expect(result).toMatchObject({
          status: 'failed',
          exit_code: 125,
          termination: { reason: 'image_unavailable' },
        });
      expect(result.error?.length ?? 0).toBeLessThan(1_000);
    },
  );

  test('of a registry that never answers is given up in time, by all who wait for it, or before when one is killed', async () => {
    const registry = createServer(() => {}).listen(0, '127.0.0.1');
    await once(registry, 'listening');
    const { port } = registry.address() as AddressInfo;
    // An address of the host itself: the engine takes it without encryption.
    const metadata = { docker_image: `127.0.0.1:${port}/slow:1` };
    const began = performance.now();
    const waiting = Promise.all([1, 2, 3].map(() => run(service, 'print(1)', metadata)));
    const id = await submit(service, 'print(1)', metadata);
    expect(await kill(service, id)).toBe('killed');
    expect(performance.now() - began).toBeLessThan(1_500);
    expect(await read(service, id)).toMatchObject({ status: 'killed', stdout: '' });
    expect(await run(service, 'print("meanwhile")')).toMatchObject({ stdout: 'meanwhile\n' });
    for (const result of await waiting) {
      expect(result).toMatchObject({ status: 'failed', exit_code: 125, termination: { reason: 'image_unavailable' } });
    }
    expect(performance.now() - began).toBeGreaterThan(2_900);
    expect(performance.now() - began).toBeLessThan(6_000);
    registry.close();
  });
});
