"""Confining a sandbox with a network to public addresses, from inside its own network namespace.

The namespace belongs to this one sandbox. Before the job is read, the agent removes the route to the neighbours,
makes the gateway the only way out and every address that is not public unreachable, then gives up the capability to
change that. It needs no rule on the host, so it works against a remote engine and below any firewall.
"""

import sys

import _socket

from agent.privileges import CAP_NET_ADMIN, give_up

AF_NETLINK = 16
AF_INET, AF_INET6 = 2, 10
NLM_REQUEST_ACK = 0x1 | 0x4
NLM_CREATE_REPLACE = 0x400 | 0x100
NLMSG_ERROR = 2
RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWRULE = 24, 25, 28, 32
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
FRA_DST, FRA_PRIORITY, FRA_TABLE, FRA_OIFNAME, FRA_IP_PROTO, FRA_DPORT_RANGE = 1, 6, 15, 17, 22, 24
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80
RTN_UNICAST, RTN_UNREACHABLE = 1, 7
ACTION_TO_TABLE, ACTION_UNREACHABLE = 1, 7
RTNH_F_ONLINK = 4
SCOPE_UNIVERSE, SCOPE_LINK = 0, 253
PROTOCOL_ANY, PROTOCOL_STATIC = 0, 4
TABLE_MAIN, TABLE_LOCAL, TABLE_DNS, TABLE_NOWHERE = 254, 255, 53, 54

# A next hop that no network has (RFC 7600), and a hardware address that no interface has.
NOBODY = bytes((192, 0, 0, 8))
NO_HARDWARE = bytes((2, 0, 0, 0, 0, 0))
BROADCAST = b"\xff\xff\xff\xff"

# What RFC 6890 and its successors set apart, as far as it is unicast and not documentation.
NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)


def confine_network(denied):
    """Leaves public IPv4 addresses reachable, but none of ``denied`` ("address" or "address/length")."""
    gateway, interface, links = _read_routes()
    netlink = _Netlink()
    try:
        _add_default(netlink, gateway, interface, TABLE_MAIN)
        for destination, length in links:
            header = _route(length, TABLE_MAIN, SCOPE_LINK, RTN_UNICAST, protocol=PROTOCOL_ANY)
            netlink.request(
                RTM_DELROUTE, 0, header + _attribute(RTA_DST, destination) + _attribute(RTA_OIF, _u32(interface))
            )
        for block in NOT_PUBLIC + tuple(denied):
            address, _, length = block.partition("/")
            header = _route(int(length or 32), TABLE_MAIN, SCOPE_UNIVERSE, RTN_UNREACHABLE)
            netlink.request(
                RTM_NEWROUTE, NLM_CREATE_REPLACE, header + _attribute(RTA_DST, _socket.inet_aton(address))
            )
        _allow_dns(netlink, gateway, interface)
        _close_links(netlink, interface, links)
        _close_ipv6(netlink)
    finally:
        netlink.close()
    # Nor may pre_commands, which run as root, undo it.
    give_up(CAP_NET_ADMIN)


def _allow_dns(netlink, gateway, interface):
    """Lets the name servers of the sandbox be reached, on the port of DNS alone, wherever they are."""
    _add_default(netlink, gateway, interface, TABLE_DNS)
    for server in _name_servers():
        for protocol in (6, 17):
            header = bytes((AF_INET, 32, 0, 0, TABLE_DNS, 0, 0, ACTION_TO_TABLE)) + _u32(0)
            netlink.request(
                RTM_NEWRULE,
                NLM_CREATE_REPLACE,
                header
                + _attribute(FRA_DST, server)
                + _attribute(FRA_PRIORITY, _u32(100))
                + _attribute(FRA_TABLE, _u32(TABLE_DNS))
                + _attribute(FRA_IP_PROTO, bytes((protocol,)))
                + _attribute(FRA_DPORT_RANGE, (53).to_bytes(2, sys.byteorder) * 2),
            )


def _close_links(netlink, interface, links):
    """Lets nothing out to the neighbours by other ways than routes.

    A socket that is bound to an interface, as any program may do, takes an unreachable address for one on link. So
    what is bound finds a route, to nowhere; and broadcasts go to nobody.
    """
    _add_default(netlink, NOBODY, interface, TABLE_NOWHERE)
    header = bytes((AF_INET, 0, 0, 0, TABLE_NOWHERE, 0, 0, ACTION_TO_TABLE)) + _u32(0)
    name = _socket.if_indextoname(interface).encode() + b"\0"
    priority = _attribute(FRA_PRIORITY, _u32(50))
    netlink.request(RTM_NEWRULE, NLM_CREATE_REPLACE, header + priority + _attribute(FRA_OIFNAME, name))
    ends = [_u32_big(int.from_bytes(link, "big") | (1 << (32 - length)) - 1) for link, length in links]
    for address in (NOBODY, BROADCAST, *ends):
        header = bytes((AF_INET, 0, 0, 0)) + _u32(interface) + _u16(NUD_PERMANENT) + bytes(2)
        pair = _attribute(NDA_DST, address) + _attribute(NDA_LLADDR, NO_HARDWARE)
        netlink.request(RTM_NEWNEIGH, NLM_CREATE_REPLACE, header + pair)


