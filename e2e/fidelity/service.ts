import { PythonExecutorClient, packArchive } from '@python-executor/client';
import { type Ended, filesOf, type Program } from './program.js';

/** Runs a program through the API of a service. */
export async function runByService(url: string, program: Program): Promise<Ended> {
  const client = new PythonExecutorClient({ baseUrl: url });
  const files = Object.entries(filesOf(program)).map(([name, content]) => {
    return { name, content, executable: program.executable?.includes(name) ?? false };
  });
  const { entrypoint, args, env, stdin } = program;
  const result = await client.executeSync({
    tar: await packArchive(files),
    metadata: {
      ...(entrypoint !== undefined && { entrypoint }),
      ...(args !== undefined && { script_args: [...args] }),
      ...(env !== undefined && { env_vars: [...env] }),
      ...(stdin !== undefined && { stdin }),
      config: { timeout_seconds: 30 },
    },
  });
  if (result.status !== 'completed') throw new Error(`"${program.name}" ${result.status}: ${result.error}`);
  return { stdout: result.stdout, stderr: result.stderr, exitCode: result.exit_code ?? -1 };
}
