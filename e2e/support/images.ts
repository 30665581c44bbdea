import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { executable } from './service.js';

const image = 'python:3.11-slim';

/**
 * Global setup of the tests that run on an unpacked image: adds the engine's image of that name to a directory that every
 * service of the tests then has as its own.
 */
export default function addImage(): () => void {
  const dataDir = mkdtempSync(join(tmpdir(), 'pyexec-images-'));
  const remove = (): void => rmSync(dataDir, { recursive: true, force: true });
  try {
    const saved = join(dataDir, 'saved.tar');
    const engine = { ...process.env, DOCKER_API_VERSION: process.env.DOCKER_API_VERSION ?? '1.41' };
    execFileSync('docker', ['save', '--output', saved, image], { env: engine, stdio: 'inherit' });
    const env = { ...process.env, PYEXEC_DATA_DIR: dataDir };
    execFileSync(process.execPath, [executable, 'images', 'add', image, '--from', saved], { env, stdio: 'inherit' });
    rmSync(saved);
  } catch (error) {
    remove();
    throw error;
  }
  process.env.PYEXEC_TEST_IMAGES = join(dataDir, 'images');
  return remove;
}
