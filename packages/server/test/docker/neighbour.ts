import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type Docker from 'dockerode';
import { expect, vi } from 'vitest';
import { demux } from '../../dist/sandbox/docker/demux.js';
import { docker, image } from './fixture.js';

/** A container beside a sandbox in its network, which listens and remembers who came. */
export interface Neighbour {
  readonly address: string;
  /** Empty where the network has none. */
  readonly address6: string;
  /** Where the network ends, on the host. */
  readonly gateway: string;
  readonly broadcast: string;
  /** What came so far, e.g. `tcp`, `udp`, `dns tcp`. */
  contacts(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Prints each contact; one on the fence only when there is no other that came before. */
const listener = `
import select, socket, sys
port, fence = int(sys.argv[1]), socket.create_server(('0.0.0.0', 54000))
names = {fence: 'fence tcp'}
for number, prefix in ((port, ''), (53, 'dns ')):
    for family, address in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
        names[socket.create_server((address, number), family=family)] = prefix + 'tcp'
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(('0.0.0.0', number))
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('239.1.1.1') + bytes(4))
    names[receiver] = prefix + 'udp'
print('up', flush=True)
while True:
    ready = select.select(list(names), [], [])[0]
    for one in ready:
        if one is fence and len(ready) > 1: continue
        if names[one].endswith('tcp'): one.accept()[0].close()
        else: one.recv(100)
        print(names[one], flush=True)
`;

/** @param options.network name of a network; the engine's default unless given */
export async function openNeighbour(options: { readonly port: number; readonly network?: string }): Promise<Neighbour> {
  const network = options.network ?? 'bridge';
  const container = await docker.createContainer({
    Image: image,
    Cmd: ['python3', '-c', listener, String(options.port)],
    HostConfig: { NetworkMode: network, AutoRemove: true },
  });
  await container.start();
  const close = () => container.remove({ force: true, v: true });
  try {
    const lines = await readLines(container);
    await vi.waitUntil(() => lines[0] === 'up', 10_000);
    const { Networks: networks } = (await container.inspect()).NetworkSettings;
    const settings = networks[network];
    if (settings === undefined) throw new Error(`The neighbour is not in network ${network}`);
    const { IPAddress: address, GlobalIPv6Address: address6, Gateway: gateway, IPPrefixLen: length } = settings;
    let fences = 0;
    const contacts = async () => {
      fences += 1;
      await visit(address, 54_000);
      await vi.waitUntil(() => lines.filter((line) => line === 'fence tcp').length === fences, 5000);
      return lines.slice(1).filter((line) => line !== 'fence tcp');
    };
    // It would remember who came, by all the ways that lead here from the host.
    const ways = [address, address6].filter((way) => way !== '');
    for (const way of ways) await visit(way, options.port);
    expect(await contacts()).toEqual(ways.map(() => 'tcp'));
    return {
      address,
      address6,
      gateway,
      broadcast: broadcastOf(address, length),
      contacts: async () => (await contacts()).slice(ways.length),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What a container prints, line by line, as long as it runs. */
async function readLines(container: Docker.Container): Promise<readonly string[]> {
  const lines: string[] = [];
  const log = await container.logs({ stdout: true, stderr: true, follow: true });
  const { stdout, stderr } = demux(log as Readable);
  for (const side of [stdout, stderr]) createInterface({ input: side }).on('line', (line) => lines.push(line));
  return lines;
}

async function visit(address: string, port: number): Promise<void> {
  await once(connect(port, address), 'close');
}

function broadcastOf(address: string, length: number): string {
  const number = Buffer.from(address.split('.').map(Number)).readUInt32BE();
  const last = Buffer.alloc(4);
  last.writeUInt32BE((number | (2 ** (32 - length) - 1)) >>> 0);
  return last.join('.');
}

/** The gate of a sandbox, as the engine knows it. */
export async function gateOf(sandboxId: string) {
  const { HostConfig: host } = await docker.getContainer(sandboxId).inspect();
  const id = host.NetworkMode?.replace(/^container:/, '') ?? '';
  return { id, status: () => readStatus(id) };
}

/** First word of each line of /proc/1/status in a container. */
async function readStatus(id: string): Promise<Record<string, string>> {
  const command = ['cat', '/proc/1/status'];
  const execution = await docker.getContainer(id).exec({ Cmd: command, AttachStdout: true });
  const { stdout, stderr } = demux(await execution.start({}));
  stderr.resume();
  const lines = (await text(stdout)).split('\n').map((line) => line.split(/[:\s]+/, 2));
  return Object.fromEntries(lines);
}
