"""Shows directories of the host in another place, read-only and with other owners.

Usage: python3 show.py FIRST_ID COUNT SOURCE TARGET [SOURCE TARGET ...]

Each SOURCE appears at TARGET, with what is mounted below it. What belongs to user n there belongs to FIRST_ID + n, for n
below COUNT: in a user namespace that begins at FIRST_ID everything has the owner that it has on the host. The mount
command can do this since util-linux 2.39, which many machines do not have yet. Takes effect in the mount namespace of
whoever calls it.
"""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 1
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_IDMAP = 0x100000

# The same on every architecture.
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_MOUNT_SETATTR = 442

LIBC = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    _fields_ = [
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("user_namespace", ctypes.c_uint64),
    ]


def main(first_id, count, *places):
    namespace = make_user_namespace(int(first_id), int(count))
    for source, target in zip(places[::2], places[1::2]):
        show(source, target, namespace)


def show(source, target, namespace):
    flags = OPEN_TREE_CLONE | AT_RECURSIVE | os.O_CLOEXEC
    tree = call(SYS_OPEN_TREE, AT_FDCWD, source.encode(), flags)
    wanted = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_IDMAP
    attributes = MountAttributes(wanted, 0, 0, namespace)
    size = ctypes.sizeof(attributes)
    call(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH | AT_RECURSIVE, ctypes.byref(attributes), size)
    call(SYS_MOVE_MOUNT, tree, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)


def make_user_namespace(first_id, count):
    """A descriptor of a user namespace with such a map. It needs a process only until the descriptor is open."""
    made, makes = os.pipe()
    mapped, maps = os.pipe()
    child = os.fork()
    if not child:
        os.close(maps)
        if LIBC.unshare(CLONE_NEWUSER) == 0:
            os.write(makes, b".")
            os.read(mapped, 1)
        os._exit(0)
    os.close(makes)
    try:
        if not os.read(made, 1):
            raise OSError("cannot make a user namespace")
        for name in ("uid_map", "gid_map"):
            with open("/proc/%d/%s" % (child, name), "w") as file:
                file.write("0 %d %d" % (first_id, count))
        return os.open("/proc/%d/ns/user" % child, os.O_RDONLY)
    finally:
        os.close(maps)
        os.waitpid(child, 0)


def call(number, *arguments):
    words = [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]
    result = LIBC.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


main(*sys.argv[1:])
