import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** CPU seconds that all processes of this machine have used so far. */
export function machineCpuSeconds(): number {
  const fields = readFileSync('/proc/stat', 'utf8').split('\n')[0]?.trim().split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields;
  return (user + nice + system + irq + softirq) / 100;
}

/** Proportional set size of every sandbox that waits, in bytes, by its PID namespace. Needs root. */
export function sandboxPssBytes(): number[] {
  const sizes = new Map<string, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes('HOME=/work')) continue;
      const namespace = readlinkSync(`/proc/${pid}/ns/pid`);
      const pss = /^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
      sizes.set(namespace, (sizes.get(namespace) ?? 0) + Number(pss) * 1024);
    } catch {
      // The process has ended meanwhile.
    }
  }
  return [...sizes.values()];
}

/** The value below which the given share of the sorted samples lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}
