import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmdirSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { findHostPython } from '../../dist/sandbox/rootfs/python.js';
import { installed, never, openBackend, processesOf, programSpec, runProbe } from './fixture.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

test('a sandbox sees the programs of the host and nothing that belongs to anybody', async () => {
  const answer = await runProbe<{ places: Record<string, string[]>; owners: number[]; found: string[] }>(`
import json, os
places = ['/home', '/root', '/opt', '/srv', '/mnt', '/media', '/boot', '/run', '/work', '/tmp', '/dev/shm']
missing = ['/var/lib/dpkg', '/var/log/lastlog', '/etc/shadow-', '/etc/ssh', '/etc/docker', '/etc/ssl/private',
           '/run/docker.sock', '/var/run/docker.sock', '/sys/fs/cgroup/memory']
print(json.dumps({
    'places': {place: os.listdir(place) for place in places},
    'owners': sorted({os.stat(place).st_uid for place in ('/', '/usr', '/usr/bin/env', '/etc', '/etc/passwd', '/dev')}),
    'found': [path for path in missing if os.path.exists(path)],
}))
`);
  for (const [place, entries] of Object.entries(answer.places)) expect([place, entries]).toEqual([place, []]);
  expect(answer.owners).toEqual([0]);
  expect(answer.found).toEqual([]);
});

test('what Python and TLS need of the host is there', async () => {
  const answer = await runProbe<Record<string, unknown>>(`
import grp, json, locale, mimetypes, os, pwd, socket, ssl, sys, time, zoneinfo
print(json.dumps({
    'user': pwd.getpwuid(os.getuid()).pw_dir,
    'group': grp.getgrgid(os.getgid()).gr_name,
    'certificates': len(ssl.create_default_context().get_ca_certs()) > 10,
    'port': socket.getservbyname('https'),
    'localhost': socket.gethostbyname('localhost'),
    'self': socket.gethostbyname(socket.gethostname()),
    'type': mimetypes.guess_type('x.json')[0],
    'time': time.tzname[0],
    'zone': str(zoneinfo.ZoneInfo('Europe/Berlin')),
    'executable': sys.executable,
    'processors': os.cpu_count() >= 1,
    'prefix': sys.prefix,
}))
`);
  expect(answer).toEqual({
    user: '/work',
    group: 'sandbox',
    certificates: true,
    port: 443,
    localhost: '127.0.0.1',
    self: '127.0.0.1',
    type: 'application/json',
    time: 'UTC',
    zone: 'Europe/Berlin',
    executable: '/usr/bin/python3',
    processors: true,
    prefix: '/usr',
  });
});

test('no account of the host is the user of a sandbox, be it root inside', async () => {
  const accounts = new Set(
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .map((line) => Number(line.split(':')[2] ?? 'NaN')),
  );
  const backend = openBackend();
  for (const privilege of ['program', 'setup'] as const) {
    const sandbox = await backend.create({ ...programSpec, privilege }, never());
    sandbox.stdin.write('.');
    await once(sandbox.stdout, 'data');
    const users = processesOf(sandbox.id)
      .filter((processId) => readFileSync(`/proc/${processId}/cmdline`, 'latin1').startsWith('python3\0'))
      .flatMap((processId) =>
        /^Uid:\t(.*)$/m.exec(readFileSync(`/proc/${processId}/status`, 'utf8'))?.[1]?.split('\t'),
      );
    expect(users.length).toBe(4);
    for (const user of users) expect(accounts.has(Number(user))).toBe(false);
    await sandbox.destroy();
  }
  await backend.close();
});

test('a setup may change the whole root, and nobody else sees it', async () => {
  const setup = await runProbe<string>(
    `
import json, os, subprocess
script = '''
set -e
echo changed >/etc/hosts
echo new >/usr/local/bin/new
chmod 755 /usr/local/bin/new
mv /usr/bin/env /usr/bin/other
rm /usr/bin/yes
mkdir /opt/mine /root/mine
chown 1234 /opt/mine
cat /etc/hosts /usr/local/bin/new
stat --format=%u /opt/mine /usr/bin/other
test ! -e /usr/bin/yes
df --output=size --block-size=1 / | tail -1
'''
done = subprocess.run(['sh', '-c', script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(json.dumps(done.stdout))
`,
    { spec: { privilege: 'setup' } },
  );
  expect(setup.split('\n').map((line) => line.trim())).toEqual([
    'changed',
    'new',
    '1234',
    '0',
    String(programSpec.diskBytes),
    '',
  ]);
  expect(existsSync('/usr/bin/env')).toBe(true);
  expect(existsSync('/usr/local/bin/new')).toBe(false);
});

