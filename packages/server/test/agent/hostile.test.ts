import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type Agents, openAgents } from './agent.js';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000, maxConcurrency: 4 });

let agents: Agents;

beforeAll(async () => {
  agents = await openAgents();
});
afterAll(() => agents?.close());

/** The names of the agent's socket, as any process of the sandbox can read them. */
const sockets = `
import os, socket, struct
names = [line.split()[-1].replace("@", "\\0", 1) for line in open("/proc/net/unix") if "python-executor" in line]
def tell(data):
    for name in set(names):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(name)
        connection.sendall(data)
        connection.close()
`;

describe.concurrent('a program that turns on the agent', () => {
  test('cannot look into it', async () => {
    const { stdout } = await agents.run({
      main: `
import os
for path in ("/proc/1/environ", "/proc/1/mem", "/proc/1/maps", "/proc/1/fd/0", "/proc/1/fd/3", "/proc/1/fd/4", "/proc/1/cwd/x"):
    for mode in ("rb", "wb"):
        try:
            open(path, mode)
            print(path, mode, "opened")
        except OSError as error:
            print(type(error).__name__)
try:
    print(os.listdir("/proc/1/fd"))
except OSError as error:
    print(type(error).__name__)
`,
    });
    expect(new Set(stdout.trim().split('\n'))).toEqual(new Set(['PermissionError']));
  });

  test('cannot end it', async () => {
    const main =
      'import os, signal\nfor n in range(1, 65):\n  try: os.kill(1, n)\n  except OSError: pass\nprint("alive")\n';
    expect(await agents.run({ main })).toMatchObject({ stdout: 'alive\n', exitCode: 0 });
  });

  test('ends itself when it kills all it can', async () => {
    const main =
      'import os, subprocess\nchild = subprocess.Popen(["sleep", "60"])\nos.kill(-1, 9)\nprint(child.wait())\n';
    expect(await agents.run({ main })).toMatchObject({ stdout: '-9\n', exitCode: 0 });
    expect(await agents.run({ main: 'import os\nos.killpg(0, 9)\n' })).toMatchObject({ signal: 9 });
  });

  test('may tell lies about itself only, and none from its children', async () => {
    const child = await agents.run({
      main: `${sockets}\nif os.fork() == 0:\n    tell(b"V'forged'")\n    os._exit(0)\nos.wait()\n5\n`,
      evalLastExpr: true,
    });
    expect(child).toMatchObject({ result: '5', exitCode: 0 });
    const own = await agents.run({ main: `${sockets}\ntell(b"Eforged\\0notaline")\nos._exit(1)\n` });
    expect(own).toMatchObject({ errorType: 'forged', errorLine: undefined, exitCode: 1 });
  });

  test('holds nothing up with reports that are endless, empty or never sent', async () => {
    const main = `${sockets}
held = []
for name in set(names):
    for _ in range(8):
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            connection.connect(name)
            held.append(connection)
        except BlockingIOError:
            break
tell(b"")
try:
    tell(b"V" * 5_000_000)
except OSError:
    pass
print(1/0)
`;
    const ran = await agents.run({ main });
    expect(ran).toMatchObject({ exitCode: 1, stdout: '' });
    expect(ran.stderr).toContain('ZeroDivisionError');
    expect(ran.wallMs).toBeLessThan(20_000);
  });

  test('gets nowhere with the frames of the protocol', async () => {
    const frames = 'Z\\0\\0\\0\\x05phaseX\\0\\0\\0\\0R\\0\\0\\0\\0';
    const main = `import os\nos.write(1, b"${frames}")\nos.write(2, b"${frames}")\nos._exit(9)\n`;
    expect(await agents.run({ main })).toMatchObject({
      exitCode: 9,
      stdout: frames.replaceAll('\\0', '\0').replaceAll('\\x05', '\x05'),
    });
  });

  test('cannot starve it of processes', async () => {
    const main =
      'import os, time\ntry:\n  while True:\n    if os.fork() == 0:\n      time.sleep(60)\nexcept OSError as error:\n  print(type(error).__name__)\n';
    expect(await agents.run({ main })).toMatchObject({ stdout: 'BlockingIOError\n', exitCode: 0 });
  });

  test('that runs out of memory is killed, not the agent', async () => {
    for (const env of [[], ['TZ=UTC']]) {
      const main = 'x = []\nwhile True:\n  x.append(bytearray(10_000_000))\n';
      expect(await agents.run({ main, env })).toMatchObject({ signal: 9, oomKilled: true });
    }
  });
});
