import { expect } from 'vitest';
import type { Ended, Program } from './program.js';

/** Expects two runs of a program to be the same, but for what differs between any two. */
export function expectSame(program: Program, actual: Ended, expected: Ended): void {
  const { normalise = (output: string) => output } = program;
  const clean = ({ stdout, stderr, exitCode }: Ended) => {
    return { stdout: normalise(stdout), stderr: normalise(stderr), exitCode };
  };
  expect(clean(actual)).toEqual(clean(expected));
}
