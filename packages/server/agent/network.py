"""Confining a network namespace to public addresses, from inside.

It needs no rule on the host, so it works against a remote engine and below any firewall. The filter is what confines;
the routes are there so that a connection to what it would drop fails at once. They are for TCP and UDP alone: for all
else the table of the engine stays, by which the kernel also decides whose packets and questions to answer.
"""

import sys

import _socket

from agent.firewall import PORT_DNS, filter_output
from agent.netlink import ACKNOWLEDGE, CREATE, REPLACE, Netlink, attribute, u32

NETLINK_ROUTE = 0
AF_INET = 2
RTM_NEWROUTE, RTM_NEWRULE = 24, 32
RTA_DST, RTA_OIF, RTA_GATEWAY = 1, 4, 5
FRA_DST, FRA_PRIORITY, FRA_TABLE, FRA_IP_PROTO, FRA_DPORT_RANGE = 1, 6, 15, 22, 24
RTN_UNICAST, RTN_UNREACHABLE = 1, 7
ACTION_TO_TABLE = 1
PROTOCOL_STATIC = 4
TABLE_MAIN, TABLE_CONFINED = 254, 53
# Rules are asked in this order, and after that of the kernel's own addresses.
PRIORITY_DNS, PRIORITY_CONFINED = 100, 101
PROTOCOLS = (_socket.IPPROTO_TCP, _socket.IPPROTO_UDP)

# What RFC 6890 and its successors set apart, but for documentation.
NOT_PUBLIC = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)


def confine_network(denied, servers):
    """Leaves public IPv4 addresses reachable, but none of ``denied`` ("address" or "address/length").

    Name servers, those in resolv.conf and ``servers``, are reachable on the port of DNS alone, wherever they are.
    """
    gateway, interface, links = _read_routes()
    blocks = [_parse(block) for block in (*NOT_PUBLIC, *denied)] + links
    servers = _name_servers() + [_socket.inet_aton(server) for server in servers]
    filter_output(blocks, servers)
    netlink = Netlink(NETLINK_ROUTE)
    try:
        way_out = attribute(RTA_GATEWAY, gateway) + attribute(RTA_OIF, u32(interface))
        netlink.request(
            _route(0, RTN_UNICAST, way_out),
            *(_route(length, RTN_UNREACHABLE, attribute(RTA_DST, address)) for address, length in blocks),
            *(_dns_rule(server, protocol) for server in servers for protocol in PROTOCOLS),
            *(_rule(0, PRIORITY_CONFINED, TABLE_CONFINED, protocol) for protocol in PROTOCOLS),
        )
    finally:
        netlink.close()


def _route(length, kind, attributes):
    header = bytes((AF_INET, length, 0, 0, TABLE_CONFINED, PROTOCOL_STATIC, 0, kind)) + u32(0)
    return RTM_NEWROUTE, CREATE | REPLACE | ACKNOWLEDGE, header + attributes


def _dns_rule(server, protocol):
    ports = attribute(FRA_DPORT_RANGE, PORT_DNS.to_bytes(2, sys.byteorder) * 2)
    return _rule(32, PRIORITY_DNS, TABLE_MAIN, protocol, attribute(FRA_DST, server) + ports)


def _rule(length, priority, table, protocol, attributes=b""):
    header = bytes((AF_INET, length, 0, 0, table, 0, 0, ACTION_TO_TABLE)) + u32(0)
    attributes += attribute(FRA_PRIORITY, u32(priority)) + attribute(FRA_TABLE, u32(table))
    attributes += attribute(FRA_IP_PROTO, bytes((protocol,)))
    return RTM_NEWRULE, CREATE | REPLACE | ACKNOWLEDGE, header + attributes


def _parse(block):
    """The first address of a block and the length of its prefix."""
    address, _, length = block.partition("/")
    length = int(length or 32)
    mask = (1 << 32) - (1 << (32 - length))
    return (int.from_bytes(_socket.inet_aton(address), "big") & mask).to_bytes(4, "big"), length


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
        raise RuntimeError("the network has no default route")
    return gateway, interface, links


def _name_servers():
    with open("/etc/resolv.conf") as lines:
        words = [line.split() for line in lines]
    addresses = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and ":" not in word[1]]
    return [_socket.inet_aton(address) for address in addresses if not address.startswith("127.")]
