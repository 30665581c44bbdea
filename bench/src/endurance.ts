import { parseArgs } from 'node:util';
import { type Census, differences, type Item, slacks } from './census.js';
import { endure, settlingRuns } from './endure.js';
import { startServiceTarget } from './service.js';
import { quantile } from './statistics.js';
import { table } from './table.js';
import { runAllWaiting } from './waiting.js';

const usage = `npm run bench:endurance -- [options]

Runs programs, and compares what there is of the service after the first ${settlingRuns} of them and at the end.
Exits with 1 when a run fails, or when anything differs by more than its slack, which the table names.

  --runs N          programs in all (default 5000)
  --clients N       at a time; as many sandboxes wait (default 8)
  --backend NAME    oci (default; as root) or docker
  --runtime NAME    of oci: crun (default), runc or runsc; the engine's default for docker
  --zygote WORD     on (default) or off
  --waiting N       instead: so many sandboxes wait at once, then all of them run at once
`;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5000' },
    clients: { type: 'string', default: '8' },
    backend: { type: 'string', default: 'oci' },
    runtime: { type: 'string' },
    zygote: { type: 'string', default: 'on' },
    waiting: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(usage);
else if (values.waiting !== undefined) await testWaiting(Number(values.waiting));
else await testEndurance(Number(values.runs), Number(values.clients));

async function testEndurance(runs: number, clients: number): Promise<void> {
  const service = await start(clients);
  try {
    const beganMs = performance.now();
    const onProgress = (done: number): void => say(`${done} of ${runs}, ${rate(done, beganMs)}`);
    const { before, after, errors, firstError } = await endure(service, {
      runs,
      clients,
      poolSize: clients,
      onProgress,
    });
    process.stdout.write(`${tableOf(before, after)}\n\n${runs} runs, ${rate(runs, beganMs)}, ${errors} errors\n`);
    if (firstError !== undefined) process.stdout.write(`the first: ${firstError}\n`);
    if (errors > 0 || differences(before, after).length > 0) process.exitCode = 1;
  } finally {
    await service.close();
  }
}

async function testWaiting(count: number): Promise<void> {
  const service = await start(count);
  try {
    const waited = await runAllWaiting(service, count, (ready) => say(`${ready} of ${count} wait`));
    const { comingUpSeconds, pssBytes, result } = waited;
    const [p50, p99] = [0.5, 0.99].map((share) => quantile(result.latenciesMs, share).toFixed(0));
    process.stdout.write(
      `${count} sandboxes came up in ${comingUpSeconds.toFixed(1)} s, ${mebibytes(pssBytes)} MiB PSS each; all ran at ` +
        `once: ${result.errors} errors, p50 ${p50} ms, p99 ${p99} ms\n`,
    );
    if (result.firstError !== undefined) process.stdout.write(`the first: ${result.firstError}\n`);
    if (result.errors > 0) process.exitCode = 1;
  } finally {
    await service.close();
  }
}

function start(poolSize: number) {
  return startServiceTarget('endurance', {
    PYEXEC_BACKEND: values.backend,
    PYEXEC_RUNTIME: values.runtime ?? (values.backend === 'docker' ? '' : 'crun'),
    PYEXEC_ZYGOTE: values.zygote,
    PYEXEC_POOL_SIZE: String(poolSize),
    PYEXEC_POOL_MAX: String(poolSize),
    PYEXEC_POOL_MEMORY_MB: String(16 * Math.max(poolSize, 64)),
    PYEXEC_MAX_CONCURRENT: String(Math.max(poolSize, 64)),
  });
}

function tableOf(before: Census, after: Census): string {
  const wrong = differences(before, after);
  const items = Object.keys(slacks) as Item[];
  const rows = items.map((item) => {
    const show = (value: number): string => (item === 'residentBytes' ? `${mebibytes(value)} MiB` : String(value));
    const verdict = wrong.includes(item) ? 'DIFFERS' : 'ok';
    const [first, last] = [before[item], after[item]];
    return [item, verdict, show(first), show(last), show(last - first), show(slacks[item])];
  });
  return table(['what', 'verdict', `after ${settlingRuns} runs`, 'at the end', 'difference', 'slack'], rows);
}

function rate(runs: number, sinceMs: number): string {
  return `${(runs / ((performance.now() - sinceMs) / 1000)).toFixed(1)} a second`;
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
