import { expect, test } from 'vitest';
import { run } from '../support/api.js';
import { serviceForFile } from '../support/file-service.js';

const service = serviceForFile();

// Runs in a forked sandbox, also by an interpreter of its own, and looks for whatever is not its own.
const program = `
import ctypes, os, socket, stat
found = []
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        found.append("process " + name)
for place in ("root", "cwd", "exe", "fd", "mem", "environ", "maps"):
    try:
        path = "/proc/1/" + place
        os.listdir(path) if place in ("root", "cwd", "fd") else open(path, "rb").read(1)
        found.append(path)
    except OSError:
        pass
with open("/proc/net/unix") as table:
    names = [line.split()[7] for line in table.readlines()[1:] if len(line.split()) > 7]
found += [name for name in names if not name.startswith("@python-executor-")]
if len(names) > 1: found.append("sockets %r" % names)
with open("/proc/self/mountinfo") as table:
    for line in table:
        if "zygote" in line or "cgroup" in line: found.append(line)
for number in os.listdir("/proc/self/fd"):
    try:
        if int(number) > 2: found.append("descriptor %s %s" % (number, os.readlink("/proc/self/fd/" + number)))
    except OSError:
        pass  # The one that the list was read by.
libc = ctypes.CDLL(None, use_errno=True)
for name, arguments in {
    "unshare": (0x20000,), "setns": (0, 0), "mount": (b"x", b"/tmp", b"tmpfs", 0, None), "umount2": (b"/proc", 2),
    "chroot": (b"/tmp",),
}.items():
    if getattr(libc, name)(*arguments) == 0: found.append(name)
for key in range(20):
    if libc.shmget(key + 1, 0, 0) >= 0 or libc.semget(key + 1, 0, 0) >= 0 or libc.msgget(key + 1, 0) >= 0:
        found.append("IPC %d" % key)
found += ["/dev/shm/" + name for name in os.listdir("/dev/shm")] + ["/dev/mqueue/" + name for name in os.listdir("/dev/mqueue")]
found += ["/dev/pts/" + name for name in os.listdir("/dev/pts") if name != "ptmx"]
for name in ("/run", "/tmp", "/mnt", "/var"):
    if os.path.isdir(name): found += [name + "/" + entry for entry in os.listdir(name) if entry.startswith(("zygote", "python-executor"))]
try:
    os.kill(-1, 0)
    found.append("somebody to kill")
except ProcessLookupError:
    pass
print(found)
`;

test.each([
  ['waiting interpreter', []],
  ['interpreter of its own', ['TZ=UTC']],
])(
  'a program of a forked sandbox finds nothing of its zygote, the host or a neighbour (%s)',
  async (_name, env_vars) => {
    const neighbour = run(service, 'import os, time\nos.openpty()\ntime.sleep(2)\nprint("alone")');
    const { stdout, stderr } = await run(service, program, { env_vars });
    expect([stdout, stderr]).toEqual(['[]\n', '']);
    expect((await neighbour).stdout).toBe('alone\n');
  },
);

test('killing all that it may ends the program alone', async () => {
  const neighbour = run(service, 'import time\ntime.sleep(1)\nprint("alive")');
  const killer = await run(service, 'import os, signal\nos.kill(-1, signal.SIGKILL)');
  expect(['completed', 'failed']).toContain(killer.status);
  expect((await neighbour).stdout).toBe('alive\n');
});
