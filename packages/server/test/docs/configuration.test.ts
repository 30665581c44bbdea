import { expect, test } from 'vitest';
import { entryBytesMax, extensionBytesMax, pathBytesMax, pathsBytesMax } from '../../dist/archive/limits.js';
import { listSettings } from '../../dist/config.js';
import { cpuSharesMin, memoryBytesMin, sharedMemoryBytes } from '../../dist/sandbox/containment.js';
import { idleSandboxBytes } from '../../dist/sandbox/pool/pool.js';
import { codeOf, readDocument, rowsOf, sectionOf } from './document.js';

const document = readDocument('docs/configuration.md');
const server = document.slice(0, document.indexOf('## Clients'));
const noDefault = '–';
const mebibyte = 1024 * 1024;

test('there is one row for each variable, with its default, in the order of the code', () => {
  const documented = rowsOf(server).map(([name, fallback]) => ({
    name: codeOf(name),
    default: fallback === noDefault ? '' : codeOf(fallback),
  }));
  expect(documented).toEqual(listSettings());
});

test('every variable has a unit and a meaning', () => {
  for (const row of rowsOf(server)) {
    expect(row, row[0]).toHaveLength(4);
    expect(row[2], row[0]).not.toBe('');
    expect(row[3]?.length, row[0]).toBeGreaterThan(10);
  }
});

test('the fixed limits are those of the code', () => {
  const limits = new Map(rowsOf(sectionOf(document, '## Fixed limits')).map(([what, limit]) => [what, limit]));
  const grouped = (value: number) => value.toLocaleString('en-US');
  expect(limits.get('path of an entry of an archive')).toBe(`${grouped(pathBytesMax)} bytes`);
  expect(limits.get('paths of an archive together')).toBe(`${grouped(pathsBytesMax)} characters`);
  expect(limits.get('extended header of an archive')).toBe(`${grouped(extensionBytesMax)} bytes`);
  expect(limits.get('one file of an archive')).toBe(`${grouped(entryBytesMax)} bytes`);
  expect(limits.get('memory of a sandbox, at the least')).toBe(`${memoryBytesMin / mebibyte} MiB`);
  expect(limits.get('`cpu_shares` of a sandbox, at the least')).toBe(String(cpuSharesMin));
  expect(limits.get('`/dev/shm`')).toBe(`${sharedMemoryBytes / mebibyte} MiB`);
  expect(document).toContain(`counted at ${idleSandboxBytes / mebibyte} MiB each`);
});
