"""A recording server and a client for it."""

from __future__ import annotations

from typing import Iterator

import pytest

from python_executor_client import PythonExecutorClient

from .recorder import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A server that records what it is asked."""
    server = Recorder()
    yield server
    server.close()


@pytest.fixture
def client(recorder: Recorder) -> Iterator[PythonExecutorClient]:
    """A client of the recording server, which no proxy of the environment comes in between."""
    with PythonExecutorClient(recorder.url + "/", timeout=10) as client:
        client.session.trust_env = False
        yield client
