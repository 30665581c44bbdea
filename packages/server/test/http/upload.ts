import { buffer } from 'node:stream/consumers';
import { pack } from 'tar-stream';

/** A tar of text files. */
export async function tarOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) tar.entry({ name }, content);
  tar.finalize();
  return buffer(tar);
}

export interface Part {
  readonly name: string;
  readonly filename?: string;
  readonly type?: string;
  readonly content: string | Buffer;
}

export const boundary = 'test-boundary';
export const multipartType = `multipart/form-data; boundary=${boundary}`;

/** The bytes of a multipart body, part by part as given. */
export function multipartOf(parts: readonly Part[]): Buffer {
  const chunks = parts.flatMap(({ name, filename, type, content }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"`,
    filename === undefined ? '' : `; filename="${filename}"`,
    type === undefined ? '' : `\r\nContent-Type: ${type}`,
    '\r\n\r\n',
    content,
    '\r\n',
  ]);
  return Buffer.concat([...chunks, `--${boundary}--\r\n`].map((chunk) => Buffer.from(chunk)));
}

/** The usual upload: `tar` as a file, `metadata` as a plain field. */
export async function usualParts(metadata: unknown = {}): Promise<Part[]> {
  return [
    { name: 'tar', filename: 'code.tar', type: 'application/x-tar', content: await tarOf({ 'main.py': 'print(1)' }) },
    { name: 'metadata', content: JSON.stringify(metadata) },
  ];
}

export function post(url: string, body: Buffer | string, type: string = multipartType): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers: { 'content-type': type } });
}
