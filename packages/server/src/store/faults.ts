import type { Fault } from './messages.js';

/** What an operation itself may have done wrong. Everything else is the fault of the disk or of the database. */
const operationFaults = /^SQLITE_(CONSTRAINT|TOOBIG|MISMATCH|RANGE|ERROR)/;

const corruptionFaults = /^SQLITE_(CORRUPT|NOTADB)/;

export function faultOf(error: unknown): Fault {
  const { code, message } = error as Partial<NodeJS.ErrnoException>;
  return { code: code || 'UNKNOWN', message: message ?? String(error) };
}

/** Whether an operation failed by itself, so that it would fail again on a healthy disk. */
export function isOperationFault({ code }: Fault): boolean {
  return code === 'UNKNOWN' || operationFaults.test(code);
}

export function isCorruption({ code }: Fault): boolean {
  return corruptionFaults.test(code);
}
