import { type Program, py } from '../program.js';

const echo = py`
import sys
text = sys.stdin.read()
print(len(text), ascii(text[:200]), ascii(text[-20:]))
`;

const inputs: Readonly<Record<string, string>> = {
  nothing: '',
  text: 'one\ntwo\n',
  'no line end': 'one',
  'accents and emoji': 'ünï ✓ 🎉\n',
  'Windows line ends': 'a\r\nb\rc\n',
  'control characters': '\0\x01\x1b[31m\x7f\t\n',
  'a byte order mark': '\ufefftext',
  'invisible ones': '\u2028\u2029\u0085\u200b\n',
};

/** stdin, stdout and stderr. */
export const streams: readonly Program[] = [
  ...Object.entries(inputs).map(([name, stdin]): Program => ({ name: `stdin: ${name}`, main: echo, stdin })),
  {
    name: 'stdin: 5 MB',
    main: 'import hashlib, sys\ndata = sys.stdin.buffer.read()\nprint(len(data), hashlib.sha256(data).hexdigest())\n',
    stdin: 'äbcdefghi\n'.repeat(480_000),
  },
  { name: 'stdin: 5 MB and an early end', main: 'print(input()[:20])\n', stdin: 'abcdefghi\n'.repeat(500_000) },
  { name: 'stdin: never read', main: 'print("done")\n', stdin: 'x'.repeat(200_000) },
  {
    name: 'stdin: closed by the program',
    main: 'import sys\nsys.stdin.close()\nprint(sys.stdin.closed)\n',
    stdin: 'abc',
  },
  {
    name: 'stdin: input()',
    main: 'name = input("name? ")\nprint("hello", name)\nprint(input())\ntry:\n  input("more? ")\nexcept EOFError as error:\n  print("end", error)\ninput()\n',
    stdin: 'Ann\nsecond',
  },
  {
    name: 'stdin: by lines, by bytes, by the system',
    main: py`
import os, select, sys
print(select.select([0], [], [], 5)[0])
print(sys.stdin.readline(), next(sys.stdin))
print(sys.stdin.buffer.readline())
print(sys.stdin.buffer.peek()[:3], sys.stdin.buffer.read(4))
print([line for line in sys.stdin], os.read(0, 10), sys.stdin.read(), select.select([0], [], [], 5)[0])
`,
    stdin: 'a\nb\nc\nd\ne\nf\n',
  },
  {
    name: 'stdin: in a child',
    main: 'import subprocess\nprint(subprocess.run(["cat"], capture_output=True).stdout)\nprint(subprocess.run(["cat"]).returncode)\n',
    stdin: 'for the child\n',
  },
  {
    name: 'stdin: fileinput',
    main: 'import fileinput\nfor line in fileinput.input():\n  print(fileinput.lineno(), fileinput.filename(), line)\n',
    stdin: 'a\nb\n',
  },
  {
    name: 'descriptors',
    main: py`
import fcntl, os, stat, sys
for number in range(3):
    status = os.fstat(number)
    print(stat.filemode(status.st_mode), os.isatty(number), fcntl.fcntl(number, fcntl.F_GETFL), fcntl.fcntl(number, fcntl.F_GETFD),
          fcntl.fcntl(number, 1032), os.get_blocking(number), os.get_inheritable(number), os.readlink(f"/proc/self/fd/{number}")[:5])
print(os.open("/dev/null", os.O_RDONLY), sys.stdin.isatty(), sys.stdout.isatty(), sys.stdin.seekable(), sys.stdout.seekable())
for action in (lambda: os.get_terminal_size(), lambda: os.ttyname(0), lambda: os.lseek(0, 0, 0), lambda: sys.stdout.tell()):
    try:
        print(action())
    except OSError as error:
        print(error)
import shutil
print(shutil.get_terminal_size())
`,
  },
  {
    name: 'descriptors of children',
    main: 'import subprocess, sys\nsys.stdout.flush()\nsubprocess.run(["ls", "/proc/self/fd"])\nsubprocess.run("ls /proc/self/fd", shell=True, close_fds=False)\n',
  },
  {
    name: 'output: buffers',
    main: 'import os, sys\nprint("buffered")\nos.write(1, b"first\\n")\nsys.stderr.write("unbuffered, no line end")\nos.write(2, b" direct\\n")\nsys.stdout.flush()\nos.write(1, b"last\\n")\nprint("end", end="")\n',
  },
  {
    name: 'output: lost by fork and _exit',
    main: 'import os\nprint("twice?")\nif os.fork() == 0:\n  os._exit(0)\nos.wait()\nif os.fork() == 0:\n  raise SystemExit\nos.wait()\n',
  },
  {
    name: 'output: 5 MB',
    main: 'import sys\nfor n in range(100_000):\n  print(n, "x" * 44)\nprint("end", file=sys.stderr)\n',
  },
  {
    name: 'output: 5 MB at once',
    main: 'import os, sys\nsys.stdout.write("é" * 2_500_000)\nsys.stderr.write("ü" * 200_001)\n',
  },
  {
    name: 'output: both streams at once',
    main: 'import sys\nfor n in range(20_000):\n  print(n)\n  print(n, file=sys.stderr)\n',
  },
  {
    name: 'output: from threads',
    main: 'import threading, sys\nthreads = [threading.Thread(target=lambda: [sys.stdout.write("x") for _ in range(20_000)]) for _ in range(4)]\nfor t in threads: t.start()\nfor t in threads: t.join()\n',
  },
  {
    name: 'output: characters in pieces',
    main: 'import os\ndata = "aé✓🎉".encode() * 30_000\nfor start in range(0, len(data), 7):\n  os.write(1, data[start:start + 7])\n',
  },
  {
    name: 'output: any bytes',
    main: 'import sys\nsys.stdout.buffer.write(bytes(range(256)) + b"\\xed\\xa0\\x80 \\xf0\\x9f\\x8e \\xc3( \\xff\\xfe a\\xe2\\x9c")\nsys.stdout.flush()\nsys.stderr.buffer.write(b"\\0\\xff\\n\\0")\n',
  },
  {
    name: 'output: a byte order mark',
    main: 'import os\nos.write(1, "\\ufeffhello".encode())\nos.write(2, "\\ufeff".encode())\n',
  },
  {
    name: 'output: line ends and escapes',
    main: 'print("a\\r\\nb\\rc\\n\\x1b[31mred\\x1b[0m\\a\\b\\t\\v\\f\\u2028", end="\\r")\n',
  },
  {
    name: 'output: surrogates',
    main: 'import sys\nprint("\\udcff", file=sys.stderr)\nsys.stdout.reconfigure(errors="surrogateescape")\nprint("\\udcff")\n',
  },
  {
    name: 'output: streams replaced',
    main: 'import io, os, sys\nold = sys.stdout\nsys.stdout = io.StringIO()\nprint("hidden")\nold.write(sys.stdout.getvalue().upper())\nsys.stdout = open(1, "w", buffering=1, closefd=False)\nprint("direct")\nsys.stdout.detach()\nsys.stdout = old\nprint("restored")\nos.dup2(2, 1)\nprint("to stderr")\n',
  },
  {
    name: 'output: unbuffered',
    main: 'import os, sys\nsys.stdout.reconfigure(write_through=True)\nprint("a", end="")\nos.write(1, b"b")\nprint("c", end="")\nos._exit(0)\n',
  },
  {
    name: 'output: by path',
    main: 'with open("/dev/stdout", "w") as out, open("/dev/stderr", "w") as err:\n  out.write("out")\n  err.write("err")\nprint(open("/dev/stdin").read())\n',
    stdin: 'in',
  },
  { name: 'output: like a marker', main: 'print("__RESULT__=5\\n\\0V\\0\\0\\0\\x01x\\nZ phase=run exit_code=9")\n' },
];
