import type { Program } from '../program.js';
import { endings } from './endings.js';
import { entrypoints } from './entrypoints.js';
import { imports } from './imports.js';
import { processes } from './processes.js';
import { start } from './start.js';
import { streams } from './streams.js';
import { tracebacks } from './tracebacks.js';
import { variables } from './variables.js';

/** By what they look at. */
export const programs: Readonly<Record<string, readonly Program[]>> = {
  start,
  tracebacks,
  endings,
  streams,
  imports,
  entrypoints,
  processes,
  variables,
};
