import { describe, expect, test } from 'vitest';
import type { SandboxSpec } from '../../dist/jobs/ports.js';

export interface ContainmentOptions {
  /** Runs a program as the agent of a sandbox of its own, and returns what it printed as JSON. */
  readonly runProbe: <Answer>(source: string, options?: { readonly spec?: Partial<SandboxSpec> }) => Promise<Answer>;
  /** What probes have unless they ask for something else; besides 64 processes, 1,000 inodes and 256 open files. */
  readonly diskBytes: number;
  readonly networks: readonly SandboxSpec['network'][];
  /** Whether the root file system knows of installed packages. */
  readonly hasPackages: boolean;
}

/** Lets a probe make raw system calls. Names are for x86_64 and aarch64; a call that one of them lacks is left out. */
const prelude = `
import ctypes, errno, json, os, platform
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
column = 0 if platform.machine() == 'x86_64' else 1

def outcome(result):
    return errno.errorcode[ctypes.get_errno()] if result == -1 else 'done'

def call(number, *arguments):
    ctypes.set_errno(0)
    return outcome(libc.syscall(*[ctypes.c_long(argument) for argument in (number, *arguments)]))

def attempt(action):
    try:
        action()
        return 'done'
    except OSError as error:
        return errno.errorcode[error.errno]
`;

