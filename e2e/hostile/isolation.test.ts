import { describe, expect, test, vi } from 'vitest';
import { kill, read, run, submit } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const secret = 'server-secret-5e1f';
const service = serviceForFile({
  env: { AWS_SECRET_ACCESS_KEY: secret, PYEXEC_DNS_SERVERS: '192.0.2.53', SSH_AUTH_SOCK: `/tmp/${secret}` },
});

/** A line for each attempt: the name and what became of it. */
const attempting = `
import os
def attempt(name, act):
    try:
        act()
        print(name, "passed")
    except OSError as error:
        print(name, "refused")
`;

async function expectRefused(program: string, metadata: unknown = {}): Promise<void> {
  const { stdout, stderr, exit_code } = await run(service, `${attempting}${program}`, metadata);
  expect([stderr, exit_code]).toEqual(['', 0]);
  const lines = stdout.trim().split('\n');
  expect(lines.length).toBeGreaterThan(1);
  expect(lines.filter((line) => !line.endsWith(' refused'))).toEqual([]);
}

describe("22: what is not the program's", () => {
  test('cannot be written to', async () => {
    await expectRefused(`
for path in ("/x", "/etc/x", "/usr/x", "/usr/local/lib/x", "/var/x", "/var/tmp/x", "/root/x", "/home/x", "/opt/x", "/run/x", "/dev/x", "/proc/x", "/sys/x", "/sys/fs/cgroup/x"):
    attempt(path, lambda: open(path, "w"))
    attempt("directory " + path, lambda: os.mkdir(path))
for path in ("/etc/passwd", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/shadow", os.path.realpath("/usr/bin/python3"), os.__file__):
    attempt(path, lambda: open(path, "a"))
    attempt("removal of " + path, lambda: os.unlink(path))`);
  });

  test('of the kernel cannot be written to', async () => {
    await expectRefused(`
for path in ("/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/class/net/lo/mtu"):
    attempt(path, lambda: open(path, "r+").write("1"))`);
  });

  test('of its cgroup cannot be written to', async () => {
    await expectRefused(`
found = 0
for directory, _, names in os.walk("/sys/fs/cgroup"):
    for name in names:
        if name in ("cgroup.procs", "tasks", "release_agent", "notify_on_release", "memory.limit_in_bytes", "memory.max", "pids.max", "cpu.shares", "cpu.weight", "devices.allow", "cgroup.subtree_control"):
            path = directory + "/" + name
            attempt(path, lambda: os.open(path, os.O_WRONLY))
    attempt("group in " + directory, lambda: os.mkdir(directory + "/x"))
attempt("end", lambda: open("/nowhere/x"))`);
  });

  test('cannot be read where it tells of the host', async () => {
    const { stdout } = await run(
      service,
      `
import os
for path in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/kallsyms", "/proc/interrupts", "/proc/modules", "/proc/cmdline", "/proc/kmsg", "/proc/sched_debug", "/sys/firmware", "/sys/kernel/debug", "/sys/devices/virtual/dmi", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda"):
    try:
        if os.path.isdir(path): seen = os.listdir(path)
        else: seen = open(path, "rb").read(10)
        if seen: print(path, seen)
    except OSError: pass
print(sorted(name for name in os.listdir("/dev")))`,
    );
    expect(stdout).toMatch(/^\[[^\]]*'null'[^\]]*\]\n$/);
    expect(stdout).not.toMatch(/'(mem|kmsg|sd\w|vd\w|nvme\w*|loop\w*|fuse|kvm|net|vsock)'/);
  });
});

