import { readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import {
  installed,
  never,
  openBackend,
  type ProbeOptions,
  processesOf,
  programSpec,
  readAll,
  runProbe,
  sandboxesOf,
  tracesOf,
} from './fixture.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const runtime = 'runsc';
const probe = <Answer>(source: string, options: ProbeOptions = {}) =>
  runProbe<Answer>(source, { ...options, backend: { runtime, ...options.backend } });

/** What holds is asserted by its effects: gVisor is a kernel of its own and carries out what stays inside it. */
describe.runIf(installed([runtime]).length > 0)('a sandbox of gVisor', () => {
  test('is not on the kernel of the host, and has no privilege in its own', async () => {
    const answer = await probe<{ status: Record<string, string>; kernel: string }>(`
import json, os
lines = [line.split(':', 1) for line in open('/proc/self/status')]
print(json.dumps({'status': {key: value.strip() for key, value in lines}, 'kernel': open('/proc/version').read()}))
`);
    const none = '0000000000000000';
    expect(answer.status).toMatchObject({ CapEff: none, CapBnd: none, CapPrm: none, CapInh: none });
    expect(answer.status.Uid).toBe('1000\t1000\t1000\t1000');
    expect(answer.kernel).not.toBe(readFileSync('/proc/version', 'utf8'));
  });

  test('refuses what leads out of it', async () => {
    const outcomes = await probe<Record<string, string>>(`
import ctypes, errno, json, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
column = 0 if platform.machine() == 'x86_64' else 1
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_long(argument) for argument in (number, *arguments)])
    return errno.errorcode[ctypes.get_errno()] if result == -1 else 'done'
def open_socket(family, kind):
    try:
        socket.socket(family, kind).close()
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
path = ctypes.addressof(ctypes.create_string_buffer(b'/tmp'))
kind = ctypes.addressof(ctypes.create_string_buffer(b'tmpfs'))
calls = {
    'mount': (165, 40, path, path, kind, 0, 0), 'umount2': (166, 39, path, 0), 'chroot': (161, 51, path),
    'setns': (308, 268, 0, 0), 'pivot_root': (155, 41, path, path), 'bpf': (321, 280, 0, 0, 0),
    'keyctl': (250, 219, 0, -3, 0), 'userfaultfd': (323, 282, 1), 'io_uring_setup': (425, 425, 1, 0),
    'perf_event_open': (298, 241, 0, 0, -1, -1, 0), 'open_by_handle_at': (304, 265, -1, 0, 0),
    'init_module': (175, 105, 0, 0, 0), 'kexec_load': (246, 104, 0, 0, 0, 0), 'reboot': (169, 142, 0, 0, 0, 0),
    'sethostname': (170, 161, path, 1), 'process_vm_readv': (310, 270, 1, 0, 0, 0, 0, 0),
}
outcomes = {name: call(numbers[column], *numbers[2:]) for name, numbers in calls.items()}
outcomes['vsock'] = open_socket(40, socket.SOCK_STREAM)
outcomes['packet'] = open_socket(17, socket.SOCK_RAW)
outcomes['alg'] = open_socket(38, socket.SOCK_SEQPACKET)
print(json.dumps(outcomes))
`);
    for (const [name, outcome] of Object.entries(outcomes)) expect(`${name} ${outcome}`).not.toContain('done');
  });

  test('keeps what it may write to within its size, and writes nowhere else', async () => {
    const outcomes = await probe<Record<string, unknown>>(`
import errno, json, os
def fill(path):
    try:
        with open(path, 'wb') as file:
            for _ in range(4096): file.write(bytes(65536))
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
answer = {}
for directory in ('/work', '/tmp', '/dev/shm'):
    answer[directory] = [fill(directory + '/big'), os.stat(directory + '/big').st_size]
    os.remove(directory + '/big')
answer['elsewhere'] = [fill(path) for path in ('/x', '/etc/x', '/usr/x', '/proc/sys/kernel/hostname', '/sys/x')]
print(json.dumps(answer))
`);
    expect(outcomes).toMatchObject({
      '/work': ['ENOSPC', programSpec.diskBytes],
      '/tmp': ['ENOSPC', programSpec.diskBytes],
      '/dev/shm': ['ENOSPC', 64 * 1024 * 1024],
    });
    expect(outcomes.elsewhere).not.toContain('done');
  });

  test('shows nothing that belongs to anybody on the host, and no network', async () => {
    const answer = await probe<Record<string, unknown>>(`
import json, os, socket, time
def reach():
    started = time.monotonic()
    try:
        socket.create_connection(('1.1.1.1', 80), 5)
        return 'reached'
    except OSError:
        return 'quick' if time.monotonic() - started < 1 else 'slow'
places = ['/home', '/root', '/opt', '/srv', '/mnt', '/run', '/work', '/tmp']
print(json.dumps([
    [os.listdir(place) for place in places],
    [path for path in ('/var/lib/dpkg', '/etc/ssh', '/run/docker.sock') if os.path.exists(path)],
    [name for _, name in socket.if_nameindex()],
    reach(),
]))
`);
    expect(answer).toEqual([[[], [], [], [], [], [], [], []], [], ['lo'], 'quick']);
  });

  test('changes its root in a setup, and nobody else sees it', async () => {
    const answer = await probe<unknown>(
      `
import json, os
open('/etc/hosts', 'w').write('mine')
os.chown('/usr/bin/yes', 7, 7)
os.mkdir('/opt/x')
print(json.dumps([os.getuid(), open('/etc/hosts').read(), os.stat('/usr/bin/yes').st_uid, os.listdir('/opt')]))
`,
      { spec: { privilege: 'setup' } },
    );
    expect(answer).toEqual([0, 'mine', 7, ['x']]);
    expect(await probe('import json\nprint(json.dumps("mine" in open("/etc/hosts").read()))')).toBe(false);
  });

  test.each([
    ['takes all memory', 'blocks = [bytearray(16 * 1024 * 1024) for _ in range(64)]', true],
    ['forks without end', 'import os\nwhile True: os.fork()', undefined],
  ])('ends as a whole when what runs in it %s', async (_title, agentSource, oomKilled) => {
    const backend = openBackend({ runtime, agentSource, processesMax: 16 });
    const sandbox = await backend.create(programSpec, never());
    await readAll(sandbox);
    const measured = await sandbox.measure();
    expect(measured?.memoryPeakBytes).toBeLessThanOrEqual(programSpec.memoryBytes);
    if (oomKilled !== undefined) expect(measured?.oomKilled).toBe(oomKilled);
    await sandbox.destroy();
    expect(processesOf(sandbox.id)).toEqual([]);
    expect(sandboxesOf(backend.ownerId)).toEqual([]);
    await backend.close();
    expect(tracesOf(backend.ownerId)).toEqual([]);
  });
});
