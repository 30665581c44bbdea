"""What the client has beyond the seed document works on a real service."""

from __future__ import annotations

import io
import tarfile
import time
from datetime import datetime, timedelta

import pytest
import requests

from python_executor_client import ExecutionConfig, ExecutionStatus, Metadata, PythonExecutorClient


def test_eval_returns_the_last_expression(client: PythonExecutorClient) -> None:
    result = client.eval("print('shown')\nwords = 'a b'.split()\nwords")
    assert (result.stdout, result.result) == ("shown\n", "['a', 'b']")
    assert client.eval("6 * 7", eval_last_expr=False).result is None
    assert client.eval("x = 1").result is None


def test_eval_runs_several_files(client: PythonExecutorClient) -> None:
    files = [{"name": "main.py", "content": "import b\nb.n"}, {"name": "b.py", "content": "n = int(input())"}]
    assert client.eval("", files=files, stdin="7", timeout_seconds=20).result == "7"


def test_program_that_fails_is_a_result(client: PythonExecutorClient) -> None:
    result = client.execute_sync(files={"main.py": "print('before')\n\nraise KeyError('x')\n"})
    assert (result.status, result.exit_code, result.stdout) == (ExecutionStatus.COMPLETED, 1, "before\n")
    assert result.stderr is not None
    assert "KeyError: 'x'" in result.stderr
    assert (result.error_type, result.error_line) == ("KeyError", 3)


def test_arguments_environment_and_stdin_arrive(client: PythonExecutorClient) -> None:
    program = "import os, sys; print(sys.argv[1:], os.environ['GREETING'], sys.stdin.read())"
    result = client.execute_sync(
        files={"job.py": program},
        metadata=Metadata(
            "job.py",
            stdin="é",
            config=ExecutionConfig(timeout_seconds=20),
            env_vars=["GREETING=hi there"],
            script_args=["$(id)", "a b"],
        ),
    )
    assert result.stdout == "['$(id)', 'a b'] hi there é\n"


def test_tar_data_is_run(client: PythonExecutorClient) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        header = tarfile.TarInfo("main.py")
        header.size = len(b"print(1)")
        tar.addfile(header, io.BytesIO(b"print(1)"))
    assert client.execute_sync(tar_data=buffer.getvalue()).stdout == "1\n"


def test_time_limit_ends_the_program_and_keeps_its_output(client: PythonExecutorClient) -> None:
    program = "import time; print('so far', flush=True); time.sleep(60)"
    result = client.execute_sync(files={"main.py": program}, timeout_seconds=2)
    assert (result.status, result.exit_code, result.stdout) == (ExecutionStatus.FAILED, 137, "so far\n")
    assert result.timed_out
    assert result.termination is not None
    assert result.termination.reason == "timeout"
    assert result.error


def test_times_are_utc(client: PythonExecutorClient) -> None:
    result = client.execute_sync(files={"main.py": "import time; print(time.time())"})
    assert result.started_at is not None
    assert result.finished_at is not None
    assert result.stdout is not None
    within = datetime(1970, 1, 1) + timedelta(seconds=float(result.stdout))
    slack = timedelta(seconds=30)
    assert result.started_at - slack <= within <= result.finished_at + slack
    assert result.started_at <= result.finished_at


def test_wait_gives_up_after_max_wait(client: PythonExecutorClient) -> None:
    execution_id = client.execute_async(files={"main.py": "import time; time.sleep(120)"})
    try:
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=execution_id):
            client.wait_for_completion(execution_id, poll_interval=60, max_wait=0.5)
        assert time.monotonic() - start < 20
    finally:
        client.kill(execution_id)


@pytest.mark.parametrize("method", ["get_execution", "kill", "wait_for_completion"])
def test_unknown_id_is_an_http_error(method: str, client: PythonExecutorClient) -> None:
    with pytest.raises(requests.HTTPError, match=r'\(HTTP 404, code "execution_not_found"\)') as caught:
        getattr(client, method)("exe_00000000-0000-4000-8000-000000000000")
    assert caught.value.response is not None
    assert caught.value.response.status_code == 404


def test_config_that_makes_no_sense_is_an_http_error(client: PythonExecutorClient) -> None:
    with pytest.raises(requests.HTTPError, match=r'timeout_seconds.*\(HTTP 400, code "invalid_config"\)'):
        client.execute_sync(files={"main.py": ""}, timeout_seconds=-1)
