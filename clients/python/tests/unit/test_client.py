"""The client sends what the service expects and understands what it answers."""

from __future__ import annotations

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from python_executor_client import ExecutionConfig, ExecutionStatus, Metadata, PythonExecutorClient

from .recorder import Recorder

DONE = {"execution_id": "exe_1", "status": "completed", "stdout": "hi\n", "exit_code": 0}
RUNNING = {"execution_id": "exe_1", "status": "running"}
FILES = {"main.py": "print('hi')"}


def sent_metadata(recorder: Recorder) -> Any:
    return json.loads(recorder.requests[-1].parts()["metadata"].content)


def sent_names(recorder: Recorder) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(recorder.requests[-1].parts()["tar"].content), mode="r:") as tar:
        return tar.getnames()


def test_attributes_are_public_and_the_address_has_no_trailing_slash() -> None:
    client = PythonExecutorClient("http://localhost:8080/")
    assert (client.base_url, client.timeout) == ("http://localhost:8080", 300)
    assert isinstance(client.session, requests.Session)


def test_execute_sync_sends_tar_and_metadata_as_parts(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, DONE)]
    result = client.execute_sync(files=FILES)
    assert (result.status, result.stdout, result.exit_code) == (ExecutionStatus.COMPLETED, "hi\n", 0)
    request = recorder.requests[0]
    assert (request.method, request.path) == ("POST", "/api/v1/exec/sync")
    assert request.content_type.startswith("multipart/form-data; boundary=")
    parts = request.parts()
    assert set(parts) == {"metadata", "tar"}
    assert (parts["tar"].filename, parts["tar"].content_type) == ("code.tar", "application/x-tar")
    assert parts["metadata"].filename is None
    assert sent_names(recorder) == ["main.py"]
    assert sent_metadata(recorder) == {}


def test_execute_async_returns_the_id(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(202, {"execution_id": "exe_7"})]
    assert client.execute_async(FILES, stdin="é\ud800") == "exe_7"
    assert recorder.requests[0].path == "/api/v1/exec/async"
    assert sent_metadata(recorder) == {"stdin": "é\ud800"}


def test_keywords_become_metadata_and_those_not_set_are_not_sent(
    recorder: Recorder, client: PythonExecutorClient
) -> None:
    recorder.answers = [(200, DONE)]
    fields: dict[str, Any] = {
        "entrypoint": "main.py",
        "docker_image": "python:3.12-slim",
        "requirements_txt": "numpy",
        "pre_commands": ["true"],
        "stdin": "",
        "env_vars": ["A=1"],
        "script_args": ["-x"],
    }
    config: dict[str, Any] = {
        "timeout_seconds": 5,
        "network_disabled": False,
        "memory_mb": 64,
        "disk_mb": 32,
        "cpu_shares": 0,
    }
    client.execute_sync(files=FILES, **fields, **config)
    assert sent_metadata(recorder) == {**fields, "config": config}
    client.execute_sync(files=FILES, entrypoint=None, network_disabled=False)
    assert sent_metadata(recorder) == {"config": {"network_disabled": False}}


def test_unknown_keyword_is_named_with_the_known_ones(recorder: Recorder, client: PythonExecutorClient) -> None:
    with pytest.raises(TypeError, match=r'"timout_seconds"; known are entrypoint, .*timeout_seconds'):
        client.execute_sync(files=FILES, timout_seconds=5)
    assert recorder.requests == []


def test_metadata_wins_over_keywords(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, DONE)]
    metadata = Metadata("main.py", config=ExecutionConfig(timeout_seconds=9))
    client.execute_sync(FILES, None, metadata, entrypoint="other.py", stdin="x")
    assert sent_metadata(recorder) == {"entrypoint": "main.py", "config": ExecutionConfig(9).to_dict()}


def test_tar_data_wins_over_files(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, DONE)]
    client.execute_sync(files="no/such/file.py", tar_data=b"\x00" * 1024)
    assert recorder.requests[0].parts()["tar"].content == b"\x00" * 1024
    assert sent_metadata(recorder) == {}


@pytest.mark.parametrize("method", ["execute_sync", "execute_async"])
def test_neither_files_nor_tar_data_is_refused(method: str, recorder: Recorder, client: PythonExecutorClient) -> None:
    with pytest.raises(ValueError, match="either files or tar_data is needed"):
        getattr(client, method)(entrypoint="main.py")
    assert recorder.requests == []


def test_single_file_is_the_entrypoint_unless_another_is_given(
    recorder: Recorder, client: PythonExecutorClient, tmp_path: Path
) -> None:
    recorder.answers = [(200, DONE)]
    script = tmp_path / "job.py"
    script.write_text("print(1)")
    client.execute_sync(files=str(script))
    assert sent_metadata(recorder) == {"entrypoint": "job.py"}
    client.execute_sync(files=script, metadata=Metadata(stdin="x"))
    assert sent_metadata(recorder) == {"entrypoint": "job.py", "stdin": "x"}
    client.execute_sync(files=script, entrypoint="other.py")
    assert sent_metadata(recorder) == {"entrypoint": "other.py"}
    client.execute_sync(files=tmp_path)
    assert sent_metadata(recorder) == {}


def test_missing_path_is_named(client: PythonExecutorClient) -> None:
    with pytest.raises(FileNotFoundError, match=r"no/such/file\.py"):
        client.execute_sync(files="no/such/file.py")


