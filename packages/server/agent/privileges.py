"""Giving up what only the agent may do."""

import os

import _ctypes

USER_ID = 1000

PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
CAPABILITIES = 64

# The low-level calls of _ctypes: importing the whole of ctypes would cost every sandbox several milliseconds.
_PRCTL = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")


def prctl(option, value):
    return _ctypes.call_function(_PRCTL, (option, value, 0, 0, 0))


def hide_from_user():
    """Makes /proc/1 of the agent, its memory and its descriptors unreachable for processes of the same user."""
    if prctl(PR_SET_DUMPABLE, 0) != 0:
        raise OSError("cannot make the agent undumpable")


def drop_privileges():
    """From root of the sandbox to the user, without any capability, for good."""
    for capability in range(CAPABILITIES):
        prctl(PR_CAPBSET_DROP, capability)
    os.setgroups([])
    os.setresgid(USER_ID, USER_ID, USER_ID)
    os.setresuid(USER_ID, USER_ID, USER_ID)


def prefer_for_oom():
    """Makes the kernel choose this process rather than the agent when memory runs out."""
    try:
        target = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return  # gVisor has no such file.
    try:
        os.write(target, b"1000")
    except OSError:
        pass
    finally:
        os.close(target)
