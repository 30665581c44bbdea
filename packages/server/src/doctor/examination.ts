import { randomUUID } from 'node:crypto';
import type { Config } from '../config.js';
import { imagesDirOf } from '../data-directory.js';
import type { Check } from './check.js';
import { checkDataDirectory } from './data-directory.js';
import type { DiagnoseOptions, Diagnosis } from './diagnose.js';
import { examineDocker } from './docker.js';
import { checkNode } from './node.js';
import { examineOci } from './oci.js';
import { probe } from './probe.js';
import { judge } from './verdict.js';

/** See diagnose.ts. */
export async function examine(config: Config, { signal, onCheck = () => {} }: DiagnoseOptions): Promise<Diagnosis> {
  const checks: Check[] = [];
  const report = (check: Check): void => {
    checks.push(check);
    onCheck(check);
  };
  const { backend } = config.sandbox;
  // Nothing of any server's is ours.
  const shared = { ownerId: randomUUID(), imagesDir: imagesDirOf(config.store.dataDir), signal };

  const node = await probe('node', () => checkNode(), { signal });
  const dataDirectory = await probe('data directory', () => checkDataDirectory(config.store.dataDir), { signal });
  for (const check of [node, dataDirectory]) report(check);
  const docker = await examineDocker(config, { ...shared, onCheck: reportFor('docker', backend, report) });
  const oci = await examineOci(config, { ...shared, onCheck: reportFor('oci', backend, report) });
  const verdict = judge(backend, { needed: [node, dataDirectory], docker, oci });
  report(verdict);
  return { works: verdict.status !== 'fail', checks };
}

/** What is not configured may be broken; of two that may serve, one is enough. */
function reportFor(name: 'docker' | 'oci', configured: Config['sandbox']['backend'], report: (check: Check) => void) {
  return (check: Check): void =>
    report(check.status === 'fail' && configured !== name ? { ...check, status: 'warn' } : check);
}
