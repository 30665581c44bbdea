"""A filter for all that leaves a network namespace, in the kernel's nf_tables.

Routes alone confine only sockets that leave the way to the kernel. Any program may bind a socket to the interface, and
then the kernel takes what no route leads to for a neighbour; and broadcasts and multicasts ask for no route at all.
"""

import _socket

from agent.netlink import ACKNOWLEDGE, APPEND, CREATE, Netlink, attribute, nested, text, u32

NETLINK_NETFILTER = 12
SUBSYSTEM = 10
BATCH_BEGIN, BATCH_END = 16, 17
NEW_TABLE, NEW_CHAIN, NEW_RULE = (SUBSYSTEM << 8 | kind for kind in (0, 3, 6))
FAMILY_INET, FAMILY_IPV4 = 1, 2
HOOK_OUTPUT = 3
DROP, ACCEPT = 0, 1
EQUAL, UNEQUAL = 0, 1
META_INTERFACE, META_FAMILY, META_PROTOCOL = 5, 15, 16
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
DESTINATION = (NETWORK_HEADER, 16, 4)
DESTINATION_PORT = (TRANSPORT_HEADER, 2, 2)
VERDICT_REGISTER, REGISTER = 0, 1
LOOPBACK_INDEX = 1
PORT_DNS = 53

TABLE, CHAIN = "confinement", "output"


def filter_output(blocks, servers):
    """Lets out IPv4 alone, nothing to ``blocks``, each an address and a length, and DNS to ``servers`` all the same."""
    # What stays inside, whatever its address.
    rules = [_meta(META_INTERFACE) + _compare(u32(LOOPBACK_INDEX)) + _verdict(ACCEPT)]
    rules.append(_meta(META_FAMILY) + _compare(bytes((FAMILY_IPV4,)), UNEQUAL) + _verdict(DROP))
    for server in servers:
        for protocol in (_socket.IPPROTO_TCP, _socket.IPPROTO_UDP):
            rule = _payload(*DESTINATION) + _compare(server)
            rule += _meta(META_PROTOCOL) + _compare(bytes((protocol,)))
            rule += _payload(*DESTINATION_PORT) + _compare(PORT_DNS.to_bytes(2, "big"))
            rules.append(rule + _verdict(ACCEPT))
    for address, length in blocks:
        rules.append(_payload(*DESTINATION) + _mask(length) + _compare(address) + _verdict(DROP))
    _install(rules)


def _install(rules):
    """Everything or nothing: the kernel takes a batch as one."""
    hook = nested(4, attribute(1, _big(HOOK_OUTPUT)), attribute(2, _big(0)))
    messages = [
        (NEW_TABLE, CREATE, text(1, TABLE)),
        (NEW_CHAIN, CREATE, text(1, TABLE) + text(3, CHAIN) + hook + text(7, "filter")),
    ]
    for rule in rules:
        messages.append((NEW_RULE, CREATE | APPEND, text(1, TABLE) + text(2, CHAIN) + nested(4, rule)))
    subsystem = bytes((0, 0, 0, SUBSYSTEM))
    header = bytes((FAMILY_INET, 0, 0, 0))
    netlink = Netlink(NETLINK_NETFILTER)
    try:
        netlink.request(
            (BATCH_BEGIN, 0, subsystem),
            *((kind, flags | ACKNOWLEDGE, header + payload) for kind, flags, payload in messages),
            (BATCH_END, 0, subsystem),
        )
    finally:
        netlink.close()


# A rule is a row of expressions, of which each may end it. They hand values on in a register.


def _expression(name, *attributes):
    return nested(1, text(1, name), nested(2, *attributes))


def _meta(key):
    return _expression("meta", attribute(2, _big(key)), attribute(1, _big(REGISTER)))


def _payload(base, offset, size):
    numbers = (REGISTER, base, offset, size)
    return _expression("payload", *(attribute(kind, _big(value)) for kind, value in enumerate(numbers, 1)))


def _mask(length):
    mask = _big((1 << 32) - (1 << (32 - length)))
    numbers = (REGISTER, REGISTER, len(mask))
    head = [attribute(kind, _big(value)) for kind, value in enumerate(numbers, 1)]
    return _expression("bitwise", *head, nested(4, attribute(1, mask)), nested(5, attribute(1, bytes(4))))


def _compare(value, operator=EQUAL):
    head = attribute(1, _big(REGISTER)) + attribute(2, _big(operator))
    return _expression("cmp", head, nested(3, attribute(1, value)))


def _verdict(code):
    verdict = nested(2, attribute(1, _big(code)))
    return _expression("immediate", attribute(1, _big(VERDICT_REGISTER)), nested(2, verdict))


def _big(value):
    return value.to_bytes(4, "big")
