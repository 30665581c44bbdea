export interface Part {
  readonly name?: string;
  readonly filename?: string;
  readonly type?: string;
  readonly content: string | Buffer;
}

const boundary = 'e2e-boundary';
export const multipartType = `multipart/form-data; boundary=${boundary}`;
export const endOfParts = `--${boundary}--\r\n`;

/** The bytes of a multipart body, part by part as given. */
export function multipartOf(parts: readonly Part[]): Buffer {
  return Buffer.concat([...parts.map(encodePart), Buffer.from(endOfParts)]);
}

export function encodePart(part: Part): Buffer {
  return Buffer.concat([Buffer.from(partHeader(part)), Buffer.from(part.content), Buffer.from('\r\n')]);
}

/** What stands before the content of a part. */
export function partHeader({ name, filename, type }: Omit<Part, 'content'>): string {
  const parameters = ['form-data', name && `name="${name}"`, filename && `filename="${filename}"`].filter(Boolean);
  const typeLine = type === undefined ? '' : `Content-Type: ${type}\r\n`;
  return `--${boundary}\r\nContent-Disposition: ${parameters.join('; ')}\r\n${typeLine}\r\n`;
}

/** The usual upload: `tar` as a file, `metadata` as a plain field. */
export function uploadParts(tar: Buffer, metadata: unknown = {}): readonly Part[] {
  return [
    { name: 'tar', filename: 'code.tar', type: 'application/x-tar', content: tar },
    { name: 'metadata', content: typeof metadata === 'string' ? metadata : JSON.stringify(metadata) },
  ];
}
