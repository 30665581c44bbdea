import {
  CodeFile,
  ExecutionConfig,
  ExecutionResult,
  errorStatus,
  Metadata,
  pythonVersions,
  SimpleExecRequest,
  Termination,
  TerminationReason,
  Usage,
} from '@python-executor/contract';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { readConfig } from '../../dist/config.js';
import { createHttpServer } from '../../dist/http/server.js';
import { codeOf, readDocument, rowsOf, sectionOf } from './document.js';

const document = readDocument('docs/http-api.md');

test('every error code is there, with its status, and no other', () => {
  const documented = rowsOf(sectionOf(document, '## Errors')).map(([code, status]) => [codeOf(code), Number(status)]);
  expect(documented).toEqual(Object.entries(errorStatus));
});

test.each([
  ['### Metadata', Metadata],
  ['### ExecutionConfig', ExecutionConfig],
  ['### SimpleExecRequest', SimpleExecRequest],
  ['### Usage', Usage],
])('the fields below "%s" are those of the contract', (heading, schema) => {
  expect(namesBelow(heading)).toEqual(Object.keys(schema.properties));
});

test('the fields of a result are those of the contract', () => {
  const own = sectionOf(document, '## ExecutionResult').split('### ')[0] ?? '';
  expect(rowsOf(own).map(([name]) => codeOf(name))).toEqual(Object.keys(ExecutionResult.properties));
});

test('the fields of a termination and its reasons are those of the contract', () => {
  expect(namesBelow('### Termination')).toEqual([...Object.keys(Termination.properties), ...TerminationReason.enum]);
});

test('defaults and caps of the limits are those of an unconfigured server', () => {
  const { limits } = readConfig({});
  const rows = rowsOf(sectionOf(document, '### ExecutionConfig'));
  const documented = rows
    .filter(([, type]) => type === 'integer')
    .map(([name, , ...numbers]) => [codeOf(name), ...numbers.slice(0, 2)]);
  const grouped = (value: number) => value.toLocaleString('en-US');
  const configured = [
    ['timeout_seconds', limits.timeoutSeconds],
    ['memory_mb', limits.memoryMb],
    ['disk_mb', limits.diskMb],
    ['cpu_shares', limits.cpuShares],
  ] as const;
  expect(documented).toEqual(configured.map(([name, limit]) => [name, grouped(limit.default), grouped(limit.max)]));
});

test('the supported Python versions and the fields of a file are there', () => {
  const section = sectionOf(document, '### SimpleExecRequest');
  for (const version of pythonVersions) expect(section).toContain(`\`${version}\``);
  for (const name of Object.keys(CodeFile.properties)) expect(section).toContain(`"${name}"`);
});

test('the endpoints are those that the server has', async () => {
  const documented = rowsOf(sectionOf(document, '## Endpoints').split('### ')[0] ?? '').map(
    ([method, path]) => `${method} ${codeOf(path)}`,
  );
  expect(documented.sort()).toEqual((await routes()).sort());
});

function namesBelow(heading: string): readonly (string | undefined)[] {
  return rowsOf(sectionOf(document, heading)).map(([name]) => codeOf(name));
}

/** `METHOD /path` of every route but HEAD, which comes with GET. Nothing is called, so nothing behind them is needed. */
async function routes(): Promise<string[]> {
  const unreachable = async () => {
    throw new Error('No route is called here');
  };
  const app = createHttpServer({
    executions: {
      runToEnd: unreachable,
      enqueue: unreachable,
      read: unreachable,
      cancel: unreachable,
      checkReady: unreachable,
    },
    receiveArchive: unreachable,
    archiveOfFiles: unreachable,
    renderMetrics: unreachable,
    config: readConfig({}).http,
    logger: pino({ level: 'silent' }),
  });
  try {
    await app.ready();
    const lines = app.printRoutes({ commonPrefix: false }).split('\n');
    return lines.flatMap((line) => {
      const [, path, methods = ''] = /(\/\S*) \(([^)]*)\)/.exec(line) ?? [];
      return methods
        .split(', ')
        .filter((method) => method !== '' && method !== 'HEAD')
        .map((method) => `${method} ${path}`);
    });
  } finally {
    await app.close();
  }
}
