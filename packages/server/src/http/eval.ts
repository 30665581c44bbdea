import {
  type CodeFile,
  type Metadata,
  parseSimpleExecRequest,
  pythonVersions,
  quote,
  ServiceError,
  type SimpleExecRequest,
} from '@python-executor/contract';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { type BodyLimits, receiveBody } from './body.js';
import { requireConnected, whileConnected } from './departure.js';
import { JsonText } from './json.js';
import { requireMediaType } from './media.js';
import type { ArchiveOfFiles, Executions } from './ports.js';
import { sendResult } from './result.js';

interface EvalLimits extends BodyLimits {
  readonly codeBytesMax: number;
  readonly metadataBytesMax: number;
}

export interface EvalOptions {
  readonly executions: Executions;
  readonly archiveOfFiles: ArchiveOfFiles;
  readonly limits: EvalLimits;
}

/** Escaped as JSON, a byte of code takes six: `\u0000`. */
const escapedBytesPerByteMax = 6;

/** `POST /api/v1/eval`: run code that comes as JSON. */
export function addEvalRoutes(app: FastifyInstance, { executions, archiveOfFiles, limits }: EvalOptions): void {
  const bodyBytesMax = Math.min(
    limits.bodyBytesMax,
    limits.codeBytesMax * escapedBytesPerByteMax + limits.metadataBytesMax,
  );

  app.post('/api/v1/eval', (request, reply) =>
    whileConnected(request, async (signal) => {
      requireMediaType(request.headers, 'application/json');
      const { value, warnings } = parseSimpleExecRequest(await receiveText(reply, { ...limits, bodyBytesMax }));
      const files = filesOf(value);
      requireCodeSize(files, limits.codeBytesMax);
      const metadata = metadataOf(value, files);
      const archive = await archiveOfFiles(files);
      await requireConnected(signal, archive);
      const mode = value.eval_last_expr === true ? 'eval' : 'script';
      return sendResult(reply, await executions.runToEnd({ metadata, archive, warnings, mode }, { signal }));
    }),
  );
}

async function receiveText(reply: FastifyReply, limits: BodyLimits): Promise<string> {
  const text = new JsonText('request', limits.bodyBytesMax, 'invalid_request');
  await receiveBody(reply, limits, (chunk) => {
    text.append(chunk);
    return undefined;
  });
  return text.end();
}

/** Clients in the field send an empty string for what they do not have. */
function filesOf({ code, files }: SimpleExecRequest): readonly CodeFile[] {
  if (files !== undefined && files.length > 0) return files;
  if (code !== undefined && code !== '') return [{ name: 'main.py', content: code }];
  throw new ServiceError('invalid_request', 'Cannot read request: either "code" or "files" is required');
}

function requireCodeSize(files: readonly CodeFile[], bytesMax: number): void {
  const bytes = files.reduce((sum, { name, content }) => sum + Buffer.byteLength(name) + Buffer.byteLength(content), 0);
  if (bytes > bytesMax) {
    throw new ServiceError(
      'code_too_large',
      `Cannot run code: its ${bytes} bytes exceed the limit of ${bytesMax} bytes`,
    );
  }
}

function metadataOf(value: SimpleExecRequest, files: readonly CodeFile[]): Metadata {
  const { stdin, requirements_txt, config } = value;
  const image = imageOf(value);
  return {
    entrypoint: value.entrypoint || entrypointOf(files),
    ...(image !== undefined && { docker_image: image }),
    ...(stdin !== undefined && { stdin }),
    ...(requirements_txt !== undefined && { requirements_txt }),
    ...(config !== undefined && { config }),
  };
}

function imageOf({ python_version: version }: SimpleExecRequest): string | undefined {
  if (version === undefined || version === '') return undefined;
  if (pythonVersions.some((supported) => supported === version)) return `python:${version}-slim`;
  const message = `Python version ${quote(version)} is not supported, the supported ones are ${pythonVersions.join(', ')}`;
  throw new ServiceError('unsupported_python_version', message);
}

function entrypointOf(files: readonly CodeFile[]): string {
  const [first] = files;
  return first === undefined || files.some(({ name }) => name === 'main.py') ? 'main.py' : first.name;
}
