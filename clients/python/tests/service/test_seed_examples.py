"""Every example of the seed document does what the document shows, on a real service.

The statements run as they stand in the document. Replaced are the address of the service and the one id of an
execution that the document takes for granted; compared is everything printed, except for ids and for the empty line
that ``print`` adds to output that already ends its line.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Iterator

import pytest
import requests

from python_executor_client import ExecutionStatus, PythonExecutorClient

from ..seed import Section
from .examples import Run, replaced

DOCUMENTED_ID = "exe_550e8400-e29b-41d4-a716-446655440000"
COVERED = {
    "python_executor_client.client",
    "PythonExecutorClient",
    "__init__",
    "execute_async",
    "execute_sync",
    "get_execution",
    "kill",
    "wait_for_completion",
}


@pytest.fixture
def running_id(client: PythonExecutorClient) -> Iterator[str]:
    """The id of an execution that is running and stays so."""
    execution_id = client.execute_async(files={"main.py": "import time; time.sleep(240)"})
    try:
        deadline = time.monotonic() + 60
        while client.get_execution(execution_id).status == ExecutionStatus.PENDING:
            assert time.monotonic() < deadline, "The execution did not start within 60 s"
            time.sleep(0.05)
        yield execution_id
    finally:
        client.kill(execution_id)


def test_every_example_is_covered(server_url: str, seed_sections: dict[str, Section]) -> None:
    assert {name for name, section in seed_sections.items() if section.examples} == COVERED


def test_module_examples(run: Run, seed_sections: dict[str, Section]) -> None:
    names = run(seed_sections["python_executor_client.client"].examples)
    assert names["result"].stdout == "Hello from helper!\n"
    assert names["result"].exit_code == 0


def test_class_example(run: Run, seed_sections: dict[str, Section]) -> None:
    names = run(seed_sections["PythonExecutorClient"].examples)
    assert names["result"].stdout == "Hello!\n"


def test_constructor_example(run: Run, server_url: str, seed_sections: dict[str, Section]) -> None:
    client = run(seed_sections["__init__"].examples)["client"]
    assert (client.base_url, client.timeout) == (server_url, 60)


def test_execute_async_example(run: Run, seed_sections: dict[str, Section]) -> None:
    names = run(seed_sections["execute_async"].examples)
    assert names["result"].execution_id == names["exec_id"]
    assert names["result"].stdout == "done\n"
    assert names["result"].status == ExecutionStatus.COMPLETED


def test_execute_sync_examples_without_dependencies(
    run: Run, seed_sections: dict[str, Section], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "myproject"
    (project / "package").mkdir(parents=True)
    (project / "main.py").write_text("from package.words import WORDS\nprint(*WORDS)\n")
    (project / "package" / "words.py").write_text("WORDS = ['from', 'a', 'directory']\n")
    monkeypatch.chdir(tmp_path)
    examples = seed_sections["execute_sync"].examples
    kept = [example for example in examples if "requirements_txt" not in example.source]
    assert len(kept) == len(examples) - 1
    names = run(kept)
    assert names["result"].stdout == "from a directory\n"
    assert names["result"].exit_code == 0


def test_execute_sync_example_with_numpy_is_refused_as_long_as_dependencies_are_unsupported(
    client: PythonExecutorClient, seed_sections: dict[str, Section]
) -> None:
    (example,) = [e for e in seed_sections["execute_sync"].examples if 'requirements_txt="numpy"' in e.source]
    with pytest.raises(requests.HTTPError) as caught:
        exec(example.source, {"client": client})
    response = caught.value.response
    assert response is not None
    assert (response.status_code, response.json()["code"]) == (400, "dependencies_unsupported")


def test_get_execution_example(run: Run, running_id: str, seed_sections: dict[str, Section]) -> None:
    examples = seed_sections["get_execution"].examples
    assert sum(DOCUMENTED_ID in example.source for example in examples) == 1
    names = run([replaced(example, DOCUMENTED_ID, running_id) for example in examples])
    assert names["result"].execution_id == running_id


def test_kill_example(run: Run, client: PythonExecutorClient, seed_sections: dict[str, Section]) -> None:
    names = run(seed_sections["kill"].examples)
    assert client.wait_for_completion(names["exec_id"], 0.1, max_wait=30).status == ExecutionStatus.KILLED


def test_wait_for_completion_examples(run: Run, seed_sections: dict[str, Section]) -> None:
    names = run(seed_sections["wait_for_completion"].examples)
    assert names["result"].stdout == "done\n"
    assert names["result"].status == ExecutionStatus.COMPLETED
