import Type, { type Static } from 'typebox';
import { ExecutionConfig } from './config.js';
import { createParser, type Parsed } from './parse.js';

/** The Python versions that `python_version` may name; each maps to the image `python:<version>-slim`. */
export const pythonVersions = ['3.10', '3.11', '3.12', '3.13', '3.14'] as const;

/** One source file of a {@link SimpleExecRequest}. */
export const CodeFile = Type.Object({
  name: Type.String({ description: 'Path inside /work' }),
  content: Type.String({ description: 'The text of the file' }),
});
export type CodeFile = Readonly<Static<typeof CodeFile>>;

/** Body of `POST /api/v1/eval`. */
export const SimpleExecRequest = Type.Object(
  {
    code: Type.Optional(Type.String({ description: 'Source of main.py' })),
    files: Type.Optional(Type.Array(CodeFile, { description: 'Several files; they win over code' })),
    entrypoint: Type.Optional(Type.String({ description: 'File to run; default: main.py if there, else the first' })),
    stdin: Type.Optional(Type.String()),
    python_version: Type.Optional(Type.String({ description: `One of ${pythonVersions.join(', ')}` })),
    eval_last_expr: Type.Optional(
      Type.Boolean({ description: 'Whether the repr() of a final expression becomes result', default: false }),
    ),
    requirements_txt: Type.Optional(Type.String({ description: '"-" switches import detection off' })),
    config: Type.Optional(ExecutionConfig),
  },
  { description: 'Python code to run, as JSON' },
);
export type SimpleExecRequest = Readonly<Static<typeof SimpleExecRequest>>;

const parser = createParser(SimpleExecRequest, 'request', 'invalid_request');

/**
 * Parses the JSON text of an `/eval` request.
 *
 * @throws ServiceError `invalid_request`, or `invalid_config` for a field of `config`.
 */
export function parseSimpleExecRequest(text: string): Parsed<SimpleExecRequest> {
  return parser.parseJson(text);
}
