import { Readable } from 'node:stream';
import type { ExecutionResult } from '@python-executor/contract';
import type { FastifyReply } from 'fastify';

const wholeCharactersMax = 64 * 1024;
const sliceCharacters = 32 * 1024;

/**
 * Sends a result as JSON. A long one goes out in slices: as one text, output of the permitted size could take sixty
 * times a slice of memory for every client that waits, escapes and encoding included.
 */
export function sendResult(reply: FastifyReply, result: ExecutionResult): FastifyReply {
  reply.header('content-type', 'application/json; charset=utf-8');
  if (result.stdout.length + result.stderr.length <= wholeCharactersMax) return reply.send(JSON.stringify(result));
  return reply.send(Readable.from(slicesOf(result), { highWaterMark: 1 }));
}

function* slicesOf({ stdout, stderr, ...rest }: ExecutionResult): Generator<string> {
  yield `${JSON.stringify(rest).slice(0, -1)},"stdout":"`;
  yield* escapedSlicesOf(stdout);
  yield '","stderr":"';
  yield* escapedSlicesOf(stderr);
  yield '"}';
}

/** A surrogate pair that is cut in two is escaped as two halves, and any JSON parser joins them again. */
function* escapedSlicesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; start += sliceCharacters) {
    yield JSON.stringify(text.slice(start, start + sliceCharacters)).slice(1, -1);
  }
}
