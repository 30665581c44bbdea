/**
 * Readers of single environment variables. Each collects its fault instead of throwing, so that a start reports every
 * fault at once, and records what it read, so that the documentation can be checked against it.
 */
export interface Setting {
  readonly name: string;
  /** As it stands in the documentation, e.g. `300`; empty when there is none. */
  readonly default: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export interface IntegerOptions {
  readonly default: number;
  readonly min?: number;
  readonly max?: number;
}

const mebibyte = 1024 * 1024;

export class SettingsReader {
  readonly settings: Setting[] = [];
  readonly faults: string[] = [];

  constructor(private readonly environment: Environment) {}

  /** A whole number between `min` (1 unless given) and `max`. */
  integer(name: string, options: IntegerOptions): number {
    const { min = 1, max = Number.MAX_SAFE_INTEGER } = options;
    const text = this.#raw(name, String(options.default));
    if (text === undefined) return options.default;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    return this.#fault(name, text, `a whole number from ${min} to ${max}`, options.default);
  }

  /** A number of MiB, given in MiB and returned in bytes. */
  mebibytes(name: string, options: IntegerOptions): number {
    return this.integer(name, options) * mebibyte;
  }

  /** A number of seconds, returned in milliseconds. */
  seconds(name: string, options: IntegerOptions): number {
    return this.integer(name, options) * 1000;
  }

  string(name: string, fallback: string): string {
    return this.#raw(name, fallback) ?? fallback;
  }

  /** Words separated by commas or white space. */
  list(name: string, fallback: readonly string[] = []): readonly string[] {
    const text = this.#raw(name, fallback.join(','));
    return text === undefined ? fallback : text.split(/[\s,]+/).filter((word) => word !== '');
  }

  oneOf<Word extends string>(name: string, words: readonly Word[], fallback: Word): Word {
    const text = this.#raw(name, fallback);
    if (text === undefined) return fallback;
    const word = words.find((candidate) => candidate === text.toLowerCase());
    return word ?? this.#fault(name, text, `one of ${words.join(', ')}`, fallback);
  }

  #raw(name: string, fallback: string): string | undefined {
    this.settings.push({ name, default: fallback });
    const text = this.environment[name]?.trim();
    return text === '' ? undefined : text;
  }

  #fault<Value>(name: string, text: string, expected: string, fallback: Value): Value {
    this.faults.push(`${name} must be ${expected}, got ${JSON.stringify(text)}`);
    return fallback;
  }
}
