"""The program of a gate: a container that only owns the network of one sandbox and confines it before that joins.

A gate is made from an image that the operator chose, so its interpreter can be trusted with the capability to change
the network. The sandbox, whose image anybody may have chosen, never has it.
"""

import os

from agent.network import confine_network
from agent.privileges import drop_privileges


def main(servers, *denied):
    """``servers``: addresses of name servers besides those in resolv.conf, separated by commas.

    ``denied``: IPv4 addresses or networks that are to be unreachable besides all that are not public.
    """
    confine_network(denied, servers.split(",") if servers else ())
    drop_privileges()
    # With the kernel's release the host tells whether the sandbox will be in this kernel's network too.
    os.write(1, ("confined %s\n" % os.uname().release).encode())
    # The host's end of the pipe closes when the sandbox is gone, or the host is.
    while os.read(0, 4096):
        pass
    os._exit(0)
