import { addAbortSignal } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { UsageError } from './failure.js';

export interface StdinOptions {
  readonly signal: AbortSignal;
  /** Called when there is no end in sight yet. */
  readonly onSlow: () => void;
}

const slowAfterMs = 1000;

/** Reads a pipe or a file to its end. */
export async function readStdin(stdin: NodeJS.ReadStream, options: StdinOptions): Promise<Buffer> {
  const timer = setTimeout(options.onSlow, slowAfterMs);
  try {
    return await buffer(addAbortSignal(options.signal, stdin));
  } finally {
    clearTimeout(timer);
  }
}

/** The service takes stdin as text. @throws UsageError when it is none, rather than send something else */
export function decodeStdin(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new UsageError('Cannot send stdin: it is not UTF-8', { cause });
  }
}
