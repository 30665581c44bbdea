import { execFileSync } from 'node:child_process';

/** The oldest engine that is supported speaks this version; a newer client must be told. */
export const engineEnvironment = { ...process.env, DOCKER_API_VERSION: process.env.DOCKER_API_VERSION ?? '1.41' };

export const engineImage = 'python:3.11-slim';

/** Runs `docker` and returns the lines that it prints. */
export function dockerLines(...parameters: readonly string[]): string[] {
  const text = execFileSync('docker', parameters, { encoding: 'utf8', stdio: 'pipe', env: engineEnvironment });
  return text.split('\n').filter((line) => line !== '');
}

/** Whether an engine answers that has the image. */
export function dockerWorks(): boolean {
  try {
    dockerLines('image', 'inspect', '--format', '{{.Id}}', engineImage);
    return true;
  } catch {
    return false;
  }
}

/** Ids of the containers that an engine has for the service with this owner id. */
export function containersOf(ownerId: string): readonly string[] {
  return dockerLines('ps', '--all', '--quiet', '--no-trunc', '--filter', `label=python-executor.owner=${ownerId}`);
}
