// Makes sandboxes that run for good, says which, and waits to be killed.
import { createOciBackend } from '../../dist/sandbox/oci/backend.js';

const options = JSON.parse(process.argv[2]);
const backend = createOciBackend(options);
const signal = new AbortController().signal;
const ids = [];
for (const privilege of ['program', 'setup']) {
  const sandbox = await backend.create({ ...options.spec, privilege }, { signal });
  await new Promise((resolve) => sandbox.stdout.once('data', resolve));
  ids.push(sandbox.id);
}
console.log(JSON.stringify(ids));
setInterval(() => {}, 1000);