def test_eval_sends_json_and_asks_for_the_last_expression(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, {**DONE, "result": "2"})]
    assert client.eval("1 + 1").result == "2"
    request = recorder.requests[0]
    assert (request.method, request.path) == ("POST", "/api/v1/eval")
    assert request.content_type == "application/json"
    assert request.json() == {"code": "1 + 1", "eval_last_expr": True}


def test_eval_sends_what_is_set(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, DONE)]
    files = [{"name": "a.py", "content": "1"}]
    client.eval(
        "",
        files=files,
        entrypoint="a.py",
        stdin="x",
        python_version="3.12",
        timeout_seconds=3,
        eval_last_expr=False,
    )
    assert recorder.requests[0].json() == {
        "files": files,
        "entrypoint": "a.py",
        "stdin": "x",
        "python_version": "3.12",
        "config": {"timeout_seconds": 3},
        "eval_last_expr": False,
    }
    client.eval("")
    assert recorder.requests[1].json() == {"code": "", "eval_last_expr": True}


def test_get_execution_reads_the_state(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, RUNNING)]
    assert str(client.get_execution("exe_1").status) == "running"
    assert (recorder.requests[0].method, recorder.requests[0].path) == ("GET", "/api/v1/executions/exe_1")


def test_kill_returns_nothing(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, {"status": "killed"})]
    result: Any = client.kill  # Typed as returning None, which mypy would not let us look at.
    assert result("exe_1") is None
    assert (recorder.requests[0].method, recorder.requests[0].path) == ("DELETE", "/api/v1/executions/exe_1")


def test_id_cannot_lead_to_another_resource(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, RUNNING)]
    client.get_execution("../eval?x#y z")
    assert recorder.requests[0].path == "/api/v1/executions/..%2Feval%3Fx%23y%20z"


def test_http_error_speaks_in_the_words_of_the_service(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(404, {"error": 'Execution "exe_1" does not exist', "code": "execution_not_found"})]
    with pytest.raises(requests.HTTPError) as caught:
        client.get_execution("exe_1")
    assert str(caught.value) == 'Execution "exe_1" does not exist (HTTP 404, code "execution_not_found")'
    assert caught.value.response is not None
    assert caught.value.response.status_code == 404
    assert caught.value.response.json()["code"] == "execution_not_found"


@pytest.mark.parametrize("call", ["execute_sync", "execute_async", "eval", "kill", "wait_for_completion"])
def test_every_method_raises_http_errors(call: str, recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(503, {"error": "The queue is full", "code": "queue_full"})]
    argument: Any = FILES if call.startswith("execute") else "exe_1"
    with pytest.raises(requests.HTTPError, match=r'The queue is full \(HTTP 503, code "queue_full"\)'):
        getattr(client, call)(argument)
    assert len(recorder.requests) == 1


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b"{}", b""])
def test_http_error_of_a_proxy_names_status_and_address(
    body: bytes, recorder: Recorder, client: PythonExecutorClient
) -> None:
    recorder.answers = [(502, body)]
    with pytest.raises(requests.HTTPError) as caught:
        client.get_execution("exe_1")
    assert str(caught.value) == f"HTTP 502 Bad Gateway from {recorder.url}/api/v1/executions/exe_1"


def test_http_error_without_a_code_keeps_the_sentence(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(400, {"error": "No such thing"})]
    with pytest.raises(requests.HTTPError, match=r"^No such thing \(HTTP 400\)$"):
        client.get_execution("exe_1")


def test_answer_of_something_else_is_an_http_error(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, b"<html>Welcome</html>")]
    with pytest.raises(requests.HTTPError, match="did not answer with a JSON object"):
        client.get_execution("exe_1")


def test_wait_polls_until_the_status_is_final(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, {**RUNNING, "status": "pending"}), (200, RUNNING), (200, DONE)]
    assert client.wait_for_completion("exe_1", poll_interval=0.01).stdout == "hi\n"
    assert len(recorder.requests) == 3


@pytest.mark.parametrize("status", ["completed", "failed", "killed"])
def test_wait_returns_every_final_status_at_once(status: str, recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, {**DONE, "status": status})]
    assert client.wait_for_completion("exe_1", poll_interval=60, max_wait=0).status == status
    assert len(recorder.requests) == 1


def test_wait_never_sleeps_beyond_its_deadline(recorder: Recorder, client: PythonExecutorClient) -> None:
    recorder.answers = [(200, RUNNING)]
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r'Execution "exe_1" is still running after 0\.2 s'):
        client.wait_for_completion("exe_1", poll_interval=60, max_wait=0.2)
    assert 0.2 <= time.monotonic() - start < 10
    assert len(recorder.requests) == 2


def test_wait_does_not_swallow_connection_errors(recorder: Recorder, client: PythonExecutorClient) -> None:
    client.base_url = "http://127.0.0.1:1"
    with pytest.raises(requests.ConnectionError):
        client.wait_for_completion("exe_1", max_wait=30)


def test_http_timeout_is_the_one_of_the_client(recorder: Recorder, client: PythonExecutorClient) -> None:
    seen: dict[str, Any] = {}

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> requests.Response:
            seen.update(kwargs)
            return super().send(*args, **kwargs)

    recorder.answers = [(200, DONE)]
    client.session.mount("http://", Adapter())
    client.execute_sync(files=FILES, timeout_seconds=3000)
    assert seen["timeout"] == 10
