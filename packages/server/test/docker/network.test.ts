import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { bundleGate } from '../../dist/sandbox/agent/bundle.js';
import { docker, expectNothingLeft, image, never, openBackend, programSpec, runProbe } from './fixture.js';
import { type Neighbour, openNeighbour } from './neighbour.js';
import { openRelay } from './relay.js';

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const spec = { network: 'public' } as const;

/** What every way of talking to an address comes to, e.g. `EHOSTUNREACH` or `done`, or `slow` if that took its time. */
const prelude = `
import errno, json, os, socket, struct, sys, time

def attempt(action, *arguments):
    started = time.monotonic()
    try:
        action(*arguments)
        outcome = 'done'
    except socket.timeout:
        return 'timeout'
    except OSError as error:
        outcome = errno.errorcode.get(error.errno, str(error))
    return outcome if time.monotonic() - started < 0.5 else 'slow ' + outcome

def tcp(address, port, *options):
    with socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET) as connection:
        connection.settimeout(0.6)
        for option in options: connection.setsockopt(*option)
        connection.connect((address, port))

def udp(address, port, ancillary=(), source=None, options=()):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for option in options: sender.setsockopt(*option)
        if source is not None: sender.bind((source, 0))
        sender.sendmsg([b'from a sandbox'], ancillary, 0, (address, port))

interface = socket.if_nameindex()[-1]
bound = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface[1].encode())
`;

function ownAddress(): string {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal, address }) => family === 'IPv4' && !internal && !address.startsWith('172.'));
  return own?.address ?? '127.0.0.1';
}

describe('a sandbox with a network', () => {
  const host = ownAddress();
  const gate = { image, source: bundleGate(), deniedAddresses: [host] };
  let server: Server;
  let port: number;
  let neighbour: Neighbour;
  let contacts = 0;

  beforeAll(async () => {
    server = createServer((connection) => {
      contacts += 1;
      connection.destroy();
    });
    server.listen(0, '0.0.0.0');
    await once(server, 'listening');
    port = (server.address() as { port: number }).port;
    neighbour = await openNeighbour({ port });
  });

  afterAll(async () => {
    await neighbour.close();
    server.close();
  });

  test('is told at once that what is not public cannot be reached', async () => {
    const targets = [
      ...['10.0.0.1', '10.255.255.254', '172.16.0.1', '172.31.255.254', '192.168.0.1', '192.168.255.254'],
      ...['169.254.169.254', '100.64.0.1', '100.127.255.254', '198.18.0.1', '192.0.0.192', '240.0.0.1'],
      ...[neighbour.gateway, neighbour.address, host],
    ];
    const outcomes = await runProbe<Record<string, readonly string[]>>(
      `${prelude}
answers = {}
for address in ${JSON.stringify(targets)}:
    answers[address] = [attempt(tcp, address, ${port}), attempt(udp, address, ${port})]
print(json.dumps(answers))
`,
      { spec, backend: { gate } },
    );
    const unreachable = targets.map((address) => [address, ['EHOSTUNREACH', 'EHOSTUNREACH']]);
    expect(outcomes).toEqual(Object.fromEntries(unreachable));
    expect(contacts).toBe(0);
    expect(await neighbour.contacts()).toEqual([]);
  });

  // To each of these the kernel knows a way when no route leads there.
  test('reaches nobody by sockets bound to its interface, by broadcast and by multicast', async () => {
    const outcomes = await runProbe<Record<string, string>>(
      `${prelude}
own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
own.connect(('1.1.1.1', 53))
own = own.getsockname()[0]
information = [(socket.IPPROTO_IP, 8, struct.pack('i4s4s', interface[0], bytes(4), bytes(4)))]
unicast = (socket.IPPROTO_IP, 50, struct.pack('!I', interface[0]))
multicast = (socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack('4s4si', bytes(4), bytes(4), interface[0]))
answers = {}
for address in ${JSON.stringify([neighbour.address, neighbour.gateway, host])}:
    answers['tcp ' + address] = attempt(tcp, address, ${port}, bound)
for address in ${JSON.stringify([neighbour.address, neighbour.gateway, host, neighbour.broadcast, '255.255.255.255', '224.0.0.1', '239.1.1.1'])}:
    answers['plain ' + address] = attempt(udp, address, ${port})
    answers['bound ' + address] = attempt(udp, address, ${port}, (), None, [bound])
    answers['information ' + address] = attempt(udp, address, ${port}, information)
    answers['unicast ' + address] = attempt(udp, address, ${port}, (), None, [unicast])
    answers['multicast ' + address] = attempt(udp, address, ${port}, (), None, [multicast])
    answers['source ' + address] = attempt(udp, address, ${port}, (), own)
print(json.dumps(answers))
`,
      { spec, backend: { gate } },
    );
    for (const [way, outcome] of Object.entries(outcomes)) {
      expect([way, outcome]).toSatisfy(() => ['EPERM', 'EHOSTUNREACH', 'timeout'].includes(outcome));
    }
    expect(contacts).toBe(0);
    expect(await neighbour.contacts()).toEqual([]);
  });

  test('reaches its name servers on the port of DNS alone', async () => {
    const outcomes = await runProbe(
      `${prelude}
server = open('/etc/resolv.conf').read().split()[1]
print(json.dumps([server, attempt(tcp, server, 53), attempt(udp, server, 53), attempt(tcp, server, ${port})]))
`,
      { spec, backend: { gate, dnsServers: [neighbour.address] } },
    );
    expect(outcomes).toEqual([neighbour.address, 'done', 'done', 'EHOSTUNREACH']);
    await vi.waitFor(async () => expect(await neighbour.contacts()).toEqual(['dns tcp', 'dns udp']), 5000);
  });

  test('reaches public addresses', async () => {
    const outcome = await runProbe<string>(
      `${prelude}
try:
    address = socket.getaddrinfo('pypi.org', 443, socket.AF_INET)[0][4][0]
except OSError:
    address = '1.1.1.1'
print(json.dumps(attempt(tcp, address, 443)))
`,
      { spec, backend: { gate } },
    );
    expect(outcome).not.toMatch(/UNREACH|EPERM/);
  });

  test('has its name, its hosts and nothing of the host’s resolver but the servers', async () => {
    const answer = await runProbe<Record<string, string>>(
      `${prelude}
print(json.dumps({
    'name': socket.gethostname(), 'variable': os.environ['HOSTNAME'], 'file': open('/etc/hostname').read(),
    'interfaces': [name for _, name in socket.if_nameindex()],
    'hosts': open('/etc/hosts').read(), 'resolver': open('/etc/resolv.conf').read(), 'ipv6': open('/proc/net/if_inet6').read(),
    'writable': [attempt(open, '/etc/' + name, 'a') for name in ('hosts', 'hostname', 'resolv.conf')],
}))
`,
      { spec, backend: { gate, dnsServers: ['192.0.2.53'] } },
    );
    expect(answer).toMatchObject({
      name: 'sandbox',
      variable: 'sandbox',
      file: 'sandbox\n',
      interfaces: ['lo', 'eth0'],
      hosts: expect.stringMatching(/^127\.0\.0\.1\s+localhost\n(.+\n)*[\d.]+\s+sandbox\n$/),
      resolver: 'nameserver 192.0.2.53\n',
      ipv6: '',
    });
    for (const outcome of answer.writable ?? []) expect(outcome).not.toBe('done');
  });

  test('is user 1000 without a capability, as one without a network is', async () => {
    const status = await runProbe<Record<string, string>>(
      `
import json
lines = [line.split(':', 1) for line in open('/proc/self/status')]
print(json.dumps({key: value.strip() for key, value in lines}))
`,
      { spec },
    );
    const none = '0000000000000000';
    expect(status).toMatchObject({
      Uid: '1000\t1000\t1000\t1000',
      Gid: '1000\t1000\t1000\t1000',
      Groups: expect.stringMatching(/^(1000)?$/),
      ...{ CapInh: none, CapPrm: none, CapEff: none, CapBnd: none, CapAmb: none },
      ...{ NoNewPrivs: '1', Seccomp: '2' },
    });
  });
});

