import Type, { type Static } from 'typebox';
import { ExecutionConfig } from './config.js';
import { createParser, type Parsed } from './parse.js';

/** `metadata` of `POST /api/v1/exec/sync` and `/exec/async`. */
export const Metadata = Type.Object(
  {
    entrypoint: Type.Optional(
      Type.String({ description: 'Script to run; default: main.py, then __main__.py, then the first .py' }),
    ),
    docker_image: Type.Optional(Type.String({ description: 'Image that brings the interpreter' })),
    requirements_txt: Type.Optional(Type.String({ description: 'Contents of a requirements file' })),
    pre_commands: Type.Optional(Type.Array(Type.String(), { description: 'Shell commands to run before the script' })),
    stdin: Type.Optional(Type.String({ description: 'What the program reads on stdin; EOF follows it' })),
    env_vars: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^=\\u0000]+=[^\\u0000]*$' }), { description: 'KEY=value strings' }),
    ),
    script_args: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^\\u0000]*$' }), { description: 'sys.argv[1:], passed literally' }),
    ),
    config: Type.Optional(ExecutionConfig),
  },
  { description: 'How to run the uploaded archive' },
);
export type Metadata = Readonly<Static<typeof Metadata>>;

const parser = createParser(Metadata, 'metadata', 'invalid_metadata');

/**
 * Parses the JSON text of the `metadata` part.
 *
 * @throws ServiceError `invalid_metadata` when it is no JSON object or a field has the wrong type, `invalid_config` when
 * a field of `config` has.
 */
export function parseMetadata(text: string): Parsed<Metadata> {
  return parser.parseJson(text);
}
