/**
 * A service in a process of its own, so that its memory can be measured: `VmHWM` is the most that it ever had. It tells
 * its parent the port, and its peak in MiB whenever it is asked.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { archiveOfFiles } from '../../dist/archive/compose.js';
import { receiveArchive } from '../../dist/archive/receive.js';
import { readConfig } from '../../dist/config.js';
import { createHttpServer } from '../../dist/http/server.js';

const spoolDir = mkdtempSync(join(tmpdir(), 'http-test-'));
const { http, archive } = readConfig({});
const archiveOptions = { ...archive, bytesMax: http.bodyBytesMax, spoolDir };
// As long as the limits allow, and of the kind that JSON makes six times longer.
const stdout = '\u0000'.repeat(10 * 1024 * 1024);
const result = { execution_id: 'exe_', status: 'completed', stdout, stderr: '', exit_code: 0 };

async function run(request) {
  const stdin = request.metadata.stdin ?? '';
  await request.archive.dispose();
  return { ...result, stdout: String(stdin.length) };
}

const app = createHttpServer({
  executions: {
    runToEnd: run,
    enqueue: run,
    read: async () => result,
    cancel: async () => 'killed',
    checkReady: async () => {},
  },
  receiveArchive: (source) => receiveArchive(source, archiveOptions),
  archiveOfFiles: (files) => archiveOfFiles(files, archiveOptions),
  renderMetrics: async () => '',
  config: http,
  logger: pino({ level: 'silent' }),
});
await app.listen({ host: '127.0.0.1', port: 0 });

process.on('message', () => {
  const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  process.send(Number(kibibytes) / 1024);
});
process.on('disconnect', () => {
  rmSync(spoolDir, { recursive: true });
  process.exit();
});
process.send(app.server.address().port);