describe('the networks of an engine', () => {
  const name = `python-executor-test-${process.pid}`;
  let neighbour: Neighbour;

  beforeAll(async () => {
    await docker.createNetwork({
      Name: name,
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: '198.51.100.0/28' }, { Subnet: 'fd4a:9c1e:77d2::/64' }] },
    });
    neighbour = await openNeighbour({ port: 4000, network: name });
  });

  afterAll(async () => {
    await neighbour?.close();
    await docker.getNetwork(name).remove();
  });

  const source = () => `${prelude}
answers = [attempt(tcp, address, 4000) for address in ${JSON.stringify([neighbour.address, neighbour.address6])}]
answers.append(len(open('/proc/net/if_inet6').read().split('\\n')) > 2)
print(json.dumps(answers))
`;

  test('keep sandboxes from their neighbours at public addresses, and give them no IPv6', async () => {
    const [address, address6, hasIpv6] = await runProbe<readonly unknown[]>(source(), {
      spec,
      backend: { networkMode: name },
    });
    expect(address).toBe('EHOSTUNREACH');
    expect(address6).toMatch(/^(EADDRNOTAVAIL|ENETUNREACH)$/);
    expect(hasIpv6).toBe(false);
    expect(await neighbour.contacts()).toEqual([]);
  });

  test('ask the name servers that are named, for those inside, and no other', async () => {
    const query = `${prelude}
resolver = ('127.0.0.11', 53)
question = b'\\0\\1\\1\\0\\0\\1' + bytes(6) + b'\\7example\\3com\\0' + b'\\0\\1\\0\\1'
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(question, resolver)
os.read(0, 1)
`;
    const backend = openBackend({ agentSource: query, networkMode: name, dnsServers: [neighbour.address] });
    const sandbox = await backend.create({ ...programSpec, ...spec }, never());
    await vi.waitFor(async () => expect(await neighbour.contacts()).toContain('dns udp'), 10_000);
    await sandbox.destroy();
    await expectNothingLeft(backend);
    await backend.close();
  });

  test('let no IPv6 out where the engine cannot switch it off', async () => {
    const relay = await openRelay();
    const refusal = 'open /proc/sys/net/ipv6/conf/all/disable_ipv6: no such file or directory';
    let refused = false;
    relay.onRequest = (line) => {
      if (refused || !line.includes('/start')) return undefined;
      refused = true;
      return refusal;
    };
    const [address, address6, hasIpv6] = await runProbe<readonly unknown[]>(source(), {
      spec,
      backend: { networkMode: name, socket: relay.socket },
    });
    await relay.close();
    expect(address).toBe('EHOSTUNREACH');
    expect(address6).toMatch(/^(timeout|EPERM)$/);
    expect(hasIpv6).toBe(true);
    expect(await neighbour.contacts()).not.toContain('tcp');
  });
});
