import { raceAbort } from '../sandbox/docker/engine.js';
import { type Check, fail } from './check.js';

/** No question to this machine takes longer when it is well. */
const timeoutMs = 15_000;

/**
 * Asks one question. What goes wrong on the way is an answer too.
 *
 * @throws the abort reason, and nothing else
 */
export async function probe(
  name: string,
  question: () => Promise<Check>,
  { signal }: { readonly signal: AbortSignal },
): Promise<Check> {
  signal.throwIfAborted();
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    return await raceAbort(question(), [signal, deadline]);
  } catch (error) {
    signal.throwIfAborted();
    const reason = deadline.aborted ? `no answer within ${timeoutMs / 1000} s` : messageOf(error);
    return fail(name, `could not be found out: ${reason}`);
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
