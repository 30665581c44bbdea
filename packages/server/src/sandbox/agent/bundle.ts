import { readFileSync } from 'node:fs';

const folder = new URL('../../../agent/', import.meta.url);

/** The agent's modules, each after those that it imports. */
const agentModules = [
  'channel',
  'extract',
  'job',
  'report',
  'counters',
  'privileges',
  'process',
  'run',
  'main',
  'rehearse',
  'inside',
  'namespaces',
  'zygote',
  'bootstrap',
] as const;

/** Those of an agent whose interpreter is the only one of its container. */
const insideModules = agentModules.slice(0, agentModules.indexOf('inside') + 1);

const waiterModules = ['expression', 'leave', 'waiter'] as const;

/** Those of a gate. */
const gateModules = ['netlink', 'firewall', 'network', 'privileges', 'gate'] as const;

/** Modules that few sandboxes need, and when. */
const conditions: Readonly<Record<string, string>> = {
  namespaces: '__name__ != "__main__" or sys.argv[1] == "zygote"',
  rehearse: '__name__ != "__main__"',
  inside: '__name__ != "__main__"',
  zygote: '__name__ != "__main__"',
  bootstrap: '__name__ == "__main__" and sys.argv[1] == "zygote"',
};

const loader = [
  'import sys',
  'def load(name, source):',
  '    module = sys.modules[name] = type(sys)(name)',
  '    exec(compile(source, "<%s>" % name, "exec", dont_inherit=True), module.__dict__)',
  '    return module',
  'sys.modules["agent"] = type(sys)("agent")',
  'sys.modules["agent"].__path__ = []',
];

/**
 * The agent as one Python source, for `python3 -I -S -c <source> <arguments>`: no file of it needs to be in the image,
 * and no path of the host to be mounted.
 */
export function bundleAgent(): string {
  const lines = [...loader];
  for (const name of agentModules) {
    const condition = conditions[name];
    lines.push(condition === undefined ? load(name) : `if ${condition}:\n    ${load(name)}`);
    if (name === 'process') lines.push(`sys.modules["agent.process"].WAITER_SOURCE = ${literal(...waiterModules)}`);
  }
  lines.push('if __name__ == "__main__":\n    sys.modules["agent.main"].main(*sys.argv[1:])');
  return `${lines.join('\n')}\n`;
}

/** A program for `python3 -I -S -c` that packs the agent for its interpreter and prints that; see agent/preload.py. */
export function bundlePacker(): string {
  const sources = insideModules.map((name) => `("agent.${name}", ${literal(name)})`);
  const call = `print_archive([("agent", ""), ${sources.join(', ')}], ${literal(...waiterModules)})`;
  return [...loader, load('preload'), `sys.modules["agent.preload"].${call}`, ''].join('\n');
}

/**
 * The program of a gate in the same form. Its arguments are name servers besides those in resolv.conf, separated by
 * commas, and the addresses and networks that are denied besides all that are not public.
 */
export function bundleGate(): string {
  const lines = [...loader, ...gateModules.map(load), 'sys.modules["agent.gate"].main(*sys.argv[1:])'];
  return `${lines.join('\n')}\n`;
}

function load(name: string): string {
  return `load("agent.${name}", ${literal(name)})`;
}

/** The texts of files, one after the other. A JSON string of ASCII text means the same in Python. */
function literal(...names: readonly string[]): string {
  const sources = names.map((name) => readFileSync(new URL(`${name}.py`, folder), 'utf8'));
  return JSON.stringify(sources.join('\n\n'));
}
