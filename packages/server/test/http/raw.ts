import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** One HTTP response as it stood on the wire. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A TCP connection to the service that collects what comes back. */
export class RawConnection {
  received = '';
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async open(port: number): Promise<RawConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  /** Sends and waits until the server closes the connection. */
  async exchange(bytes: string | Buffer): Promise<RawResponse[]> {
    const closed = once(this.socket, 'close');
    this.socket.write(bytes);
    await closed;
    return this.responses();
  }

  responses(): RawResponse[] {
    return responsesIn(this.received);
  }
}

/** Sends bytes on a connection of their own and waits until the server closes it. */
export async function exchange(port: number, bytes: string | Buffer): Promise<RawResponse[]> {
  const connection = await RawConnection.open(port);
  return connection.exchange(bytes);
}

function responsesIn(text: string): RawResponse[] {
  const responses: RawResponse[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    if (end === -1) break;
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(lines.map((line) => [line.split(': ')[0]?.toLowerCase(), line.split(': ')[1]]));
    const length = Number(headers['content-length'] ?? 0);
    responses.push({ status: Number(statusLine.split(' ')[1]), headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return responses;
}

/** The JSON body of the only response. */
export function onlyError(responses: readonly RawResponse[]): { status: number; code: string; error: string } {
  const [response] = responses;
  if (response === undefined || responses.length > 1) throw new Error(`Expected one response, got ${responses.length}`);
  return { status: response.status, ...JSON.parse(response.body) };
}
