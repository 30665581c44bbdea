import { type Agent, request } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from './engine.js';

/**
 * Attaches to a container's stdin, stdout and stderr and takes the connection over. The client library is no help here:
 * it sends its options as a body too, and what of that body comes after the take-over is stdin to the container.
 */
export function attach(
  connection: Address & { readonly agent: Agent },
  options: { readonly containerId: string; readonly timeoutMs: number },
): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const attaching = request({
      ...connection,
      method: 'POST',
      path: `/containers/${options.containerId}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
      headers: { connection: 'Upgrade', upgrade: 'tcp', 'content-length': '0' },
      timeout: options.timeoutMs,
    });
    attaching.on('upgrade', (_response, socket, head) => {
      (socket as Socket).setTimeout(0);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    attaching.on('response', (response) => {
      response.resume();
      const refusal = new Error(`The engine refused to attach with status ${response.statusCode}`);
      reject(Object.assign(refusal, { statusCode: response.statusCode, json: refusal.message }));
    });
    attaching.on('timeout', () => attaching.destroy());
    attaching.on('error', reject);
    attaching.end();
  });
}
