// Receives the archive that comes on stdin and says how that went: node receiver.mjs SPOOL_DIR
import { readdirSync } from 'node:fs';
import { receiveArchive } from '../../dist/archive/receive.js';

const spoolDir = process.argv[2];
const before = process.memoryUsage.rss();
let peak = before;
setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss());
}, 2).unref();

const options = {
  entriesMax: 10_000,
  depthMax: 100,
  componentBytesMax: 255,
  bytesMax: 200 * 1024 * 1024,
  memoryBytesMax: 256 * 1024,
  spoolDir,
};
const outcome = await receiveArchive(process.stdin, options).then(
  async (archive) => {
    await archive.dispose();
    return { files: archive.files.length, sizeBytes: archive.sizeBytes };
  },
  ({ code, message }) => ({ code, message }),
);
const growthBytes = Math.max(peak, process.memoryUsage.rss()) - before;
process.stdout.write(JSON.stringify({ ...outcome, growthBytes, left: readdirSync(spoolDir) }), () => process.exit());
