import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/api.js';
import { docker } from '../support/engine.js';
import { serviceForFile } from '../support/file-service.js';
import { testBackend } from '../support/service.js';

const isDocker = testBackend === 'docker';
const network = `pyexec-e2e-${randomUUID().slice(0, 8)}`;

// Before the service starts, and removed after it has stopped: hooks run in this order and in the reverse of it.
beforeAll(async () => {
  if (isDocker) await docker('network', 'create', '--ipv6', '--subnet', 'fd6e:7079:6578::/64', network);
});
afterAll(async () => {
  if (isDocker) await docker('network', 'rm', network);
});

const service = serviceForFile({ env: { PYEXEC_NETWORK_MODE: network } });

describe.skipIf(!isDocker)('26: with a network that has IPv6', () => {
  const program = `
import socket
interface = next(name for _, name in socket.if_nameindex() if name != "lo")
for address in ("fd6e:7079:6578::1", "fd00::1", "fe80::1%" + interface, "ff02::1%" + interface, "2606:4700:4700::1111"):
    target = socket.getaddrinfo(address, 80, type=socket.SOCK_DGRAM)[0][4]
    for bound in (False, True):
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            if bound: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            try:
                s.sendto(b"x", target)
                print("sent to", target[0])
            except OSError as error: pass
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.connect(("1.1.1.1", 80))
print("end")`;

  test('no IPv6 address is reachable, and public IPv4 is', async () => {
    const result = await run(service, program, { config: { network_disabled: false } });
    expect([result.stdout, result.stderr]).toEqual(['end\n', '']);
    // An ordinary container gets through, so there was something to close.
    const open = await docker('run', '--rm', '--network', network, 'python:3.11-slim', 'python3', '-c', program);
    expect(open).toContain('sent to fd6e:7079:6578::1\n');
  });
});
