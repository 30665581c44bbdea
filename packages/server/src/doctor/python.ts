import { findHostPython } from '../sandbox/rootfs/python.js';
import { type Check, fail, ok, warn } from './check.js';
import { messageOf } from './probe.js';

export async function checkPython(hostPython: string): Promise<Check> {
  const name = 'oci python';
  try {
    const python = await findHostPython(hostPython);
    if (python !== undefined) return ok(name, `the host's Python ${python.version} at ${JSON.stringify(python.path)}`);
  } catch (error) {
    return fail(name, messageOf(error), 'mend PYEXEC_HOST_PYTHON, or leave it empty');
  }
  const remedy = 'apt-get install python3, or add an image: python-executor images add IMAGE';
  return warn(name, 'there is no Python 3.8 or later on this host, so that every program takes an image', remedy);
}