describe('22: the environment', () => {
  const show = 'import json, os; print(json.dumps(dict(os.environ)))';

  test.each([
    ['of the waiting interpreter', {}],
    ['of a new one', { env_vars: ['ASKED=for', 'PYTHONHASHSEED=0'] }],
    ['after pre_commands', { pre_commands: ['true'] }],
  ])("holds what was asked for, the image's and nothing of the server's: %s", async (_name, metadata) => {
    const variables = JSON.parse((await run(service, show, metadata)).stdout) as Record<string, string>;
    expect(JSON.stringify(variables)).not.toContain(secret);
    const known =
      /^(PATH|HOME|USER|HOSTNAME|LANG|LC_CTYPE|GPG_KEY|PYTHON_(VERSION|SHA256)|ASKED|PYTHONHASHSEED|XDG_CACHE_HOME|PIP_CACHE_DIR|MPLCONFIGDIR|NUMBA_CACHE_DIR|\w+_(NUM|MAX)_THREADS|VECLIB_MAXIMUM_THREADS)$/;
    expect(Object.keys(variables).filter((name) => !known.test(name))).toEqual([]);
    expect(variables).toMatchObject({ HOME: '/work' });
  });

  test('of no process tells more', async () => {
    const program = `
import glob
seen = []
for path in glob.glob("/proc/[0-9]*/environ"):
    try: seen.append(open(path).read())
    except OSError: pass
print("${secret.slice(0, 6)}" in "".join(seen), "PYEXEC" in "".join(seen), len(seen) > 0)`;
    expect((await run(service, program)).stdout).toBe('False False True\n');
  });

  test('of a pre_command is that of the program', async () => {
    const result = await run(service, 'pass', {
      env_vars: ['ASKED=for'],
      pre_commands: ['echo $ASKED $HOME; env | grep -c -e SECRET -e PYEXEC'],
    });
    expect(result.stdout).toBe('for /work\n0\n');
  });
});

test('22: there is no engine socket, nor any other', async () => {
  const program = `
import os, stat
for root in ("/var/run", "/run", "/tmp", "/dev", "/work", "/var/lib", "/"):
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if os.path.join(directory, name) not in ("/proc", "/sys")]
        for name in names:
            try: mode = os.lstat(os.path.join(directory, name)).st_mode
            except OSError: continue
            if stat.S_ISSOCK(mode): print(os.path.join(directory, name))`;
  expect(await run(service, program)).toMatchObject({ status: 'completed', stdout: '', stderr: '' });
});

test('22: no path of the host is mounted, and what can be written to takes no setuid and no device', async () => {
  const { stdout } = await run(service, 'print(open("/proc/self/mountinfo").read())');
  const mounts = stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [head = '', tail = ''] = line.split(' - ');
      const [, , , root, path, options = ''] = head.split(' ');
      return { root, path, options: options.split(','), type: tail.split(' ')[0] };
    });
  const ours = new Map(mounts.map((mount) => [mount.path, mount]));
  for (const path of ['/work', '/tmp']) {
    expect(ours.get(path)).toMatchObject({ type: 'tmpfs', options: expect.arrayContaining(['rw', 'nosuid', 'nodev']) });
    expect(ours.get(path)?.options).not.toContain('noexec');
  }
  expect(ours.get('/')?.options).toContain('ro');
  const writable = mounts
    .filter(({ options, type }) => options.includes('rw') && type !== 'proc')
    .map(({ path }) => path);
  const allowed = /^\/(work|tmp|dev(\/.*)?|etc\/(hosts|hostname|resolv\.conf)|proc\/[\w.-]+|sys\/\w+(\/.*)?)$/;
  expect(writable.filter((path) => !allowed.test(path ?? ''))).toEqual([]);
});

