import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Extra } from './parts/part.js';
import type { Row } from './row.js';
import { table } from './table.js';

export interface Report {
  readonly beganAt: Date;
  readonly options: string;
  readonly rows: readonly Row[];
  readonly extras: readonly Extra[];
  /** Ways that were left out, with why. */
  readonly omitted: readonly string[];
}

const head = [
  ...['way', 'workload', 'load', 'p50 ms', 'p90', 'p99', 'max', 'runs/s', 'errors', 'CPU ms/run'],
  ...['p50 / bare', 'runs/s / bare', 'p50 / docker run'],
];

/** The whole in Markdown. */
export function render(report: Report): string {
  const { beganAt, options, rows, extras, omitted } = report;
  const lines = [
    `# ${beganAt.toISOString().slice(0, 16)}, commit ${commit()}`,
    '',
    `${machine()}. Load before: ${loadAtStart}. \`npm run bench${options === '' ? '' : ` -- ${options}`}\``,
    '',
  ];
  for (const part of new Set(rows.map((row) => row.part).filter((name) => name !== 'burst'))) {
    const body = rows.filter((row) => row.part === part).map((row) => cellsOf(row, rows));
    lines.push(`## ${part}`, '', table(head, body), '');
  }
  for (const title of new Set(extras.map((extra) => extra.title))) {
    const own = extras.filter((extra) => extra.title === title);
    const body = own.map(({ cells }) => cells);
    lines.push(`## ${title}`, '', table(own[0]?.head ?? [], body), '');
  }
  const errors = rows.filter(({ firstError }) => firstError !== undefined);
  const notes = [
    ...omitted.map((text) => `Left out: ${text}`),
    ...errors.map(({ target, load, firstError }) => `Error: ${target}, ${load}: ${firstError}`),
  ];
  if (notes.length > 0) lines.push('## notes', '', ...notes.map((text) => `- ${text}`), '');
  return lines.join('\n');
}

/** Writes text and figures to bench/results, under the day and the commit. */
export function save(report: Report): void {
  const stem = `../results/${report.beganAt.toISOString().slice(0, 10)}-${commit()}`;
  writeFileSync(fileURLToPath(new URL(`${stem}.md`, import.meta.url)), render(report));
  const figures = { machine: machine(), commit: commit(), ...report };
  writeFileSync(fileURLToPath(new URL(`${stem}.json`, import.meta.url)), `${JSON.stringify(figures, null, 2)}\n`);
}

function cellsOf(row: Row, rows: readonly Row[]): string[] {
  const times = [row.p50Ms, row.p90Ms, row.p99Ms, row.maxMs].map((value) => value.toFixed(1));
  const rate = [row.runsPerSecond.toFixed(1), String(row.errors), row.cpuMsPerRun.toFixed(1)];
  const ratios = [row.p50ToBare, row.rateToBare, toDockerRun(row, rows)].map((value) => value?.toFixed(2) ?? '');
  return [row.target, row.workload, row.load, ...times, ...rate, ...ratios];
}

function toDockerRun(row: Row, rows: readonly Row[]): number | undefined {
  const isSame = ({ target, part, workload, load }: Row): boolean =>
    target === 'docker run' && part === row.part && workload === row.workload && load === row.load;
  const reference = rows.find(isSame);
  return reference === undefined || reference === row ? undefined : row.p50Ms / reference.p50Ms;
}

const loadAtStart = loadavg()[0]?.toFixed(1);

function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`;
}

function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
}