test('the writable root has the size that was asked for', async () => {
  const outcome = await runProbe<string>(
    `
import json
try:
    with open('/usr/local/big', 'wb') as file:
        for _ in range(128): file.write(bytes(1024 * 1024))
    print(json.dumps('done'))
except OSError as error:
    print(json.dumps(error.strerror))
`,
    { spec: { privilege: 'setup', diskBytes: 16 * 1024 * 1024 } },
  );
  expect(outcome).toBe('No space left on device');
});

test.each(installed(['crun', 'runc']))(
  'what a sandbox of %s uses up by user, the services of the host keep',
  async (runtime) => {
    const greedy = `
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
while libc.inotify_init1(0) >= 0: pass
os.write(1, b'%d' % ctypes.get_errno())
os.read(0, 1)
`;
    const backend = openBackend({ runtime, agentSource: greedy, openFilesMax: 10_000 });
    const sandbox = await backend.create(programSpec, never());
    const [said] = await once(sandbox.stdout, 'data');
    expect(Number(said)).toBe(constants.errno.EMFILE);
    const probe = 'import ctypes; print(ctypes.CDLL(None).inotify_init1(0) >= 0)';
    expect(execFileSync('/usr/bin/python3', ['-c', probe]).toString()).toBe('True\n');
    await sandbox.destroy();
    await backend.close();
  },
);

test.each(installed(['crun', 'runc', 'runsc']))(
  '%s can work from a disk without programs and devices',
  async (runtime) => {
    const disk = mkdtempSync(join(tmpdir(), 'python-executor-disk-'));
    chmodSync(disk, 0o755);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nosuid,nodev,noexec,mode=755', 'tmpfs', disk]);
    try {
      const source = 'import json, subprocess\nprint(json.dumps(subprocess.run(["env", "true"]).returncode))';
      expect(await runProbe(source, { backend: { runtime, runtimeDir: disk } })).toBe(0);
      expect(await runProbe(source, { backend: { runtime, runtimeDir: disk }, spec: { privilege: 'setup' } })).toBe(0);
    } finally {
      execFileSync('umount', [disk]);
      rmdirSync(disk);
    }
  },
);

test('a directory that others cannot pass through is refused', async () => {
  const backend = openBackend({ runtimeDir: '/root/.python-executor-test' });
  await expect(backend.probe(never())).rejects.toThrow('Cannot use "/root" for sandboxes');
  await backend.close();
  execFileSync('rm', ['-r', '/root/.python-executor-test']);
});

test('an interpreter that lies elsewhere brings its own directory and no other', async () => {
  const copy = '/root/.python-executor-test/python';
  execFileSync('sh', [
    '-c',
    `mkdir -p ${copy} && cp /usr/bin/python3 ${copy}/python3.real && /usr/bin/python3 -m venv --without-pip ${copy}/env`,
  ]);
  try {
    const answer = await runProbe<Record<string, unknown>>(
      `
import json, os, subprocess, sys
print(json.dumps({
    'executable': sys.executable,
    'home': os.listdir('/root'),
    'beside': os.listdir('/root/.python-executor-test/python'),
    'found': subprocess.run(['python3', '-c', 'import sys; print(sys.prefix)'], capture_output=True, text=True).stdout,
}))
`,
      { backend: { hostPython: `${copy}/env/bin/python3` } },
    );
    expect(answer).toEqual({
      executable: `${copy}/env/bin/python3`,
      home: ['.python-executor-test'],
      beside: ['env'],
      found: `${copy}/env\n`,
    });
  } finally {
    execFileSync('rm', ['-r', '/root/.python-executor-test']);
  }
});

test('an interpreter that will not do is refused with the reason', async () => {
  await expect(findHostPython('/nowhere/python3')).rejects.toThrow(
    'Cannot use the interpreter "/nowhere/python3": it does not run',
  );
  await expect(findHostPython('/bin/true')).rejects.toMatchObject({ reason: 'engine_unavailable' });
  const backend = openBackend({ hostPython: '/bin/false' });
  await expect(backend.probe(never())).rejects.toMatchObject({ reason: 'engine_unavailable' });
  await backend.close();
});
