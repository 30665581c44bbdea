/** One program that is timed, with what goes into it. */
export interface Workload {
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** What it must print; a run that prints anything else is an error. */
  readonly stdout: string;
}

const imports =
  'abc argparse array ast asyncio base64 bisect calendar collections configparser contextlib copy csv ctypes dataclasses ' +
  'datetime decimal difflib email.message enum fractions functools hashlib heapq html http.client inspect io itertools json ' +
  'logging operator pathlib pickle random re sqlite3 statistics string urllib.request';

const megabyte = 'x'.repeat(1023 * 1024 + 1023);

export const workloads: readonly Workload[] = [
  { name: 'print', files: { 'main.py': 'print("hi")\n' }, stdin: '', stdout: 'hi\n' },
  {
    name: '40 imports',
    files: {
      'main.py': `${imports
        .split(' ')
        .map((name) => `import ${name}\n`)
        .join('')}print("hi")\n`,
    },
    stdin: '',
    stdout: 'hi\n',
  },
  {
    name: '50 ms CPU',
    files: {
      'main.py':
        'import time\nend = time.process_time() + 0.05\nwhile time.process_time() < end:\n    pass\nprint("hi")\n',
    },
    stdin: '',
    stdout: 'hi\n',
  },
  {
    name: '1 MB in and out',
    files: { 'main.py': 'import sys\nsys.stdout.write(sys.stdin.read())\n' },
    stdin: megabyte,
    stdout: megabyte,
  },
  {
    name: '1,000 files',
    files: {
      'main.py': 'import os\nprint(len(os.listdir("data")))\n',
      ...Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`data/${index}.txt`, `file ${index}\n`])),
    },
    stdin: '',
    stdout: '1000\n',
  },
];

/** What services are asked for, most of it small; some leaves things behind that have to be cleared. */
export const everyday: readonly Workload[] = [
  ...Array.from({ length: 8 }, () => workloads[0] as Workload),
  {
    name: 'leaves a process, files and shared memory',
    files: {
      'main.py':
        'import os, subprocess\nsubprocess.Popen(["sleep", "600"])\nfor path in "/tmp/left", "/dev/shm/left", "left":\n' +
        '    with open(path, "w") as file:\n        file.write("x" * 100_000)\nprint("hi")\n',
    },
    stdin: '',
    stdout: 'hi\n',
  },
  {
    name: 'comes through the spool',
    files: { 'main.py': 'import os\nprint(os.path.getsize("data"))\n', data: 'x'.repeat(400_000) },
    stdin: '',
    stdout: '400000\n',
  },
];
