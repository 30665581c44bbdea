"""The agent in an interpreter of which the program is a fork: a ``python3 main.py`` that stands still in its own
start-up, as the interpreter of every program does. The process that becomes the program falls through from there."""

import gc
import os
import sys

import _signal

from agent.channel import HostGone
from agent.counters import COUNTER_FILES, Counters
from agent.job import WORK
from agent.main import Agent, take_channel
from agent.process import ForkedInterpreter, Program, forget_coerced_locale, read_initial_environment
from agent.rehearse import rehearse_job, rehearse_start, renew_main

INITIAL_ENVIRONMENT = read_initial_environment()


def serve():
    """Serves the one job of a container. Returns in the process of the program alone: what the waiter waits with."""
    try:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
        os.chdir(WORK)
        # The collector would write to every page of what was there before the program.
        gc.freeze()
        become_agent(take_channel(), Counters(COUNTER_FILES))
    except Program as program:
        return become_program(program)


def become_agent(channel, counters):
    """Never returns. Raises Program in the process of the program."""
    try:
        agent = Agent(channel, fork_interpreter, counters)
        rehearse_job()
        agent.serve()
    except Program:
        raise
    except HostGone:
        pass
    except BaseException as error:
        os.write(2, ("agent: %r\n" % error).encode())
    # Nothing in the sandbox outlives its first process.
    os._exit(0)


def become_program(program):
    renew_main(sys)
    rehearse_start(sys)
    return program.values


def fork_interpreter(report_name):
    interpreter = ForkedInterpreter(report_name)
    # The program keeps what this interpreter decided for itself; what the agent starts decides on its own.
    forget_coerced_locale(INITIAL_ENVIRONMENT)
    return interpreter
