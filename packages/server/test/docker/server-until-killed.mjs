// Makes a sandbox with a network, says whose, and waits for its own end.
import { randomUUID } from 'node:crypto';
import { bundleAgent, bundleGate } from '../../dist/sandbox/agent/bundle.js';
import { agentArguments } from '../../dist/sandbox/agent/command.js';
import { createDockerBackend } from '../../dist/sandbox/docker/backend.js';

const ownerId = randomUUID();
const image = 'python:3.11-slim';
const mebibyte = 1024 * 1024;
const backend = createDockerBackend({
  socket: '/var/run/docker.sock',
  agentSource: bundleAgent(),
  agentArguments,
  gate: { image, source: bundleGate(), deniedAddresses: [] },
  instanceId: randomUUID(),
  ownerId,
  pullTimeoutMs: 10_000,
  processesMax: 64,
  inodesMax: 1000,
  openFilesMax: 256,
  runtime: '',
  networkMode: 'bridge',
  dnsServers: [],
});
const limits = { memoryBytes: 256 * mebibyte, diskBytes: 64 * mebibyte, cpuShares: 1024 };
const spec = { image, ...limits, network: 'public', privilege: 'program' };
const { stdout } = await backend.create(spec, { signal: new AbortController().signal });
// The first thing that an agent says is that it is ready.
stdout.once('data', () => process.stdout.write(ownerId));
setInterval(() => {}, 60_000);
