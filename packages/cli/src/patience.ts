const everyMs = 10_000;

/**
 * Calls `onSlow` now and then, with the seconds that have passed, for work that says nothing itself.
 *
 * @returns what ends it
 */
export function reportPatience(onSlow: (seconds: number) => void): () => void {
  const beganMs = performance.now();
  const timer = setInterval(() => onSlow(Math.round((performance.now() - beganMs) / 1000)), everyMs);
  return () => clearInterval(timer);
}
