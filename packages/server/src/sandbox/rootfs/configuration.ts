import { hostName } from '../containment.js';

/** Files of /etc that tell of the machine: what engines write for a container without a network. */
export const machineFiles: Readonly<Record<string, string>> = {
  hostname: `${hostName}\n`,
  hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t${hostName}\n`,
  // Nobody is there, so that a question is refused at once.
  'resolv.conf': 'nameserver 127.0.0.1\n',
};
