import type { Static, TObject, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { type ErrorCode, ServiceError } from './errors.js';
import { quote } from './quote.js';

/** A request that was understood, and what the client should hear about it all the same. */
export interface Parsed<Value> {
  readonly value: Value;
  /** One sentence for each unknown key, so that a typo is visible in the result. */
  readonly warnings: readonly string[];
}

export interface Parser<Value> {
  parseJson(text: string): Parsed<Value>;
  parse(input: unknown): Parsed<Value>;
}

const warningsMax = 20;

/**
 * Makes a parser of a request body: unknown keys are dropped and named in the warnings, `null` counts as absent except
 * in `config`, a value of the wrong type is an error that names the field.
 *
 * @param name what the body is called in messages, e.g. `metadata`
 * @param code the error code of faults outside `config`; faults inside it are `invalid_config`
 */
export function createParser<Schema extends TObject>(
  schema: Schema,
  name: string,
  code: ErrorCode,
): Parser<Readonly<Static<Schema>>> {
  const compiled = Compile(schema);

  function parse(input: unknown): Parsed<Readonly<Static<Schema>>> {
    if (!isRecord(input)) {
      throw new ServiceError(code, `Cannot read ${name}: expected a JSON object, got ${quote(input)}`);
    }
    const warnings: string[] = [];
    const known = keepKnown(schema, input, '', warnings);
    if (!compiled.Check(known)) {
      throw faultOf(known, compiled.Errors(known), name, code);
    }
    return { value: known as Readonly<Static<Schema>>, warnings: warnings.slice(0, warningsMax) };
  }

  function parseJson(text: string): Parsed<Readonly<Static<Schema>>> {
    let input: unknown;
    try {
      input = JSON.parse(text);
    } catch (cause) {
      throw new ServiceError(code, `Cannot read ${name}: it is not valid JSON`, { cause });
    }
    return parse(input);
  }

  return { parse, parseJson };
}

/** Copies the keys that the schema knows, without prototype keys, and names the others. */
function keepKnown(schema: TObject, input: Record<string, unknown>, path: string, warnings: string[]): object {
  const known: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(input)) {
    const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (property === undefined) {
      warnings.push(`Unknown field ${quote(path + key)} was ignored`);
    } else if (value === null && path === '') {
      if (key === 'config') known[key] = value;
    } else if (isObjectSchema(property) && isRecord(value)) {
      known[key] = keepKnown(property, value, `${path}${key}.`, warnings);
    } else {
      known[key] = value;
    }
  }
  return known;
}

interface SchemaFault {
  readonly instancePath: string;
  readonly message: string;
}

function faultOf(value: unknown, faults: readonly SchemaFault[], name: string, code: ErrorCode): ServiceError {
  const fault = faults[0];
  const path = fault?.instancePath.split('/').slice(1) ?? [];
  const got = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value);
  const field = path.length === 0 ? name : path.join('.');
  const reason = fault === undefined ? 'is not valid' : describe(fault.message);
  const faultCode = path[0] === 'config' ? 'invalid_config' : code;
  const shown = path.length === 0 ? '' : `, got ${path[0] === 'config' ? quote(got) : typeName(got)}`;
  return new ServiceError(faultCode, `Cannot read ${name}: ${field} ${reason}${shown}`);
}

function describe(message: string): string {
  return message.startsWith('must match pattern')
    ? 'must not contain NUL, and an env var must be "KEY=value"'
    : message;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isObjectSchema(schema: TSchema): schema is TObject {
  return (schema as { type?: unknown }).type === 'object';
}
