import { UsageError } from './failure.js';

/** Reads `VAR=value`, or takes the value of a bare `VAR` from `environment`. */
export function readVariable(text: string, environment: Readonly<Record<string, string | undefined>>): string {
  const equals = text.indexOf('=');
  if (text === '' || equals === 0) throw new UsageError(`Cannot set environment variable "${text}": it has no name`);
  if (equals > 0) return text;
  const value = environment[text];
  if (value === undefined) {
    throw new UsageError(`Cannot pass environment variable "${text}": it is not set here; write ${text}=value`);
  }
  return `${text}=${value}`;
}
