import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openCgroups } from '../../dist/sandbox/oci/cgroup/cgroups.js';
import { readHierarchy } from '../../dist/sandbox/oci/cgroup/hierarchy.js';
import { weightOfShares } from '../../dist/sandbox/oci/cgroup/version2.js';
import { removeCgroup } from '../../dist/sandbox/oci/sandbox.js';
import { readLimit } from './fixture.js';

const directory = mkdtempSync(join(tmpdir(), 'python-executor-cgroup '));

afterAll(() => rmSync(directory, { recursive: true }));

/** A line of mountinfo. The kernel writes white space as octal numbers. */
function mount(path: string, type: string, options: string): string {
  return `30 20 0:25 / ${path.replaceAll(' ', '\\040')} rw,relatime shared:1 - ${type} cgroup ${options}`;
}

function unifiedTree(name: string, controllers: string): string {
  const path = join(directory, name);
  mkdirSync(path);
  writeFileSync(join(path, 'cgroup.controllers'), `${controllers}\n`);
  return mount(path, 'cgroup2', 'rw,nsdelegate');
}

const legacy = [
  mount('/cg/memory', 'cgroup', 'rw,memory'),
  mount('/cg/cpu,cpuacct', 'cgroup', 'rw,cpu,cpuacct'),
  mount('/cg/pids', 'cgroup', 'rw,pids'),
  mount('/cg/systemd', 'cgroup', 'rw,xattr,name=systemd'),
];

test('the single tree is taken when it has the controllers', () => {
  const unified = unifiedTree('whole', 'cpuset cpu io memory pids');
  expect(readHierarchy(unified)).toEqual({ version: 2, root: join(directory, 'whole') });
});

test('a tree for each controller is taken else, and one tree may have two', () => {
  const trees = { memory: '/cg/memory', pids: '/cg/pids', cpu: '/cg/cpu,cpuacct', cpuacct: '/cg/cpu,cpuacct' };
  const all = ['/cg/memory', '/cg/cpu,cpuacct', '/cg/pids', '/cg/systemd'];
  const pure = [...legacy, unifiedTree('empty', '')].join('\n');
  expect(readHierarchy(pure)).toEqual({ version: 1, limiting: trees, all, stray: undefined });
  const hybrid = [...legacy, unifiedTree('stray', 'hugetlb')].join('\n');
  expect(readHierarchy(hybrid)).toMatchObject({ version: 1, limiting: trees, stray: join(directory, 'stray') });
});

test('a controller that is nowhere is named', () => {
  expect(() => readHierarchy(legacy.slice(0, 2).join('\n'))).toThrow('there is no cgroup controller "pids"');
});

test.each([
  [2, 1],
  [1024, 39],
  [262_144, 10_000],
  [0, 1],
])('%i shares are a weight of %i', (shares, weight) => {
  expect(weightOfShares(shares)).toBe(weight);
});

test('limits are in force from the start, and a removed cgroup leaves nothing', () => {
  const cgroups = openCgroups(readHierarchy(), 'python-executor-test');
  const cgroup = cgroups.create('limited', { memoryBytes: 64 << 20, cpuShares: 512, processesMax: 10 }, 'processes');
  const limit = (old: string, current: string) => readLimit('limited', old) ?? readLimit('limited', current);
  expect(limit('memory.limit_in_bytes', 'memory.max')).toBe(String(64 << 20));
  expect(['512', '20']).toContain(limit('cpu.shares', 'cpu.weight'));
  expect(limit('pids.max', 'pids.max')).toBe('10');
  expect(cgroup.kill()).toBe(0);
  expect(cgroup.measure()).toMatchObject({ cpuMs: 0, oomKilled: false });
  expect(cgroups.list()).toHaveLength(1);
  cgroup.remove();
  expect(cgroup.measure()).toBeUndefined();
  expect(cgroups.list()).toEqual([]);
  cgroups.remove();
  cgroups.remove();
});

test('of the processes in it the largest tells by how much it has grown', async () => {
  const cgroups = openCgroups(readHierarchy(), 'python-executor-test');
  const cgroup = cgroups.create('grown', { memoryBytes: 256 << 20, cpuShares: 512, processesMax: 10 }, 'processes');
  try {
    expect(cgroup.largestProcessBytes()).toBe(0);
    const joins = cgroup.joinFiles.map((file) => `echo 0 > "${file}"`).join('; ');
    const grow = 'x = b"x" * (60 << 20); print("grown", flush=True); input()';
    const child = spawn('sh', ['-c', `${joins}; sleep 60 & exec python3 -c '${grow}'`]);
    await once(child.stdout, 'data');
    expect(cgroup.largestProcessBytes()).toBeGreaterThan(60 << 20);
    expect(cgroup.largestProcessBytes()).toBeLessThan(90 << 20);
  } finally {
    await removeCgroup(cgroup);
    cgroups.remove();
  }
});

test('limits that the kernel refuses leave nothing', () => {
  const cgroups = openCgroups(readHierarchy(), 'python-executor-test');
  expect(() => cgroups.create('refused', { memoryBytes: -5, cpuShares: 512, processesMax: 10 }, 'processes')).toThrow();
  expect(cgroups.list()).toEqual([]);
  cgroups.remove();
});
