export type CheckStatus = 'ok' | 'warn' | 'fail';

/** What was looked at, what was found, and how to mend it. */
export interface Check {
  /** E.g. `docker engine`. */
  readonly name: string;
  readonly status: CheckStatus;
  /** One line. */
  readonly finding: string;
  /** One line; absent where there is nothing to mend. */
  readonly remedy?: string;
}

export function ok(name: string, finding: string): Check {
  return { name, status: 'ok', finding: oneLine(finding) };
}

/** It works, or may work, and not as well as it should. */
export function warn(name: string, finding: string, remedy?: string): Check {
  return { name, status: 'warn', finding: oneLine(finding), ...(remedy !== undefined && { remedy: oneLine(remedy) }) };
}

/** It does not work. */
export function fail(name: string, finding: string, remedy?: string): Check {
  return { ...warn(name, finding, remedy), status: 'fail' };
}

const charactersMax = 600;

/** Engines and runtimes say more than a line, and sometimes more than a page. */
function oneLine(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= charactersMax ? line : `${line.slice(0, charactersMax)}…`;
}
