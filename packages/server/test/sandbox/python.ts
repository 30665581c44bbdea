import { describe, expect, test } from 'vitest';
import type { ContainmentOptions } from './containment.js';

const spec = { memoryBytes: 512 * 1024 * 1024 };

/** What programs and their libraries count on, and every backend must leave them. */
export function describePython(backend: string, { runProbe }: Pick<ContainmentOptions, 'runProbe'>): void {
  describe(`Python in a sandbox of ${backend}`, () => {
    test('threads, processes, semaphores and pools of both start methods work', async () => {
      const answer = await runProbe(
        `
import json, math, multiprocessing, os, subprocess, sys, tempfile, threading
from concurrent.futures import ThreadPoolExecutor
answer = {}
answer['threads'] = list(ThreadPoolExecutor(8).map(math.factorial, range(5)))
answer['subprocess'] = subprocess.run(['sh', '-c', 'echo hi | cat'], capture_output=True, text=True).stdout
answer['python'] = subprocess.run([sys.executable, '-c', 'print(6*7)'], capture_output=True, text=True).stdout
for method in ('fork', 'spawn', 'forkserver'):
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        answer[method] = pool.map(math.sqrt, [4, 9])
    lock, queue = context.Lock(), context.SimpleQueue()
    with lock:
        queue.put(1)
    answer[method + ' queue'] = queue.get()
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1024)
block.buf[0] = 7
answer['shared memory'] = block.buf[0]
block.close()
block.unlink()
with tempfile.NamedTemporaryFile() as file:
    answer['temporary'] = file.name.startswith('/tmp/')
print(json.dumps(answer))
`,
        { spec },
      );
      expect(answer).toEqual({
        threads: [1, 1, 2, 6, 24],
        subprocess: 'hi\n',
        python: '42\n',
        ...{ fork: [2, 3], spawn: [2, 3], forkserver: [2, 3] },
        ...{ 'fork queue': 1, 'spawn queue': 1, 'forkserver queue': 1 },
        'shared memory': 7,
        temporary: true,
      });
    });

    test('what native libraries ask of the kernel works', async () => {
      const answer = await runProbe<Record<string, unknown>>(
        `
import ctypes, errno, json, mmap, os, platform, select, signal, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
column = 0 if platform.machine() == 'x86_64' else 1
answer = {}

def expect(name, result):
    answer[name] = True if result != -1 else errno.errorcode[ctypes.get_errno()]

page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(b'\\xb8\\x2a\\x00\\x00\\x00\\xc3' if column == 0 else struct.pack('<II', 0x52800540, 0xd65f03c0))
answer['code made at run time'] = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
data = mmap.mmap(-1, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(data))
expect('mprotect to code', libc.mprotect(ctypes.c_void_p(address), 4096, 5))

os.close(os.memfd_create('x'))
descriptor = os.open('/tmp/original', os.O_CREAT | os.O_RDWR)
os.write(descriptor, b'abc')
target = os.open('/tmp/copy', os.O_CREAT | os.O_RDWR)
answer['copy_file_range'] = os.copy_file_range(descriptor, target, 3, 0)
answer['sendfile'] = os.sendfile(target, descriptor, 0, 3)
expect('inotify', libc.inotify_init1(0))
answer['epoll'] = select.epoll().poll(0)
shared = libc.shmget(0, 4096, 0o1600)
expect('shmget', shared)
expect('shmctl', libc.shmctl(shared, 0, None))
expect('semget', libc.semget(0, 1, 0o1600))
expect('msgget', libc.msgget(0, 0o1600))
expect('mq_open', libc.mq_open(b'/x', os.O_CREAT | os.O_RDWR, 0o600, None))
os.sched_setaffinity(0, os.sched_getaffinity(0))
os.sched_yield()
answer['getrandom'] = len(os.getrandom(8))
pid = os.fork()
if pid == 0:
    signal.pause()
descriptor = os.pidfd_open(pid)
signal.pidfd_send_signal(descriptor, signal.SIGTERM)
answer['pidfd'] = os.waitid(os.P_PIDFD, descriptor, os.WEXITED).si_status
expect('membarrier', libc.syscall(ctypes.c_long((324, 283)[column]), 0, 0, 0))
expect('get_mempolicy', libc.syscall(ctypes.c_long((239, 236)[column]), 0, 0, 0, 0, 0))
expect('mlock', libc.mlock(ctypes.c_void_p(address), 4096))
expect('eventfd', libc.eventfd(0, 0))
expect('timerfd', libc.timerfd_create(1, 0))
expect('openat2', libc.syscall(ctypes.c_long(437), -100, b'/tmp', struct.pack('QQQ', 0, 0, 0), 24))
expect('close_range', libc.syscall(ctypes.c_long(436), 900, 901, 0))
os.mkfifo('/tmp/fifo')
master, slave = os.openpty()
os.nice(1)
os.setpriority(os.PRIO_PROCESS, 0, 5)
answer['pair'] = len(socket.socketpair())
answer['names'] = socket.getaddrinfo('localhost', 80)[0][4][0] in ('127.0.0.1', '::1')
print(json.dumps(answer))
`,
        { spec },
      );
      expect(answer).toMatchObject({
        'code made at run time': 42,
        copy_file_range: 3,
        sendfile: 3,
        getrandom: 8,
        pidfd: 15,
      });
      expect(Object.entries(answer).filter(([, outcome]) => typeof outcome === 'string')).toEqual([]);
    });
  });
}
