/** What an engine can do; assumed until it refuses. */
export interface Abilities {
  /** Limit writable layers. */
  quotas: boolean;
  /** Switch IPv6 off. */
  ipv6Switch: boolean;
}

/** The setting that leaves a network without IPv6, where the engine can make it. */
export function switchIpv6Off({ ipv6Switch }: Abilities): Readonly<Record<string, string>> {
  return ipv6Switch ? { 'net.ipv6.conf.all.disable_ipv6': '1' } : {};
}