/** What every backend must do whose sandboxes run on the host's kernel. */
export function describeContainment(backend: string, options: ContainmentOptions): void {
  const { runProbe, diskBytes, networks, hasPackages } = options;
  describe(`a program in a sandbox of ${backend}`, () => {
    test('has no privilege left and runs behind a filter', async () => {
      const status = await runProbe<Record<string, string>>(`
import json
lines = [line.split(':', 1) for line in open('/proc/self/status')]
print(json.dumps({key: value.strip() for key, value in lines}))
`);
      const none = '0000000000000000';
      expect(status).toMatchObject({
        Uid: '1000\t1000\t1000\t1000',
        Gid: '1000\t1000\t1000\t1000',
        // Engines differ in whether they repeat the group here.
        Groups: expect.stringMatching(/^(1000)?$/),
        CapInh: none,
        CapPrm: none,
        CapEff: none,
        CapBnd: none,
        CapAmb: none,
        NoNewPrivs: '1',
        Seccomp: '2',
      });
    });

    // The arguments are such that the kernel itself would allow each or find another fault with it.
    test('is refused what leads out of the sandbox', async () => {
      const outcomes = await runProbe<Record<string, string>>(`${prelude}
calls = {
    'unshare nothing': (272, 97, 0),
    'unshare user': (272, 97, 0x10000000),
    'setns': (308, 268, -1, 0),
    'mount': (165, 40, 0, 0, 0, 0, 0),
    'umount2': (166, 39, 0, 0),
    'pivot_root': (155, 41, 0, 0),
    'chroot': (161, 51, 0),
    'open_tree': (428, 428, -1, 0, 0),
    'move_mount': (429, 429, -1, 0, -1, 0, 0),
    'fsopen': (430, 430, 0, 0),
    'fsmount': (432, 432, -1, 0, 0),
    'mount_setattr': (442, 442, -1, 0, 0, 0, 0),
    'ptrace traceme': (101, 117, 0, 0, 0, 0),
    'process_vm_readv': (310, 270, os.getpid(), 0, 0, 0, 0, 0),
    'process_vm_writev': (311, 271, os.getpid(), 0, 0, 0, 0, 0),
    'pidfd_getfd': (438, 438, -1, 0, 0),
    'kcmp': (312, 272, os.getpid(), os.getpid(), 0, 0, 0),
    'keyctl': (250, 219, 0, -3, 0),
    'add_key': (248, 217, 0, 0, 0, 0, 0),
    'request_key': (249, 218, 0, 0, 0, 0),
    'bpf': (321, 280, 0, 0, 0),
    'perf_event_open': (298, 241, 0, 0, -1, -1, 0),
    'userfaultfd': (323, 282, 1),
    'io_uring_setup': (425, 425, 1, 0),
    'io_uring_enter': (426, 426, -1, 0, 0, 0, 0),
    'io_uring_register': (427, 427, -1, 0, 0, 0),
    'open_by_handle_at': (304, 265, -1, 0, 0),
    'name_to_handle_at': (303, 264, -1, 0, 0, 0, 0),
    'fanotify_init': (300, 262, 0, 0),
    'kexec_load': (246, 104, 0, 0, 0, 0),
    'init_module': (175, 105, 0, 0, 0),
    'finit_module': (313, 273, -1, 0, 0),
    'delete_module': (176, 106, 0, 0),
    'reboot': (169, 142, 0, 0, 0, 0),
    'swapon': (167, 224, 0, 0),
    'acct': (163, 89, 0),
    'quotactl': (179, 60, 0, 0, 0, 0),
    'syslog': (103, 116, 10, 0, 0),
    'sethostname': (170, 161, 0, 0),
    'settimeofday': (164, 170, 0, 0),
    'move_pages': (279, 239, 0, 0, 0, 0, 0, 0),
}
print(json.dumps({name: call(numbers[column], *numbers[2:]) for name, numbers in calls.items()}))
`);
      const refused = Object.fromEntries(Object.keys(outcomes).map((name) => [name, 'EPERM']));
      expect(outcomes).toEqual(refused);
    });

    test('cannot make namespaces with clone, change its personality or use what is not known', async () => {
      const outcomes = await runProbe<Record<string, string>>(`${prelude}
flags = {'MNT': 0x20000, 'CGROUP': 0x2000000, 'UTS': 0x4000000, 'IPC': 0x8000000, 'USER': 0x10000000,
         'PID': 0x20000000, 'NET': 0x40000000, 'two': 0x50000000}
outcomes = {name: call((56, 220)[column], flag | 17, 0, 0, 0, 0) for name, flag in flags.items()}
outcomes['clone3'] = call(435, 0, 0)
outcomes['no randomization'] = call((135, 92)[column], 0x40000)
outcomes['unknown'] = call(9999)
outcomes['current personality'] = call((135, 92)[column], 0xffffffff)
print(json.dumps(outcomes))
`);
      const { clone3, unknown, 'current personality': current, ...refused } = outcomes;
      expect({ clone3, unknown, current }).toEqual({ clone3: 'ENOSYS', unknown: 'ENOSYS', current: 'done' });
      // An engine older than profiles with a default of ENOSYS says EPERM.
      for (const outcome of Object.values(refused)) expect(outcome).toMatch(/^(EPERM|ENOSYS)$/);
    });

    test('opens sockets of the internet and its own only', async () => {
      const outcomes = await runProbe<Record<string, string>>(`${prelude}
import socket
STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
sockets = {
    'unix': (1, STREAM, 0), 'tcp': (2, STREAM, 6), 'udp': (2, DGRAM, 17), 'tcp6': (10, STREAM, 0),
    'netlink route': (16, RAW, 0),
    'vsock': (40, STREAM, 0), 'alg': (38, SEQPACKET, 0), 'packet': (17, RAW, 0), 'bluetooth': (31, RAW, 0),
    'tipc': (30, SEQPACKET, 0), 'can': (29, RAW, 1), 'xdp': (44, RAW, 0), 'high bits': (2**32 + 40, STREAM, 0),
    'netlink audit': (16, RAW, 9), 'netlink netfilter': (16, RAW, 12),
    'sctp': (2, STREAM, 132), 'sctp6': (10, STREAM, 132), 'mptcp': (2, STREAM, 262), 'raw': (2, RAW, 255),
}
number = (41, 198)[column]
outcomes = {name: call(number, *arguments) for name, arguments in sockets.items()}
outcomes['dccp'] = call(number, 2, 6, 33)
outcomes['x25'] = call(number, 9, SEQPACKET, 0)
outcomes['socketpair tipc'] = call((53, 199)[column], 30, STREAM, 0, ctypes.addressof(ctypes.create_string_buffer(8)))
print(json.dumps(outcomes))
`);
      const { dccp, x25, 'socketpair tipc': pair, ...others } = outcomes;
      for (const outcome of [dccp, x25, pair]) expect(outcome).not.toBe('done');
      const [done, family, protocol] = ['done', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'];
      expect(others).toEqual({
        ...{ unix: done, tcp: done, udp: done, tcp6: done, 'netlink route': done },
        ...{ vsock: family, alg: family, packet: family, bluetooth: family, tipc: family, can: family, xdp: family },
        'high bits': family,
        ...{ 'netlink audit': protocol, 'netlink netfilter': protocol, sctp: protocol, sctp6: protocol },
        ...{ mptcp: protocol, raw: protocol },
      });
    });

    test('is ended when it calls the kernel by the interface for 32 bits', async () => {
      const { machine, signal } = await runProbe<{ machine: string; signal: number }>(`${prelude}
import mmap, signal
pid = os.fork()
if pid == 0:
    # mov eax, 20 (getpid); int 0x80; ret
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))()
    os._exit(0)
print(json.dumps({'machine': platform.machine(), 'signal': os.waitpid(pid, 0)[1] & 0x7f}))
`);
      if (machine === 'x86_64') expect([11, 31]).toContain(signal);
    });

    test('writes nowhere but to its own directories', async () => {
      const outcomes = await runProbe<Record<string, string>>(`${prelude}
places = ['/x', '/etc/x', '/usr/x', '/var/tmp/x', '/run/x', '/proc/sys/kernel/hostname', '/proc/sysrq-trigger',
          '/sys/x', '/sys/fs/cgroup/x', '/sys/fs/cgroup/memory/memory.limit_in_bytes', '/dev/x',
          '/work/x', '/tmp/x', '/dev/shm/x']
print(json.dumps({place: attempt(lambda: open(place, 'w').write('1')) for place in places}))
`);
      const { '/work/x': work, '/tmp/x': temporary, '/dev/shm/x': shared, ...others } = outcomes;
      expect([work, temporary, shared]).toEqual(['done', 'done', 'done']);
      for (const [place, outcome] of Object.entries(others)) expect(`${place} ${outcome}`).not.toContain('done');
    });

    test('runs out of space and of inodes in its directories', async () => {
      const outcomes = await runProbe<Record<string, unknown>>(`${prelude}
def fill(directory):
    with open(directory + '/big', 'wb') as file:
        for _ in range(4096): file.write(bytes(65536))

def crowd(directory):
    for number in range(5000): os.close(os.open(f'{directory}/{number}', os.O_CREAT))

outcomes = {}
for directory in ('/work', '/tmp', '/dev/shm'):
    space = attempt(lambda: fill(directory))
    size = os.stat(directory + '/big').st_size
    os.remove(directory + '/big')
    outcomes[directory] = [space, size]
for directory in ('/work', '/tmp'):
    outcomes[directory].append(attempt(lambda: crowd(directory)))
    outcomes[directory].append(os.statvfs(directory).f_files)
print(json.dumps(outcomes))
`);
      const shared = 64 * 1024 * 1024;
      expect(outcomes).toEqual({
        '/work': ['ENOSPC', diskBytes, 'ENOSPC', 1000],
        '/tmp': ['ENOSPC', diskBytes, 'ENOSPC', 1000],
        '/dev/shm': ['ENOSPC', shared],
      });
    });

    test('has its limits', async () => {
      const limits = await runProbe<Record<string, unknown>>(`${prelude}
import resource, threading

def crowd():
    children = []
    try:
        while True:
            pid = os.fork()
            if pid == 0:
                import time
                time.sleep(60)
            children.append(pid)
    finally:
        for pid in children: os.kill(pid, 9)
        limits['processes'] = len(children) + 1

limits = {'files': resource.getrlimit(resource.RLIMIT_NOFILE), 'core': resource.getrlimit(resource.RLIMIT_CORE)}
limits['fork'] = attempt(crowd)
limits['cgroup'] = open('/proc/self/cgroup').read()
limits['oom'] = int(open('/proc/self/oom_score_adj').read())
print(json.dumps(limits))
`);
      expect(limits).toMatchObject({ files: [256, 256], core: [1, 1], fork: 'EAGAIN', processes: 64, oom: 500 });
      // Its own cgroup is the root of those that it sees.
      expect(limits.cgroup).toMatch(/^(\d+:[^:]*:\/\n)+$/);
    });

    test('cannot read what tells of the host', async () => {
      const contents = await runProbe<Record<string, unknown>>(`${prelude}
def read(path):
    try:
        return os.listdir(path) if os.path.isdir(path) else open(path).read()
    except OSError as error:
        return errno.errorcode[error.errno]

paths = ['/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/cmdline', '/proc/kallsyms', '/proc/interrupts',
         '/sys/firmware', '/proc/scsi', '/etc/resolv.conf', '/run/docker.sock', '/var/run/docker.sock']
print(json.dumps({path: read(path) for path in paths}))
`);
      const { '/etc/resolv.conf': resolver, ...others } = contents;
      expect(resolver).toBe('nameserver 127.0.0.1\n');
      for (const [path, content] of Object.entries(others)) {
        expect([path, content]).toSatisfy(([, found]) => ['', 'ENOENT', 'EACCES'].includes(String(found)));
      }
    });

    test('sees the environment of its image, of its sandbox, and nothing else', async () => {
      const environment = await runProbe<Record<string, string>>(
        'import json, os\nprint(json.dumps(dict(os.environ)))',
      );
      expect(environment).toEqual({
        PATH: expect.any(String),
        // The interpreter sets it where there is no locale.
        LC_CTYPE: 'C.UTF-8',
        HOSTNAME: 'sandbox',
        HOME: '/work',
        USER: 'sandbox',
        XDG_CACHE_HOME: '/tmp/.cache',
        PIP_CACHE_DIR: '/tmp/.cache/pip',
        MPLCONFIGDIR: '/tmp/.cache/matplotlib',
        NUMBA_CACHE_DIR: '/tmp/.cache/numba',
        BLIS_NUM_THREADS: '1',
        MKL_NUM_THREADS: '1',
        NUMBA_NUM_THREADS: '1',
        NUMEXPR_NUM_THREADS: '1',
        OMP_NUM_THREADS: '1',
        OPENBLAS_NUM_THREADS: '1',
        POLARS_MAX_THREADS: '1',
        RAYON_NUM_THREADS: '1',
        VECLIB_MAXIMUM_THREADS: '1',
      });
    });

    test('has no network but itself, and is told so at once', async () => {
      const answers = await runProbe<Record<string, unknown>>(`
import json, socket, time
def failure(action):
    started = time.monotonic()
    try:
        action()
        return 'reached'
    except OSError:
        return 'quick' if time.monotonic() - started < 1 else 'slow'

server = socket.create_server(('127.0.0.1', 0))
socket.create_connection(('localhost', server.getsockname()[1]), 1)
print(json.dumps({
    'interfaces': [name for _, name in socket.if_nameindex()],
    'name': failure(lambda: socket.getaddrinfo('example.com', 80)),
    'address': failure(lambda: socket.create_connection(('1.1.1.1', 80), 5)),
    'metadata': failure(lambda: socket.create_connection(('169.254.169.254', 80), 5)),
    'host': socket.gethostname(),
}))
`);
      expect(answers).toEqual({
        interfaces: ['lo'],
        name: 'quick',
        address: 'quick',
        metadata: 'quick',
        host: 'sandbox',
      });
    });
  });

  describe(`an agent that begins as root in a sandbox of ${backend}`, () => {
    const source = `
import json, os
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
def writes(path):
    try:
        open(path, 'w').close()
        return True
    except OSError:
        return False
answer = {key: status[key].strip() for key in ('Uid', 'CapEff', 'CapBnd', 'NoNewPrivs', 'Seccomp')}
answer['root'] = writes('/etc/x')
answer['work'] = writes('/work/x')
os.setgroups([])
os.setresgid(1000, 1000, 1000)
os.setresuid(1000, 1000, 1000)
after = dict(line.split(':', 1) for line in open('/proc/self/status'))
answer['after'] = [after[key].strip() for key in ('Uid', 'CapEff')]
print(json.dumps(answer))
`;
    const root = { Uid: '0\t0\t0\t0', NoNewPrivs: '1', Seccomp: '2' };
    const after = ['1000\t1000\t1000\t1000', '0000000000000000'];

    test('may unpack packages when there is a setup', async () => {
      const answer = await runProbe(source, { spec: { privilege: 'setup' } });
      // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP.
      const capabilities = '00000000000001fb';
      expect(answer).toEqual({ ...root, CapEff: capabilities, CapBnd: capabilities, root: true, work: true, after });
    });

    test.runIf(hasPackages)('can add users, become one of them and install a package in a setup', async () => {
      const printed = await runProbe<string>(
        `
import json, subprocess
script = '''
set -e
useradd --create-home somebody
su somebody -c 'id -u'
mkdir -p /tmp/package/DEBIAN /tmp/package/opt
printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b.c>\\nDescription: x\\n' >/tmp/package/DEBIAN/control
printf '#!/bin/sh\\nchown somebody /opt/file\\n' >/tmp/package/DEBIAN/postinst
chmod 755 /tmp/package/DEBIAN/postinst
echo content >/tmp/package/opt/file
dpkg-deb --build /tmp/package /tmp/x.deb >/tmp/log
dpkg --install /tmp/x.deb >/tmp/log
stat --format=%U /opt/file
'''
done = subprocess.run(['sh', '-c', script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print(json.dumps(done.stdout))
`,
        { spec: { privilege: 'setup' } },
      );
      expect(printed).toBe('1000\nsomebody\n');
    });

    test.runIf(networks.includes('public'))(
      'may close routes when there is a network, and writes no more than a program',
      async () => {
        const answer = await runProbe(source, { spec: { network: 'public' } });
        // SETGID, SETUID, SETPCAP, NET_ADMIN.
        const capabilities = '00000000000011c0';
        expect(answer).toEqual({
          ...root,
          CapEff: capabilities,
          CapBnd: capabilities,
          root: false,
          work: false,
          after,
        });
      },
    );

    test.runIf(networks.includes('public'))('can add routes to nowhere', async () => {
      const unreachable = await runProbe<string>(
        `
import json, socket, struct
# RTM_NEWROUTE of type unreachable to 169.254.0.0/16.
body = struct.pack('BBBBBBBBI', 2, 16, 0, 0, 254, 4, 0, 7, 0) + struct.pack('HH4s', 8, 1, bytes([169, 254, 0, 0]))
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
link.send(struct.pack('IHHII', 16 + len(body), 24, 0x405, 1, 0) + body)
error = struct.unpack_from('i', link.recv(4096), 16)[0]
try:
    socket.create_connection(('169.254.169.254', 80), 5)
    print(json.dumps('reached'))
except OSError as failure:
    print(json.dumps(f'{error} {failure.errno}'))
`,
        { spec: { network: 'public' } },
      );
      expect(unreachable).toBe('0 113');
    });
  });
}
