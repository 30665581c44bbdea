import { openDockerBackend } from '../backends.js';
import type { Config } from '../config.js';
import { SandboxError } from '../jobs/ports.js';
import { type Check, fail, ok, warn } from './check.js';
import { examineEngine } from './engine.js';
import { messageOf } from './probe.js';
import { describeTrial, runTrial } from './run.js';
import { describeWay } from './way.js';

export interface BackendFindings {
  /** Whether `auto` would take it. */
  readonly answers: boolean;
  /** Whether a program ran through it as the configuration has it. */
  readonly works: boolean;
}

export interface ExamineOptions {
  readonly ownerId: string;
  readonly imagesDir: string;
  readonly signal: AbortSignal;
  readonly onCheck: (check: Check) => void;
}

/** Examines the engine, and runs a program by each of its runtimes, or by the one of the configuration. */
export async function examineDocker(config: Config, options: ExamineOptions): Promise<BackendFindings> {
  const { checks, usable } = await examineEngine(config, options);
  checks.forEach(options.onCheck);
  if (usable === undefined) return { answers: false, works: false };
  const { default: image } = config.images;
  const configured = config.sandbox.runtime;
  const [first = ''] = usable.runtimes;
  if (!usable.hasImage) {
    // A pull would leave something behind that nobody asked for.
    const finding = `not tried, because there is no image ${JSON.stringify(image)}`;
    options.onCheck(fail(`docker run ${configured || first}`, finding, `docker pull ${image}`));
    return { answers: true, works: false };
  }
  let works = false;
  for (const runtime of configured === '' ? usable.runtimes : [configured]) {
    const checks = await checkRun(runtime, config, { ...options, runtimes: usable.runtimes });
    checks.forEach(options.onCheck);
    if (runtime === (configured || first)) works = checks.every((check) => check.status !== 'fail');
  }
  return { answers: true, works };
}

async function checkRun(
  runtime: string,
  config: Config,
  options: ExamineOptions & { readonly runtimes: readonly string[] },
): Promise<readonly Check[]> {
  const name = `docker run ${runtime}`;
  const settings = { ...config, sandbox: { ...config.sandbox, runtime } };
  try {
    const trial = await runTrial((logger) => openDockerBackend(settings, { ...options, logger }), settings, options);
    const finding = describeTrial(trial);
    const { warnings } = trial;
    const ran = warnings.length === 0 ? ok(name, finding) : warn(name, `${finding}; ${warnings.join('; ')}`);
    return [ran, describeWay(runtime, trial, config.sandbox.zygote)];
  } catch (error) {
    options.signal.throwIfAborted();
    return [fail(name, messageOf(error), remedyFor(error, runtime, options.runtimes))];
  }
}

function remedyFor(error: unknown, runtime: string, runtimes: readonly string[]): string {
  if (!runtimes.includes(runtime)) {
    return `tell the engine of ${runtime}: add it to "runtimes" of /etc/docker/daemon.json and restart the engine`;
  }
  if (error instanceof SandboxError && error.reason === 'image_unavailable') return 'use an image with python3 in it';
  return `see what the log of the engine says, and whether "docker run --rm --runtime ${runtime} IMAGE true" works`;
}