def _close_ipv6(netlink):
    """Makes every IPv6 address but the sandbox's own unreachable, where its network has IPv6 at all."""
    interfaces = _ipv6_interfaces()
    if interfaces:
        header = bytes((AF_INET6, 0, 0, 0, 0, 0, 0, ACTION_UNREACHABLE)) + _u32(0)
        netlink.request(RTM_NEWRULE, NLM_CREATE_REPLACE, header + _attribute(FRA_PRIORITY, _u32(1)))
    for interface in interfaces:
        # Multicast is the one thing that the table of local addresses, which comes before any rule, lets out.
        header = bytes((AF_INET6, 8, 0, 0, TABLE_LOCAL, 0, SCOPE_UNIVERSE, 0)) + _u32(0)
        multicast = _attribute(RTA_DST, b"\xff" + bytes(15)) + _attribute(RTA_OIF, _u32(interface))
        netlink.request(RTM_DELROUTE, 0, header + multicast)


def _ipv6_interfaces():
    """Indexes of the interfaces that have an IPv6 address, but for the loopback."""
    try:
        with open("/proc/net/if_inet6") as addresses:
            return {int(words[1], 16) for words in map(str.split, addresses) if words[5] != "lo"}
    except FileNotFoundError:
        return set()


def _add_default(netlink, gateway, interface, table):
    # "On link": the gateway stays reachable as a next hop when the route to its network is gone.
    header = _route(0, table, SCOPE_UNIVERSE, RTN_UNICAST, RTNH_F_ONLINK)
    attributes = _attribute(RTA_GATEWAY, gateway) + _attribute(RTA_OIF, _u32(interface))
    netlink.request(RTM_NEWROUTE, NLM_CREATE_REPLACE, header + attributes)


def _read_routes():
    """(gateway, interface index, [(destination, prefix length) of the networks on link])."""
    gateway = interface = None
    links = []
    with open("/proc/net/route") as table:
        next(table)
        for line in table:
            name, destination, through, flags, _, _, _, mask = line.split()[:8]
            if int(destination, 16) == 0 and int(flags, 16) & 2:
                gateway = int(through, 16).to_bytes(4, sys.byteorder)
                interface = _socket.if_nametoindex(name)
            elif not int(flags, 16) & 2:
                links.append((int(destination, 16).to_bytes(4, sys.byteorder), bin(int(mask, 16)).count("1")))
    if gateway is None:
        raise RuntimeError("the sandbox's network has no default route")
    return gateway, interface, links


def _name_servers():
    with open("/etc/resolv.conf") as lines:
        words = [line.split() for line in lines]
    addresses = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and ":" not in word[1]]
    return [_socket.inet_aton(address) for address in addresses if not address.startswith("127.")]


class _Netlink:
    def __init__(self):
        self.socket = _socket.socket(AF_NETLINK, _socket.SOCK_RAW, 0)
        self.sequence = 0

    def request(self, kind, flags, payload):
        self.sequence += 1
        size = 16 + len(payload)
        header = _u32(size) + _u16(kind) + _u16(NLM_REQUEST_ACK | flags) + _u32(self.sequence) + _u32(0)
        self.socket.send(header + payload)
        answer = self.socket.recv(65536)
        code = int.from_bytes(answer[16:20], sys.byteorder, signed=True)
        if int.from_bytes(answer[4:6], sys.byteorder) != NLMSG_ERROR or code:
            raise OSError(-code, "netlink request %d failed" % kind)

    def close(self):
        self.socket.close()


def _route(length, table, scope, kind, flags=0, protocol=PROTOCOL_STATIC):
    return bytes((AF_INET, length, 0, 0, table, protocol, scope, kind)) + _u32(flags)


def _attribute(kind, value):
    return _u16(4 + len(value)) + _u16(kind) + value + bytes(-len(value) % 4)


def _u16(value):
    return value.to_bytes(2, sys.byteorder)


def _u32_big(value):
    return value.to_bytes(4, "big")


def _u32(value):
    return value.to_bytes(4, sys.byteorder)
