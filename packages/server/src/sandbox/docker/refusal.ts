import { SandboxError } from '../../jobs/ports.js';
import { EngineRefusal } from './engine.js';
import { type Image, imageUnavailable } from './images.js';

/** What runc and crun say when the image has no `python3`, or none for this processor. */
const notExecutable = /executable file (?:\S+ )?not found|exec format error|"python3": (?:permission denied|stat )/i;

/** Why a container of an image could not be made or started, in our own terms. */
export function toSandboxError(image: Image, error: unknown): unknown {
  if (!(error instanceof EngineRefusal)) return error;
  if (notExecutable.test(error.reason)) return imageUnavailable(image.name, 'it has no python3 that can run', error);
  if (error.status === 404 && error.reason.includes('No such image')) {
    return imageUnavailable(image.name, error.reason, error);
  }
  return new SandboxError('internal', `Cannot start sandbox: ${error.reason}`, { cause: error });
}

/** Whether the engine's storage cannot limit a writable layer. */
export function isQuotaRefusal(error: unknown): boolean {
  return error instanceof EngineRefusal && /storage-opt|quota/i.test(error.reason);
}

/** Whether the engine cannot switch IPv6 off, mostly because its kernel has none. */
export function isIpv6Refusal(error: unknown): boolean {
  return error instanceof EngineRefusal && /disable_ipv6|sysctl/i.test(error.reason);
}
