import { type Agent, request } from 'node:http';
import { pack } from 'tar-stream';
import type { Workload } from './workloads.js';

const boundary = 'python-executor-bench';

/** The body of a request that runs a workload. */
export async function multipart({ files, stdin }: Workload): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  const tar: Buffer[] = [];
  for await (const chunk of archive) tar.push(chunk as Buffer);
  const metadata = JSON.stringify({ entrypoint: 'main.py', stdin });
  return Buffer.concat([
    Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n${metadata}\r\n--${boundary}\r\n`,
    ),
    Buffer.from(
      'content-disposition: form-data; name="tar"; filename="code.tar"\r\ncontent-type: application/x-tar\r\n\r\n',
    ),
    ...tar,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}

/** Has a service run it, and rejects unless the program printed what it had to. */
export function post(url: URL, agent: Agent, body: Buffer, workload: Workload): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': `multipart/form-data; boundary=${boundary}`, 'content-length': body.length };
    const options = { agent, method: 'POST', path: '/api/v1/exec/sync', host: url.hostname, port: url.port, headers };
    const outgoing = request(options, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.on('error', reject);
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        try {
          const result = JSON.parse(text) as { stdout?: string; exit_code?: number };
          if (result.exit_code === 0 && result.stdout === workload.stdout) resolve();
          else reject(new Error(`status ${incoming.statusCode}: ${text.slice(0, 300)}`));
        } catch (error) {
          reject(error);
        }
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
