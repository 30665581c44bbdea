import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { kill, read, run, submit } from '../support/api.js';
import { docker } from '../support/engine.js';
import { serviceForFile } from '../support/file-service.js';
import { testBackend } from '../support/service.js';

// Listens where sandboxes could find it.
const service = serviceForFile({ env: { PYEXEC_HOST: '0.0.0.0' } });
const image = 'python:3.11-slim';
const online = { config: { network_disabled: false, timeout_seconds: 60 } };

/** A multicast group of the link, for which no router is needed. */
const group = '224.0.0.199';

/** What the host hears on every address that it has. */
class Host {
  readonly heard: string[] = [];
  #tcp: Server | undefined;
  #udp: Socket | undefined;
  port = 0;

  get addresses(): readonly string[] {
    return Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal)
      .map(({ address }) => address);
  }

  /** @param gateway the address that sandboxes would reach it by */
  async listen(gateway: string): Promise<void> {
    this.#tcp = createServer((socket) => {
      this.heard.push(`TCP from ${socket.remoteAddress}`);
      socket.destroy();
    }).listen(0, '0.0.0.0');
    await once(this.#tcp, 'listening');
    this.port = (this.#tcp.address() as AddressInfo).port;
    this.#udp = createSocket('udp4', (message) => void this.heard.push(`UDP ${message}`)).bind(this.port, '0.0.0.0');
    await once(this.#udp, 'listening');
    this.#udp.addMembership(group, gateway);
  }

  close(): void {
    this.#tcp?.close();
    this.#udp?.close();
  }
}

const host = new Host();
let gateway = '';

beforeAll(async () => {
  gateway = (await docker('run', '--rm', image, 'python3', '-c', findGateway)).trim();
  await host.listen(gateway);
});
afterAll(() => host.close());

/** The address by which the engine's host is reached from a container. */
const findGateway = `
import socket
words = next(line.split() for line in open("/proc/net/route") if line.split()[1] == "00000000")
print(socket.inet_ntoa(int(words[2], 16).to_bytes(4, "little")))`;

/** Tries every way that a program has to say something to an address, and prints those that came through. */
const knock = `
import socket, struct, sys, threading
interface = next(name for _, name in socket.if_nameindex() if name != "lo")
index = socket.if_nametoindex(interface)
said = []
def tcp(address, port, bound):
    with socket.socket() as s:
        s.settimeout(1.5)
        if bound: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        try:
            s.connect((address, port))
            said.append("%s:%d bound=%s" % (address, port, bound))
        except OSError: pass
def udp(address, port):
    message = ("to %s" % address).encode()
    def attempt(options=(), ancillary=(), flags=0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                for option in options: s.setsockopt(*option)
                s.sendmsg([message], ancillary, flags, (address, port))
            except OSError: pass
    broadcast = (socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    device = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    unicast = (socket.IPPROTO_IP, 50, struct.pack("!I", index))
    attempt()
    attempt([broadcast])
    attempt([broadcast, device])
    attempt([broadcast, unicast])
    attempt([broadcast], [(socket.IPPROTO_IP, socket.IP_PKTINFO if hasattr(socket, "IP_PKTINFO") else 8, struct.pack("I4s4s", index, bytes(4), bytes(4)))])
    attempt([broadcast, (socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)], (), socket.MSG_DONTROUTE)
def all_of(address, port):
    tcp(address, port, False)
    tcp(address, port, True)
    udp(address, port)
threads = [threading.Thread(target=all_of, args=(word.split(":")[0], int(word.split(":")[1]))) for word in sys.argv[1:]]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(said))
`;

/** Where routes lead, without a packet: a datagram socket that connects only looks. */
const look = `
import json, socket, sys
seen = {}
for word in sys.argv[1:]:
    address, port = word.rsplit(":", 1)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect((address, int(port)))
            seen[word] = "reachable"
        except OSError as error: seen[word] = error.strerror
print(json.dumps(seen))
`;

async function lookAt(targets: readonly string[], metadata: object = {}): Promise<Record<string, string>> {
  const result = await run(service, look, { ...online, script_args: targets, ...metadata });
  expect(result.stderr).toBe('');
  return JSON.parse(result.stdout);
}

describe.skipIf(testBackend !== 'docker')('26: with a network', () => {
  test('public addresses are reachable, and no others', async () => {
    const publicOnes = ['1.1.1.1:80', '8.8.8.8:443', '93.184.216.34:80'];
    const others = [
      ...['10.0.0.1', '10.255.255.254', '172.16.0.1', '172.31.255.254', '192.168.0.1', '192.168.255.254'],
      ...['169.254.169.254', '169.254.170.2', '100.64.0.1', '100.100.100.200', '0.0.0.1', '198.18.0.1', '192.0.0.8'],
      ...['224.0.0.251', '255.255.255.255', '240.0.0.1', gateway, ...host.addresses],
    ].flatMap((address) => [`${address}:80`, `${address}:${host.port}`]);
    const seen = await lookAt([...publicOnes, ...others]);
    const reachable = Object.keys(seen).filter((target) => seen[target] === 'reachable');
    expect(reachable).toEqual(publicOnes);
  });

  test('IPv6 is closed, whether the engine gives it or not', async () => {
    const seen = await lookAt([
      'fd00::1:80',
      'fe80::1:80',
      '2606:4700:4700::1111:80',
      'ff02::1:80',
      '::ffff:10.0.0.1:80',
    ]);
    expect(Object.values(seen)).not.toContain('reachable');
  });

  test('the name servers are reachable on their port alone', async () => {
    const { stdout } = await run(service, 'print(open("/etc/resolv.conf").read())', online);
    const servers = [...stdout.matchAll(/^nameserver\s+([\d.]+)$/gm)].map(([, address]) => address as string);
    const seen = await lookAt(servers.flatMap((server) => [`${server}:53`, `${server}:54`]));
    for (const server of servers) {
      expect(seen[`${server}:53`]).toBe('reachable');
      if (/^(10|172\.(1[6-9]|2\d|3[01])|192\.168)\./.test(server)) expect(seen[`${server}:54`]).not.toBe('reachable');
    }
  });

  test('neither the host nor the service can be told anything, by whatever way', async () => {
    const { port } = new URL(service.url);
    const addresses = [...new Set([gateway, ...host.addresses])];
    const targets = [...addresses, group, '255.255.255.255', gateway.replace(/\.\d+\.\d+$/, '.255.255'), '0.0.0.0'];
    const script_args = [
      ...targets.map((address) => `${address}:${host.port}`),
      ...addresses.map((address) => `${address}:${port}`),
    ];
    const result = await run(service, knock, { ...online, script_args });
    expect(result).toMatchObject({ status: 'completed', stdout: '[]\n', stderr: '' });
    expect(host.heard).toEqual([]);
    // An ordinary container can, so the host did listen.
    const reachable = [gateway, group, '255.255.255.255'];
    await docker(
      'run',
      '--rm',
      image,
      'python3',
      '-c',
      knock,
      ...reachable.map((address) => `${address}:${host.port}`),
    );
    const messages = reachable.map((address) => `UDP to ${address}`);
    expect(host.heard).toEqual(expect.arrayContaining([expect.stringMatching(/^TCP/), ...messages]));
  });

  test('a neighbour can be told nothing', async () => {
    const neighbour = `
import select, socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("1.1.1.1", 80))
    print(s.getsockname()[0], flush=True)
tcp = socket.create_server(("0.0.0.0", 4321))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", 4321))
udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("${group}") + bytes(4))
while True:
    ready, _, _ = select.select([tcp, udp], [], [])
    print("heard", ready[0].recv(100) if ready[0] is udp else ready[0].accept()[1], flush=True)`;
    const id = await submit(service, neighbour, online);
    const address = await vi.waitFor(
      async () => {
        const { stdout } = await read(service, id);
        expect(stdout).toMatch(/^\d+\.\d+\.\d+\.\d+\n/);
        return stdout.trim();
      },
      { timeout: 10_000, interval: 100 },
    );
    const broadcast = gateway.replace(/\.\d+\.\d+$/, '.255.255');
    const script_args = [address, broadcast, group, '255.255.255.255'].map((target) => `${target}:4321`);
    expect((await run(service, knock, { ...online, script_args })).stdout).toBe('[]\n');
    expect((await read(service, id)).stdout).toBe(`${address}\n`);
    expect(await kill(service, id)).toBe('killed');
  });

  test('that is closed cannot be opened again, not even by root in a pre_command', async () => {
    const open = `
import socket
def u16(value): return value.to_bytes(2, "little")
def u32(value): return value.to_bytes(4, "little")
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
for kind, payload in (
    (25, bytes((2, 8, 0, 0, 254, 0, 0, 0)) + u32(0) + u16(8) + u16(1) + bytes((10, 0, 0, 0))),
    (33, bytes((2, 0, 0, 0, 54, 0, 0, 1)) + u32(0)),
    (29, bytes((2, 0, 0, 0)) + u32(2) + bytes(4)),
):
    message = u32(16 + len(payload)) + u16(kind) + u16(5) + u32(1) + u32(0) + payload
    s.send(message)
    print(int.from_bytes(s.recv(4096)[16:20], "little", signed=True))`;
    const files = { 'main.py': open };
    const program = await run(service, files, online);
    expect(program.stdout).toBe('-1\n-1\n-1\n');
    const root = await run(
      service,
      { 'main.py': 'pass', 'open.py': open },
      { ...online, pre_commands: ['id -u; python3 open.py; grep CapBnd /proc/self/status'] },
    );
    const [user, ...codes] = root.stdout.trim().split('\n');
    const bounding = BigInt(`0x${codes.pop()?.split(/\s+/)[1]}`);
    expect([user, ...codes]).toEqual(['0', '-1', '-1', '-1']);
    const netAdmin = 1n << 12n;
    const netRaw = 1n << 13n;
    const sysAdmin = 1n << 21n;
    expect(bounding & (netAdmin | netRaw | sysAdmin)).toBe(0n);
  });

  test('is the same for a program after pre_commands', async () => {
    const seen = await lookAt(['1.1.1.1:80', '10.0.0.1:80', `${gateway}:${host.port}`], { pre_commands: ['true'] });
    expect(Object.values(seen)).toEqual(['reachable', 'No route to host', 'No route to host']);
  });
});