describe('25: what one run leaves behind', () => {
  const leave = `
import ctypes, fcntl, os, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for path in ("/tmp/left", "/work/left", "/dev/shm/left", "/tmp/.left", "/work/.local/left"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").write("left")
made = [
    libc.shmget(0x1234, 4096, 0o1666) >= 0,
    libc.semget(0x1234, 1, 0o1666) >= 0,
    libc.msgget(0x1234, 0o1666) >= 0,
]
queue = ctypes.CDLL("librt.so.1", use_errno=True)
made.append(queue.mq_open(b"/left", os.O_CREAT | os.O_RDWR, 0o666, None) >= 0)
listener = socket.socket(socket.AF_UNIX)
listener.bind("\\0left")
listener.listen()
server = socket.socket()
server.bind(("127.0.0.1", 4321))
server.listen()
subprocess.Popen(["sleep", "1000"], start_new_session=True)
print(made, flush=True)
time.sleep(float(sys.argv[1]))`;

  const look = `
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
print([sorted(os.listdir(path)) for path in ("/tmp", "/work", "/dev/shm", "/dev/mqueue")])
print([libc.shmget(0x1234, 4096, 0), libc.semget(0x1234, 1, 0), libc.msgget(0x1234, 0)])
print(ctypes.CDLL("librt.so.1", use_errno=True).mq_open(b"/left", os.O_RDWR))
for family, address in ((socket.AF_UNIX, "\\0left"), (socket.AF_INET, ("127.0.0.1", 4321))):
    try:
        socket.socket(family).connect(address)
        print("connected")
    except OSError as error: print(error.strerror)
print(len([name for name in os.listdir("/proc") if name.isdigit()]))`;
  const nothing = `[[], ['main.py'], [], []]\n[-1, -1, -1]\n-1\nConnection refused\nConnection refused\n2\n`;

  test('is not there for the next', async () => {
    for (let round = 0; round < 3; round += 1) {
      expect(await run(service, leave, { script_args: ['0'] })).toMatchObject({
        stdout: '[True, True, True, True]\n',
        exit_code: 0,
      });
      expect((await run(service, look)).stdout).toBe(nothing);
    }
  });

  test('is not there for a neighbour at the same time', async () => {
    const id = await submit(service, leave, { script_args: ['60'] });
    await vi.waitFor(async () => expect((await read(service, id)).stdout).toBe('[True, True, True, True]\n'), {
      timeout: 5_000,
      interval: 50,
    });
    expect((await run(service, look)).stdout).toBe(nothing);
    expect(await kill(service, id)).toBe('killed');
  });

  test('as root in a pre_command is not there for the next either', async () => {
    const pre_commands = [
      'echo left > /usr/left; echo left > /etc/left; rm -f /bin/ls; pip config set global.index-url http://evil.invalid || true',
    ];
    expect(await run(service, 'import os; print(os.path.exists("/usr/left"))', { pre_commands })).toMatchObject({
      stdout: expect.stringMatching(/True\n$/),
    });
    const check =
      'import os; print([os.path.exists(p) for p in ("/usr/left", "/etc/left", "/bin/ls", "/etc/pip.conf")])';
    for (const metadata of [{}, { pre_commands: ['true'] }]) {
      expect((await run(service, check, metadata)).stdout).toBe('[False, False, True, False]\n');
    }
  });
});

test('the host is not to be known by its name, nor by its processes', async () => {
  const { stdout } = await run(
    service,
    'import os, socket; print(socket.gethostname(), os.getpid() != 1, os.getppid())',
  );
  expect(stdout).toBe('sandbox True 1\n');
});

describe('26: without a network', () => {
  test('there is no address, no name and no route, and that is said within a second', async () => {
    const program = `
import os, socket, time
began = time.monotonic()
print(os.listdir("/sys/class/net"), [line.split()[5] for line in open("/proc/net/if_inet6")])
for address in ("1.1.1.1", "10.0.0.1", "169.254.169.254", "172.17.0.1"):
    try:
        socket.create_connection((address, 80), timeout=5)
        print("connected")
    except OSError as error: print(error.strerror)
try: print(socket.getaddrinfo("example.com", 80))
except OSError: print("no name")
print(time.monotonic() - began < 1)`;
    const { stdout } = await run(service, program);
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toMatch(/^\['lo'\] \[('lo')?\]$/);
    expect(lines.slice(1)).toEqual([...Array.from({ length: 4 }, () => 'Network is unreachable'), 'no name', 'True']);
  });
});
