import { readFileSync } from 'node:fs';

const folder = new URL('../../../agent/', import.meta.url);

/** The agent's modules, each after those that it imports. */
const modules = [
  'channel',
  'extract',
  'job',
  'report',
  'counters',
  'privileges',
  'process',
  'run',
  'network',
  'main',
] as const;

/**
 * The agent as one Python source, for `python3 -I -S -c <source> <arguments>`: no file of it needs to be in the image,
 * and no path of the host to be mounted.
 */
export function bundleAgent(): string {
  const lines = [
    'import sys',
    'def load(name, source):',
    '    module = sys.modules[name] = type(sys)(name)',
    '    exec(compile(source, "<%s>" % name, "exec", dont_inherit=True), module.__dict__)',
    '    return module',
    'sys.modules["agent"] = type(sys)("agent")',
    'sys.modules["agent"].__path__ = []',
  ];
  for (const name of modules) {
    // network.py is loaded where it is needed: most sandboxes have no network.
    if (name !== 'network') lines.push(load(name));
    else lines.push(`if "public" in sys.argv[2:3]:\n    ${load(name)}`);
    if (name === 'process') lines.push(`sys.modules["agent.process"].WAITER_SOURCE = ${literal('waiter')}`);
  }
  lines.push('sys.modules["agent.main"].main(*sys.argv[1:])');
  return `${lines.join('\n')}\n`;
}

function load(name: string): string {
  return `load("agent.${name}", ${literal(name)})`;
}

/** A JSON string of ASCII text means the same in Python. */
function literal(name: string): string {
  const source = readFileSync(new URL(`${name}.py`, folder), 'utf8');
  return JSON.stringify(source);
}
