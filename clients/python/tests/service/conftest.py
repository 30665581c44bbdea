"""The running service that these tests need."""

from __future__ import annotations

import doctest
import os
from pathlib import Path
from typing import Iterator

import pytest

from python_executor_client import PythonExecutorClient

from .examples import Names, Run, run_examples


@pytest.fixture
def server_url() -> str:
    """Address of the service, without a trailing slash."""
    url = os.environ.get("PYEXEC_TEST_SERVER")
    if not url:
        pytest.fail("PYEXEC_TEST_SERVER is not set: these tests need the address of a running python-executor")
    return url.rstrip("/")


@pytest.fixture
def client(server_url: str) -> Iterator[PythonExecutorClient]:
    """A client of the service."""
    with PythonExecutorClient(server_url) as client:
        yield client


@pytest.fixture
def run(server_url: str, client: PythonExecutorClient) -> Iterator[Run]:
    """Runs statements of documentation, returns their variables, and in the end stops what they left running."""
    names: Names = {"PythonExecutorClient": PythonExecutorClient, "Path": Path}

    def run_here(examples: list[doctest.Example]) -> Names:
        run_examples(examples, server_url, names)
        return names

    yield run_here

    if "exec_id" in names and not client.get_execution(names["exec_id"]).is_final:
        client.kill(names["exec_id"])
    if "client" in names:
        names["client"].close()
