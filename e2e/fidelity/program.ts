/** A program that is run both ways: by plain Python and by the service. */
export interface Program {
  /** What it looks at. Unique. */
  readonly name: string;
  /** Source of main.py. */
  readonly main?: string;
  /** Further files. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Those of the files that may be executed. */
  readonly executable?: readonly string[];
  readonly entrypoint?: string;
  readonly args?: readonly string[];
  /** `KEY=value` strings. */
  readonly env?: readonly string[];
  readonly stdin?: string;
  /** Takes out what differs between any two runs. */
  readonly normalise?: (output: string) => string;
}

/** How a run ended. Text is what JSON makes of the bytes: invalid UTF-8 becomes U+FFFD. */
export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Python source as it stands, without the line break in front. */
export function py(strings: TemplateStringsArray, ...values: readonly never[]): string {
  return String.raw(strings, ...values).replace(/^\n/, '');
}

/** With any such variable an interpreter that was up before the job cannot serve it, and this one does nothing. */
export const newInterpreter = 'PYTHONUNUSED=1';

const startupVariables = /^(PYTHON|LD_|LC_|MALLOC_|GLIBC_|(PATH|HOME|TZ|LANG)=)/;

/** Whether the service starts an interpreter for the program in any case. */
export function needsNewInterpreter({ entrypoint, env = [], files = {} }: Program): boolean {
  return (
    entrypoint !== undefined ||
    env.some((variable) => startupVariables.test(variable)) ||
    Object.keys(files).some((name) => name.startsWith('.local/lib'))
  );
}

/** Every file of the program, main.py included. */
export function filesOf({ main, files = {} }: Program): Readonly<Record<string, string | Uint8Array>> {
  return main === undefined ? files : { 'main.py': main, ...files };
}

/** Addresses of objects. */
export function withoutAddresses(output: string): string {
  return output.replace(/0x[0-9a-f]{6,}/g, '0x…');
}
