import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { systemPath } from './executable.js';

const reasonCharactersMax = 500;
const outputBytesMax = 4 * 1024 * 1024;

/** A tool that handles images could not do what it was asked. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/**
 * Runs one of the tools that handle images, in an environment of its own.
 *
 * @throws ToolError with what the tool said; the abort reason
 */
export async function runTool(
  name: 'skopeo' | 'umoci',
  parameters: readonly string[],
  { signal, home }: { readonly signal: AbortSignal; readonly home: string },
): Promise<void> {
  try {
    await promisify(execFile)(name, [...parameters], {
      signal,
      maxBuffer: outputBytesMax,
      // Credentials of the account that adds the image count, and its proxy does.
      env: { PATH: systemPath, HOME: home, TMPDIR: home },
    });
  } catch (error) {
    signal.throwIfAborted();
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') throw new ToolError(`"${name}" is not installed`, { cause: error });
    throw new ToolError(`${name} failed: ${lastLine(stderr) || String(code)}`, { cause: error });
  }
}

/** Tools log line by line; the last one says why they gave up. */
function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  const [, message = line] = /msg="((?:[^"\\]|\\.)*)"/.exec(line) ?? [];
  return message.replaceAll('\\"', '"').slice(0, reasonCharactersMax);
}
