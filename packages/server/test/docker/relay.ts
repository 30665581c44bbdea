import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { engineSocket } from './fixture.js';

export interface Relay {
  readonly socket: string;
  /** First lines of the requests that came, e.g. `POST /containers/create?name=… HTTP/1.1`. */
  readonly requests: readonly string[];
  /**
   * Called with the first line of each request before it is passed on. What it returns is waited for; text is given to
   * the client as a refusal in place of the engine's answer.
   */
  onRequest: (line: string) => Promise<void> | string | undefined;
  close(): Promise<void>;
}

/**
 * A socket with the real engine behind it that sees every request pass and can hold it back. The engine is not told when
 * a client leaves, so that what was held back is still carried out.
 */
export async function openRelay(): Promise<Relay> {
  const socket = join(tmpdir(), `relay-${randomUUID()}.sock`);
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const engine = connect(engineSocket);
    for (const side of [client, engine]) {
      open.add(side);
      side.on('error', () => {});
      side.on('close', () => open.delete(side));
    }
    engine.pipe(client);
    let passing = Promise.resolve();
    client.on('data', (chunk: Buffer) => {
      passing = passing.then(async () => {
        const line = /^(?:GET|POST|DELETE|HEAD) \S+ HTTP\/1\.1(?=\r\n)/.exec(chunk.toString('latin1'))?.[0];
        if (line !== undefined) {
          requests.push(line);
          const refusal = await relay.onRequest(line);
          if (refusal !== undefined) {
            const body = JSON.stringify({ message: refusal });
            client.write(`HTTP/1.1 500 Refused\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
            return;
          }
        }
        engine.write(chunk);
      });
    });
  });
  server.listen(socket);
  await once(server, 'listening');
  const relay: Relay = {
    socket,
    requests,
    onRequest: () => undefined,
    async close() {
      for (const side of open) side.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return relay;
}
