import { openOciBackend } from '../backends.js';
import type { Config } from '../config.js';
import { SandboxError } from '../jobs/ports.js';
import { usualUsers } from '../sandbox/oci/backend.js';
import { type Runtime, runtimeTraits, usualRuntimes } from '../sandbox/oci/runtime.js';
import { checkCgroups, checkSwap } from './cgroups.js';
import { type Check, fail, ok } from './check.js';
import type { BackendFindings, ExamineOptions } from './docker.js';
import { checkMounts } from './mounts.js';
import { messageOf, probe } from './probe.js';
import { checkPython } from './python.js';
import { checkRights } from './rights.js';
import { describeTrial, runTrial } from './run.js';
import { examineRuntime } from './runtime.js';
import { rememberTraces } from './traces.js';
import { checkUsers } from './users.js';
import { describeWay } from './way.js';

/** Examines what it takes to run without an engine, and runs a program by each runtime that is there. */
export async function examineOci(config: Config, options: ExamineOptions): Promise<BackendFindings> {
  const { hostPython, runtime: configured, runtimeDir } = config.sandbox;
  const ask = async (name: string, question: () => Promise<Check>): Promise<Check> => {
    const check = await probe(name, question, options);
    options.onCheck(check);
    return check;
  };
  const rights = await ask('oci rights', checkRights);
  const cgroups = await ask('oci cgroups', checkCgroups);
  if (cgroups.status !== 'fail') await ask('oci swap', checkSwap);
  await ask('oci python', () => checkPython(hostPython));
  await ask('oci users', () => checkUsers(usualUsers));
  if (rights.status !== 'fail') await ask('oci mounts', () => checkMounts({ users: usualUsers, hostPython }));

  const runtimes = await findRuntimes(configured, options);
  if (rights.status === 'fail' || cgroups.status === 'fail') return { answers: false, works: false };
  let works = false;
  for (const name of runtimes.keys()) {
    const removeTraces = rememberTraces({ runtimeDir, ownerId: options.ownerId });
    try {
      const checks = await checkRun(name, config, options);
      checks.forEach(options.onCheck);
      const counts = configured === '' ? usualRuntimes.includes(name) : name === configured;
      if (counts && checks.every((check) => check.status !== 'fail')) works = true;
    } finally {
      await removeTraces();
    }
  }
  return { answers: works, works };
}

/** By name, those that are there. */
async function findRuntimes(configured: string, options: ExamineOptions): Promise<ReadonlyMap<string, Runtime>> {
  const names = new Set([...(configured === '' ? [] : [configured]), ...Object.keys(runtimeTraits)]);
  const found = new Map<string, Runtime>();
  for (const name of names) {
    options.signal.throwIfAborted();
    const { check, runtime } = await examineRuntime(name, configured);
    options.onCheck(check);
    if (runtime !== undefined) found.set(name, runtime);
  }
  return found;
}

async function checkRun(runtime: string, config: Config, options: ExamineOptions): Promise<readonly Check[]> {
  const name = `oci run ${runtime}`;
  const settings = { ...config, sandbox: { ...config.sandbox, runtime } };
  try {
    const trial = await runTrial((logger) => openOciBackend(settings, { ...options, logger }), settings, options);
    return [ok(name, describeTrial(trial)), describeWay(runtime, trial, config.sandbox.zygote)];
  } catch (error) {
    options.signal.throwIfAborted();
    return [fail(name, messageOf(error), remedyFor(error, config))];
  }
}

function remedyFor(error: unknown, { images }: Config): string {
  if (error instanceof SandboxError && error.reason === 'image_unavailable') {
    return `install python3, or add the image: python-executor images add ${images.default}`;
  }
  return 'mend what stands above; what the runtime says itself is quoted here';
}
