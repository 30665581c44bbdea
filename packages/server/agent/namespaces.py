"""What only the zygote may do: namespaces, mounts and the filter that takes both away from a sandbox."""

import os
import sys

import _ctypes

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_MOVE = 1, 2, 4, 8, 32, 4096, 8192
MNT_DETACH = 2

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2

_LIBC = _ctypes.dlopen(None, 0)


def call(name, *arguments):
    """Calls a function of the C library with integers and byte strings. Raises OSError when it answers -1."""
    if _ctypes.call_function(_ctypes.dlsym(_LIBC, name), arguments) == -1:
        # The low-level call keeps no errno; what failed says enough for the log of the service.
        raise OSError("%s%r failed" % (name, arguments))


def mount(source, target, kind, flags, options=""):
    call("mount", source.encode(), target.encode(), kind.encode(), flags, options.encode())


def unmount(target):
    """Whatever is open below goes on working for who has it."""
    call("umount2", target.encode(), MNT_DETACH)


def hide_directory(path):
    mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0")


def hide_file(path):
    mount("/dev/null", path, "", MS_BIND)


def make_readonly(path):
    mount(path, path, "", MS_BIND)
    mount(path, path, "", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


# Numbers of the system calls that make or enter namespaces and change mounts, and of those with the flags to do so.
_FORBIDDEN = {
    "x86_64": {
        "arch": 0xC000003E,
        "names": (165, 166, 155, 272, 308, 161, 442, 429, 430, 431, 432, 433, 428),
        "clone": 56,
        "clone3": 435,
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "names": (40, 39, 41, 97, 268, 51, 442, 429, 430, 431, 432, 433, 428),
        "clone": 220,
        "clone3": 435,
    },
}
_NAMESPACE_FLAGS = 0x7E020080

_LOAD, _JUMP_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def forbid_namespaces():
    """Adds a filter, for good: no mount, no namespace. What the inherited filter forbids stays forbidden."""
    numbers = _FORBIDDEN[os.uname().machine]
    instructions = [(_LOAD, 0, 0, 4), (_JUMP_EQUAL, 1, 0, numbers["arch"]), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    for number in numbers["names"]:
        instructions += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _EPERM)]
    instructions += [(_JUMP_EQUAL, 0, 1, numbers["clone3"]), (_RETURN, 0, 0, _ENOSYS)]
    instructions += [
        (_JUMP_EQUAL, 0, 3, numbers["clone"]),
        (_LOAD, 0, 0, 16),
        (_JUMP_SET, 0, 1, _NAMESPACE_FLAGS),
        (_RETURN, 0, 0, _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    order = sys.byteorder
    program = b"".join(
        code.to_bytes(2, order) + bytes((yes, no)) + operand.to_bytes(4, order) for code, yes, no, operand in instructions
    )
    # struct sock_fprog: the number of instructions, padding, their address. The bytes of an object follow its header.
    address = id(program) + bytes.__basicsize__ - 1
    description = len(instructions).to_bytes(2, order) + bytes(6) + address.to_bytes(8, order)
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, description)
