import { type Program, py } from '../program.js';

/** Other processes, and what becomes of them. */
export const processes: readonly Program[] = [
  {
    name: 'children of the same interpreter',
    main: py`
import subprocess, sys
if len(sys.argv) > 1:
    print("child", sys.argv, __name__, __file__)
    1/0
print(subprocess.run([sys.executable, __file__, "x"], capture_output=True, text=True))
print(subprocess.run([sys.executable, "-"], input="import sys; print(sys.argv, sys.path[0])", capture_output=True, text=True))
print(subprocess.run(["python3", "-c", "import os; print(sorted(os.environ), os.getppid() != 1)"], capture_output=True, text=True))
`,
  },
  {
    name: 'shell commands',
    main: py`
import os, subprocess
print(subprocess.run("echo $0 $HOME; exit 3", shell=True, capture_output=True, text=True))
print(os.system("exit 4"), os.popen("echo $PPID").read().strip() == str(os.getpid()))
print(subprocess.run(["sh", "-c", "kill -9 $$"]).returncode, subprocess.run(["nothing-there"]))
`,
  },
  ...['fork', 'spawn', 'forkserver'].map(
    (method): Program => ({
      name: `multiprocessing by ${method}`,
      main: py`
import multiprocessing, os, sys
print("loaded as", __name__, flush=True)
def work(n):
    return n * n, __name__, multiprocessing.current_process().name.split("-")[0], sys.argv
def fail():
    raise ValueError("in the child")
if __name__ == "__main__":
    context = multiprocessing.get_context("METHOD")
    with context.Pool(1) as pool:
        print(sorted(pool.map(work, range(4), chunksize=1)))
    process = context.Process(target=fail, name="failing")
    process.start()
    process.join()
    print(process.exitcode)
    process = context.Process(target=sys.exit, args=(7,))
    process.start()
    process.join()
    print(process.exitcode)
    queue = context.Queue()
    process = context.Process(target=queue.put, args=("hello",))
    process.start()
    print(queue.get())
    process.join()
`.replace('METHOD', method),
      args: ['a'],
    }),
  ),
  {
    name: 'pools of concurrent.futures',
    main: py`
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
def square(n):
    return n * n
if __name__ == "__main__":
    with ThreadPoolExecutor(4) as pool:
        print(list(pool.map(square, range(5))))
    with ProcessPoolExecutor(2) as pool:
        print(list(pool.map(square, range(5))))
        print(pool.submit(square, None).exception())
`,
  },
  {
    name: 'fork, with exit handlers and exceptions',
    main: py`
import atexit, os, sys
atexit.register(lambda: print("exit", os.getpid() == parent, flush=True))
parent = os.getpid()
child = os.fork()
if child == 0:
    raise ValueError("child")
print(os.waitpid(child, 0)[1] >> 8)
`,
  },
  {
    name: 'a parent that ends before its child',
    main: 'import os, time\nprint("before", flush=True)\nif os.fork() == 0:\n  time.sleep(20)\n  print("never")\n',
  },
  {
    name: 'a background process that keeps stdout',
    main: 'import subprocess\nsubprocess.Popen(["sleep", "20"])\nprint("main is done")\n',
  },
  {
    name: 'orphans',
    main: py`
import os, time
r, w = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() != 1:
            time.sleep(0.01)
        os.write(w, b"adopted by 1")
    os._exit(0)
os.wait()
print(os.read(r, 100))
try:
    os.wait()
except ChildProcessError as error:
    print(error)
`,
  },
  {
    name: 'a daemon of its own session',
    main: py`
import os, time
r, w = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(w, str(os.getsid(0) != os.getpid()).encode())
        time.sleep(20)
    os._exit(0)
os.wait()
print(os.read(r, 100))
`,
  },
  {
    name: 'children and SIGCHLD',
    main: py`
import os, signal, subprocess
seen = []
signal.signal(signal.SIGCHLD, lambda number, frame: seen.append(number))
print(subprocess.run(["true"]).returncode, seen, signal.getsignal(signal.SIGCHLD) is not None)
print(subprocess.run(["python3", "-c", "import signal; print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGPIPE))"],
                     capture_output=True, text=True).stdout.replace(hex(id(0)), ""))
`,
    normalise: (output) => output.replace(/0x[0-9a-f]{6,}/g, '0x…'),
  },
  {
    name: 'signals to children and groups',
    main: py`
import os, signal, subprocess
child = subprocess.Popen(["sleep", "20"])
child.terminate()
print(child.wait())
child = subprocess.Popen(["sleep", "20"], start_new_session=True)
os.killpg(child.pid, signal.SIGKILL)
print(child.wait(), os.getpgid(0) == os.getpid())
`,
  },
  {
    name: 'asyncio',
    main: py`
import asyncio, signal, os, sys
async def child():
    process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0], process.returncode
async def main():
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, done.set_result, "signalled")
    os.kill(os.getpid(), signal.SIGUSR1)
    print(await done, await child(), await asyncio.gather(asyncio.sleep(0, 1), asyncio.to_thread(len, "ab")
          if hasattr(asyncio, "to_thread") else asyncio.sleep(0, 2)))
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(await reader.read())
asyncio.run(main())
`,
    stdin: 'from stdin',
  },
  {
    name: 'shared memory, semaphores and files',
    main: py`
import mmap, multiprocessing, os, tempfile
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=10)
block.buf[0] = 5
lock = multiprocessing.Lock()
with lock:
    print(block.buf[0], block.size >= 10)
block.close()
block.unlink()
with tempfile.TemporaryDirectory() as path, tempfile.NamedTemporaryFile() as file:
    print(os.path.dirname(path), os.path.dirname(file.name), tempfile.gettempdir())
print(os.listdir("/tmp"), os.listdir("/dev/shm"))
`,
  },
  {
    name: 'timers, events and queues of threads',
    main: py`
import queue, threading
box, done = queue.Queue(), threading.Event()
threading.Timer(0.01, done.set).start()
threading.Thread(target=lambda: [box.put(n) for n in range(3)], daemon=True).start()
print(done.wait(5), [box.get() for _ in range(3)], threading.main_thread().name)
`,
  },
];
