import { describe, expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';
import { testBackend } from '../support/service.js';

const service = serviceForFile();

/**
 * Makes system calls by number and prints what became of each, as JSON. A call that succeeds is "ok"; each is made in a
 * process of its own, since some would change the caller.
 */
const caller = `
import ctypes, errno, json, os, platform, sys
libc = ctypes.CDLL(None, use_errno=True)
column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
numbers = {
    "ptrace": (101, 117), "syslog": (103, 116), "pivot_root": (155, 41), "chroot": (161, 51), "mount": (165, 40),
    "umount2": (166, 39), "swapon": (167, 224), "reboot": (169, 142), "sethostname": (170, 161),
    "init_module": (175, 105), "clone": (56, 220), "clone3": (435, 435), "personality": (135, 92),
    "perf_event_open": (298, 241), "fanotify_init": (300, 262), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "clock_settime": (227, 112), "setns": (308, 268), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "finit_module": (313, 273), "kexec_file_load": (320, 294),
    "bpf": (321, 280), "userfaultfd": (323, 282), "unshare": (272, 97), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432),
    "pidfd_getfd": (438, 438), "mount_setattr": (442, 442), "memfd_secret": (447, 447), "socket": (41, 198),
    "socketpair": (53, 199), "mknodat": (259, 33), "vmsplice": (278, 75), "acct": (163, 89), "quotactl": (179, 60),
}

def attempt(name, *args):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.set_errno(0)
        value = libc.syscall(numbers[name][column], *args)
        os.write(writer, (errno.errorcode[ctypes.get_errno()] if value == -1 else "ok").encode())
        os._exit(0)
    os.close(writer)
    said = os.read(reader, 100).decode()
    os.waitpid(pid, 0)
    return said or "killed"
`;

/** What makes a refusal; anything else would mean that the call was looked at by the kernel. */
const refusals = ['EPERM', 'ENOSYS', 'EACCES', 'EAFNOSUPPORT', 'EPROTONOSUPPORT', 'EINVAL'];

interface Call {
  readonly name: string;
  readonly args: string;
  readonly as?: string;
}

const namespaces = {
  NEWNS: 0x20000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
};
const families = {
  AF_PACKET: '17, 3, 0x300',
  AF_ALG: '38, 5, 0',
  AF_VSOCK: '40, 1, 0',
  AF_KEY: '15, 3, 2',
  AF_BLUETOOTH: '31, 3, 1',
  AF_CAN: '29, 3, 1',
  AF_XDP: '44, 3, 0',
  AF_TIPC: '30, 1, 0',
  AF_X25: '9, 5, 0',
  AF_RDS: '21, 5, 0',
  AF_NFC: '39, 3, 1',
  AF_QIPCRTR: '42, 2, 0',
  AF_SMC: '43, 1, 0',
  'netlink netfilter': '16, 3, 12',
  'netlink audit': '16, 3, 9',
  'raw IP': '2, 3, 255',
  'raw ICMP': '2, 3, 1',
  SCTP: '2, 1, 132',
  DCCP: '2, 6, 33',
  MPTCP: '2, 1, 262',
};

const calls: readonly Call[] = [
  { name: 'io_uring_setup', args: '8, bytes(120)' },
  { name: 'io_uring_enter', args: '0, 0, 0, 0, 0' },
  { name: 'io_uring_register', args: '0, 0, 0, 0' },
  { name: 'keyctl', args: '0, -3, 1' },
  { name: 'add_key', args: 'b"user", b"x", b"y", 1, -3' },
  { name: 'request_key', args: 'b"user", b"x", 0, -3' },
  { name: 'bpf', args: '0, bytes(128), 128' },
  { name: 'userfaultfd', args: '1' },
  { name: 'mount', args: 'b"none", b"/tmp", b"tmpfs", 0, 0' },
  { name: 'umount2', args: 'b"/tmp", 2' },
  { name: 'pivot_root', args: 'b"/tmp", b"/tmp"' },
  { name: 'chroot', args: 'b"/tmp"' },
  { name: 'open_tree', args: '-100, b"/", 1' },
  { name: 'move_mount', args: '-1, b"", -100, b"/tmp", 4' },
  { name: 'fsopen', args: 'b"tmpfs", 0' },
  { name: 'fsmount', args: '-1, 0, 0' },
  { name: 'mount_setattr', args: '-100, b"/", 0, bytes(32), 32' },
  { name: 'ptrace', args: '0, 0, 0, 0', as: 'PTRACE_TRACEME' },
  { name: 'ptrace', args: '16, os.getppid(), 0, 0', as: 'PTRACE_ATTACH of the parent' },
  { name: 'ptrace', args: '16, 1, 0, 0', as: 'PTRACE_ATTACH of pid 1' },
  { name: 'process_vm_readv', args: 'os.getppid(), 0, 0, 0, 0, 0' },
  { name: 'process_vm_writev', args: '1, 0, 0, 0, 0, 0', as: 'process_vm_writev to pid 1' },
  { name: 'pidfd_getfd', args: '0, 0, 0' },
  { name: 'kcmp', args: 'os.getpid(), 1, 0, 0, 0' },
  { name: 'name_to_handle_at', args: '-100, b"/", bytes(128), bytes(4), 0' },
  { name: 'open_by_handle_at', args: '0, bytes(16), 0' },
  { name: 'setns', args: '0, 0' },
  { name: 'clone3', args: 'bytes(88), 88' },
  { name: 'personality', args: '0x0040000', as: 'personality without address randomisation' },
  { name: 'perf_event_open', args: 'bytes(128), 0, -1, -1, 0' },
  { name: 'fanotify_init', args: '0, 0' },
  { name: 'syslog', args: '3, ctypes.create_string_buffer(10), 10' },
  { name: 'reboot', args: '0xfee1dead, 672274793, 0, 0' },
  { name: 'swapon', args: 'b"/tmp/x", 0' },
  { name: 'sethostname', args: 'b"x", 1' },
  { name: 'clock_settime', args: '0, bytes(16)' },
  { name: 'init_module', args: 'b"x", 1, b""' },
  { name: 'finit_module', args: '0, b"", 0' },
  { name: 'kexec_file_load', args: '0, 0, 0, b"", 0' },
  { name: 'memfd_secret', args: '0' },
  { name: 'vmsplice', args: '1, 0, 0, 0' },
  { name: 'acct', args: 'b"/tmp/x"' },
  { name: 'quotactl', args: '0, 0, 0, 0' },
  { name: 'mknodat', args: '-100, b"/tmp/null", 0o20666, 0x103', as: 'mknod of a device' },
  ...Object.entries(namespaces).flatMap(([name, flag]) => [
    { name: 'unshare', args: String(flag), as: `unshare ${name}` },
    { name: 'clone', args: `${flag | 17}, 0, 0, 0, 0`, as: `clone ${name}` },
  ]),
  ...Object.entries(families).map(([family, args]) => ({ name: 'socket', args, as: `socket ${family}` })),
];

describe('21: a system call that leads out', () => {
  const labelOf = ({ name, as }: Call): string => as ?? name;

  async function attempt(prepare = ''): Promise<ReadonlyMap<string, string>> {
    const lines = calls.map((one) => `said[${JSON.stringify(labelOf(one))}] = attempt("${one.name}", ${one.args})`);
    const program = `${prepare}\n${caller}\nsaid = {}\n${lines.join('\n')}\nprint(json.dumps(said))`;
    const { stdout, stderr } = await run(service, program);
    if (stdout === '') throw new Error(stderr);
    return new Map(Object.entries(JSON.parse(stdout)));
  }

  test('is refused, every one', async () => {
    const said = await attempt();
    const passed = [...said].filter(([, answer]) => !refusals.includes(answer));
    expect(passed).toEqual([]);
    expect(said.size).toBe(calls.length);
  });

  test('is refused after a fork and in a new interpreter too', async () => {
    const program = `
import subprocess, sys
code = ${JSON.stringify(`${caller}\nprint(attempt("unshare", 0x10000000), attempt("ptrace", 0, 0, 0, 0), attempt("bpf", 0, 0, 0))`)}
sys.exit(subprocess.run([sys.executable, "-c", code]).returncode)`;
    expect(await run(service, program)).toMatchObject({ stdout: 'EPERM EPERM EPERM\n', stderr: '', exit_code: 0 });
  });

  test('is not to be had by the system calls of another architecture', async () => {
    const program = `
import ctypes, mmap, os, platform
if platform.machine() == "x86_64":
    # int 0x80 with the number of 32-bit getpid, which would return a pid.
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(b"\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if os.fork() == 0:
        value = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
        os._exit(1 if value == os.getpid() else 0)
    status = os.wait()[1]
    print("refused" if os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0 else "passed")
    libc = ctypes.CDLL(None, use_errno=True)
    if os.fork() == 0:
        os._exit(1 if libc.syscall(0x40000000 + 39) == os.getpid() else 0)
    status = os.wait()[1]
    print("refused" if os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0 else "passed")
else:
    print("refused\\nrefused")`;
    expect((await run(service, program)).stdout).toBe('refused\nrefused\n');
  });

  test('does not keep ordinary programs from what they need', async () => {
    const program = `
import asyncio, ctypes, multiprocessing, os, socket, subprocess, tempfile, threading
libc = ctypes.CDLL(None)
assert libc.syscall({"x86_64": 135, "aarch64": 92}[os.uname().machine], ctypes.c_ulong(0xffffffff)) == 0
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET6, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
    socket.socket(family, kind).close()
thread = threading.Thread(target=print, args=("thread",)); thread.start(); thread.join()
print(subprocess.check_output(["echo", "child"], text=True), end="")
with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, -2]))
print(asyncio.run(asyncio.sleep(0, "async")))
with tempfile.TemporaryFile() as file: os.posix_fallocate(file.fileno(), 0, 4096)
print(os.sched_getaffinity(0) != set(), os.getrandom(1) != b"", os.memfd_create("x") > 2)
libc.shmget.restype = ctypes.c_int
print(libc.shmget(0, 4096, 0o1600) >= 0)`;
    const { stdout, stderr } = await run(service, program);
    expect([stdout, stderr]).toEqual(['thread\nchild\n[1, 2]\nasync\nTrue True True\nTrue\n', '']);
  });
});

describe('21: the status of a process', () => {
  const program = `
import os, re, subprocess
def show(text): print(re.findall("^(Uid|Gid|Groups|NoNewPrivs|Seccomp|Cap...): *(.*)$", text.replace("\\t", " "), re.M))
show(open("/proc/self/status").read())
show(subprocess.check_output(["cat", "/proc/self/status"], text=True))`;
  const none = '0000000000000000';
  // The oci backend has no network to give.
  const withNetwork: [string, object][] =
    testBackend === 'docker'
      ? [
          ['with a network', { config: { network_disabled: false } }],
          ['with a network after pre_commands', { config: { network_disabled: false }, pre_commands: ['true'] }],
        ]
      : [];

  test.each([
    ['of a program', {}],
    ['after pre_commands', { pre_commands: ['true'] }],
    ...withNetwork,
    ['of an interpreter of its own', { env_vars: ['PYTHONHASHSEED=1'] }],
  ])('says no capability, no new privileges and a filter: %s', async (_name, metadata) => {
    const { stdout, stderr } = await run(service, program, metadata);
    expect(stderr).toBe('');
    for (const line of stdout.trim().split('\n')) {
      const status = Object.fromEntries(
        [...line.matchAll(/\('(\w+)', '([^']*)'\)/g)].map(([, key, value]) => [key, value?.trim()]),
      );
      expect(status).toEqual({
        Uid: '1000 1000 1000 1000',
        Gid: '1000 1000 1000 1000',
        Groups: expect.stringMatching(/^(1000)?$/),
        CapInh: none,
        CapPrm: none,
        CapEff: none,
        CapBnd: none,
        CapAmb: none,
        NoNewPrivs: '1',
        Seccomp: '2',
      });
    }
  });

  test('cannot be changed for the better', async () => {
    const attempts = `
import os
def attempt(name, act):
    try: act(); print(name, "passed")
    except OSError as error: print(name, error.strerror)
attempt("setuid", lambda: os.setuid(0))
attempt("setresuid", lambda: os.setresuid(0, 0, 0))
attempt("setgid", lambda: os.setgid(0))
attempt("setgroups", lambda: os.setgroups([0]))
attempt("chown", lambda: (open("x", "w").close(), os.chown("x", 0, 0)))
attempt("nice", lambda: os.nice(-5))`;
    const { stdout } = await run(service, attempts);
    expect(stdout.trim().split('\n')).toHaveLength(6);
    expect(stdout).not.toContain('passed');
  });

  test('is not changed by a program with the setuid bit', async () => {
    const escalate = `
import os, subprocess
for name in ("su", "mount", "umount", "newgrp", "passwd", "chsh", "gpasswd"):
    path = "/usr/bin/" + name
    if os.path.exists(path): assert os.stat(path).st_uid == 0
os.system("cp /usr/bin/id /tmp/id; chmod 6755 /tmp/id; /tmp/id -u")
print(subprocess.run(["su", "-c", "id -u"], capture_output=True, stdin=subprocess.DEVNULL).returncode != 0)`;
    expect((await run(service, escalate)).stdout).toBe('1000\nTrue\n');
  });
});

describe('21: the agent', () => {
  test('cannot be looked into or written to', async () => {
    const program = `
import os
def attempt(name, act):
    try: print(name, "passed:", act())
    except OSError as error: print(name, error.strerror)
attempt("list descriptors", lambda: os.listdir("/proc/1/fd"))
for number in range(6):
    attempt("descriptor", lambda: os.open("/proc/1/fd/%d" % number, os.O_WRONLY))
for name, flags in (("mem", os.O_RDWR), ("mem", os.O_RDONLY), ("environ", os.O_RDONLY), ("maps", os.O_RDONLY), ("oom_score_adj", os.O_WRONLY), ("pagemap", os.O_RDONLY)):
    attempt(name, lambda: os.open("/proc/1/" + name, flags))
for name in ("cwd", "root", "exe", "ns/net"):
    attempt(name, lambda: os.readlink("/proc/1/" + name))
print(sorted(os.listdir("/proc/self/fd")))`;
    const lines = (await run(service, program)).stdout.trim().split('\n');
    const descriptors = lines.pop();
    expect(lines).toHaveLength(17);
    for (const line of lines) expect(line).toMatch(/Permission denied|Operation not permitted/);
    // 3 is the directory that is being listed.
    expect(descriptors).toBe("['0', '1', '2', '3']");
  });

  test.each([
    ['of the program', {}],
    ['of root in a pre_command', { pre_commands: ['for n in $(seq 1 64); do kill -$n 1; done 2>/dev/null; true'] }],
  ])('survives every signal %s', async (_name, metadata) => {
    const program = `
import os, time
for number in range(1, 65):
    try: os.kill(1, number)
    except OSError: pass
time.sleep(0.2)
print("still here")`;
    expect(await run(service, program, metadata)).toMatchObject({
      status: 'completed',
      exit_code: 0,
      stdout: 'still here\n',
    });
  });

  test('survives a program that kills all it may', async () => {
    const program = `
import os, signal, subprocess, time
subprocess.Popen(["sleep", "1000"])
os.kill(-1, signal.SIGKILL)
time.sleep(0.1)
print("alone")`;
    expect(await run(service, program)).toMatchObject({ status: 'completed', exit_code: 0, stdout: 'alone\n' });
  });

  test('takes no report from anybody but the program, and none that is too long', async () => {
    const program = `
import os, re, socket, subprocess, sys
names = re.findall("@(python-executor-\\\\S+)", open("/proc/net/unix").read())
code = '''
import socket, sys
for name in sys.argv[1:]:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("\\\\0" + name)
    try: connection.sendall(b"Eforged\\\\x0042")
    except BrokenPipeError: pass
    connection.close()
'''
subprocess.run([sys.executable, "-c", code, *names])
for name in names:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect("\\0" + name)
    try: connection.sendall(b"V" + b"x" * (3 << 20))
    except OSError: pass
    connection.close()
sys.exit(1)`;
    const result = await run(service, program, { config: { timeout_seconds: 20 } });
    expect(result).toMatchObject({ status: 'completed', exit_code: 1, stderr: '' });
    expect(result).not.toHaveProperty('error_type', 'forged');
    expect(result).not.toHaveProperty('result');
  });
});
