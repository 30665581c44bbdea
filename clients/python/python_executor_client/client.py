"""The client of the python-executor HTTP API.

Example:
    >>> from python_executor_client import PythonExecutorClient
    >>> client = PythonExecutorClient("http://localhost:8080")
    >>> result = client.execute_sync(files={"main.py": "print('Hello!')"})
    >>> print(result.status, result.exit_code)
    completed 0
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, Optional, Type, Union
from urllib.parse import quote

import requests

from .archive import Files, make_archive
from .types import ExecutionResult, Metadata

_METADATA_KWARGS = (
    "entrypoint",
    "docker_image",
    "requirements_txt",
    "pre_commands",
    "stdin",
    "env_vars",
    "script_args",
)
_CONFIG_KWARGS = ("timeout_seconds", "network_disabled", "memory_mb", "disk_mb", "cpu_shares")


class PythonExecutorClient:
    r"""Runs Python code on a python-executor service.

    A client keeps connections open between requests. Close it with :meth:`close`, or use it in a ``with`` statement.
    Like the session in it, one client belongs to one thread.

    Attributes:
        base_url: Address of the service, without a trailing slash.
        timeout: Seconds that an HTTP request may wait for a connection, and then for an answer.
        session: The ``requests.Session`` behind every request; the place for headers, certificates and proxies.

    Example:
        >>> with PythonExecutorClient("http://localhost:8080") as client:
        ...     client.execute_sync(files={"main.py": "print('Hello!')"}).stdout
        'Hello!\n'
    """

    def __init__(self, base_url: str, timeout: int = 300) -> None:
        """Set up a client; nothing is sent yet.

        Args:
            base_url: Address of the service, with or without a trailing slash.
            timeout: HTTP time-out in seconds, 300 by default. :meth:`execute_sync` and :meth:`eval` wait for the
                program that long and no longer: choose it above the time limit of the program, or use
                :meth:`execute_async`.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080", timeout=60)
        """
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.session = requests.Session()

    def __enter__(self) -> PythonExecutorClient:
        """Return the client itself."""
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc_value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close the connections that are kept open. Executions on the server go on.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> client.close()
        """
        self.session.close()

    def execute_sync(
        self,
        files: Optional[Union[dict[str, str], Path, str]] = None,
        tar_data: Optional[bytes] = None,
        metadata: Optional[Metadata] = None,
        **kwargs: Any,
    ) -> ExecutionResult:
        r"""Run a program and wait for its end.

        A program that fails is a result like any other, look at ``exit_code``; an exception means that the service
        could not do its work.

        Args:
            files: What to send, one of:

                - a dict of contents by file name; text is sent as UTF-8, and ``bytes`` are accepted as well
                - a path (``Path`` or ``str``) to one file, which is also the entrypoint unless another is given
                - a path to a directory, sent with everything below it except ``__pycache__`` and ``.git``
            tar_data: An uncompressed tar to send instead; ``files`` is then ignored.
            metadata: How to run it; ``kwargs`` are then ignored.
            **kwargs: Fields of the metadata by name. Those left out or None are not sent.

                - entrypoint (str): script to run; the server looks for ``main.py``, then ``__main__.py``, then takes
                  the first ``.py``
                - docker_image (str): image that brings the interpreter, ``python:3.11-slim`` by default
                - requirements_txt (str): contents of a requirements file
                - pre_commands (list[str]): shell commands to run before the script
                - stdin (str): what the program reads on standard input
                - env_vars (list[str]): environment, as ``KEY=value``
                - script_args (list[str]): what becomes ``sys.argv[1:]``
                - timeout_seconds (int): time limit in seconds, 300 by default
                - network_disabled (bool): no network, True by default
                - memory_mb (int): memory limit in MiB, 1024 by default
                - disk_mb (int): space for files in MiB, 2048 by default
                - cpu_shares (int): CPU weight, 1024 by default

        Returns:
            The final result.

        Raises:
            ValueError: If neither ``files`` nor ``tar_data`` is given, or a symbolic link in the directory leads out
                of it.
            FileNotFoundError: If ``files`` is a path that does not exist.
            TypeError: If a keyword is unknown.
            requests.HTTPError: If the service refuses; the message holds its sentence and its error code.
            requests.RequestException: If the service cannot be reached or exceeds :attr:`timeout`.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> result = client.execute_sync(files={"main.py": "print(input())"}, stdin="ping", timeout_seconds=5)
            >>> result.stdout
            'ping\n'
        """
        return ExecutionResult.from_dict(self._submit("/api/v1/exec/sync", files, tar_data, metadata, kwargs))

    def execute_async(
        self,
        files: Optional[Union[dict[str, str], Path, str]] = None,
        tar_data: Optional[bytes] = None,
        metadata: Optional[Metadata] = None,
        **kwargs: Any,
    ) -> str:
        r"""Submit a program and return at once, for long runs and for several at a time.

        Args:
            files: What to send, see :meth:`execute_sync`.
            tar_data: An uncompressed tar to send instead; ``files`` is then ignored.
            metadata: How to run it; ``kwargs`` are then ignored.
            **kwargs: Fields of the metadata by name, see :meth:`execute_sync`.

        Returns:
            The id of the execution, for :meth:`get_execution`, :meth:`wait_for_completion` and :meth:`kill`.

        Raises:
            ValueError: If neither ``files`` nor ``tar_data`` is given, or a symbolic link in the directory leads out
                of it.
            FileNotFoundError: If ``files`` is a path that does not exist.
            TypeError: If a keyword is unknown.
            requests.HTTPError: If the service refuses; the message holds its sentence and its error code.
            requests.RequestException: If the service cannot be reached or exceeds :attr:`timeout`.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> ids = [client.execute_async(files={"main.py": f"print({n})"}) for n in range(3)]
            >>> [client.wait_for_completion(id).stdout for id in ids]
            ['0\n', '1\n', '2\n']
        """
        return str(self._submit("/api/v1/exec/async", files, tar_data, metadata, kwargs)["execution_id"])

    def eval(
        self,
        code: str,
        *,
        files: Optional[list[dict[str, str]]] = None,
        entrypoint: Optional[str] = None,
        stdin: Optional[str] = None,
        python_version: Optional[str] = None,
        timeout_seconds: Optional[int] = None,
        eval_last_expr: bool = True,
    ) -> ExecutionResult:
        r"""Run a piece of code the way an interactive session would, and wait for its end.

        Args:
            code: The code. At most 100 KB in all, files included.
            files: Several files instead, each ``{"name": ..., "content": ...}``; the server then ignores ``code``,
                which may be empty.
            entrypoint: Which of the files to run; ``main.py`` by default, else the first.
            stdin: What the program reads on standard input. None by default: end of file at once.
            python_version: Such as ``"3.12"``. Default: the server's.
            timeout_seconds: Time limit in seconds. Default: the server's, normally 300.
            eval_last_expr: Whether the ``repr()`` of a final expression is returned in ``result``. Default True.

        Returns:
            The final result; its ``result`` is None if the code ends in something other than an expression, or in one
            whose value is None.

        Raises:
            requests.HTTPError: If the service refuses, for example a Python version that it does not have; the message
                holds its sentence and its error code.
            requests.RequestException: If the service cannot be reached or exceeds :attr:`timeout`.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> client.eval("words = 'a b'.split()\nwords").result
            "['a', 'b']"
        """
        body: dict[str, Any] = {"eval_last_expr": eval_last_expr}
        if code or files is None:
            body["code"] = code
        body.update(_present({"files": files, "entrypoint": entrypoint, "stdin": stdin}))
        body.update(_present({"python_version": python_version}))
        if timeout_seconds is not None:
            body["config"] = {"timeout_seconds": timeout_seconds}
        return ExecutionResult.from_dict(_answer(self._request("POST", "/api/v1/eval", json=body)))

    def get_execution(self, execution_id: str) -> ExecutionResult:
        """Look at an execution as it stands.

        Args:
            execution_id: The id, as :meth:`execute_async` returned it.

        Returns:
            Status and output so far; the rest as far as it is known.

        Raises:
            requests.HTTPError: If the service knows no such execution (404) or fails.
            requests.RequestException: If the service cannot be reached or exceeds :attr:`timeout`.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> client.get_execution(client.execute_async(files={"main.py": "input()"})).execution_id[:4]
            'exe_'
        """
        return ExecutionResult.from_dict(_answer(self._request("GET", _execution_path(execution_id))))

    def kill(self, execution_id: str) -> None:
        """Stop an execution, pending or running. One that has ended stays as it is.

        Args:
            execution_id: The id, as :meth:`execute_async` returned it.

        Raises:
            requests.HTTPError: If the service knows no such execution (404) or fails.
            requests.RequestException: If the service cannot be reached or exceeds :attr:`timeout`.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> exec_id = client.execute_async(files={"main.py": "while True: pass"})
            >>> client.kill(exec_id)
        """
        self._request("DELETE", _execution_path(execution_id))

    def wait_for_completion(
        self,
        execution_id: str,
        poll_interval: float = 2.0,
        max_wait: Optional[float] = None,
    ) -> ExecutionResult:
        r"""Ask for an execution again and again until it has ended.

        The execution is looked at least once, and once more when the wait is over. A request that is under way then is
        not cut short; :attr:`timeout` limits it.

        Args:
            execution_id: The id, as :meth:`execute_async` returned it.
            poll_interval: Seconds between two looks, 2.0 by default.
            max_wait: Seconds to wait at most. None, the default, waits without end.

        Returns:
            The final result.

        Raises:
            TimeoutError: If it has not ended after ``max_wait`` seconds. It goes on; :meth:`kill` stops it.
            requests.HTTPError: If the service knows no such execution (404) or fails.
            requests.RequestException: If the service cannot be reached or exceeds :attr:`timeout`; no request is
                repeated.

        Example:
            >>> client = PythonExecutorClient("http://localhost:8080")
            >>> exec_id = client.execute_async(files={"main.py": "print('done')"})
            >>> client.wait_for_completion(exec_id, poll_interval=0.1, max_wait=60).stdout
            'done\n'
        """
        deadline = None if max_wait is None else time.monotonic() + max_wait
        while True:
            result = self.get_execution(execution_id)
            if result.is_final:
                return result
            pause = poll_interval
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f'Execution "{execution_id}" is still {result.status} after {max_wait} s')
                pause = min(pause, left)
            time.sleep(pause)

    def _submit(
        self,
        path: str,
        files: Optional[Files],
        tar_data: Optional[bytes],
        metadata: Optional[Metadata],
        kwargs: Mapping[str, Any],
    ) -> dict[str, Any]:
        fields = _kwargs_to_dict(kwargs) if metadata is None else metadata.to_dict()
        if tar_data is None:
            if files is None:
                raise ValueError("Cannot execute: either files or tar_data is needed")
            tar_data, entrypoint = make_archive(files)
            if entrypoint is not None:
                fields.setdefault("entrypoint", entrypoint)
        response = self._request(
            "POST",
            path,
            data={"metadata": json.dumps(fields)},
            files={"tar": ("code.tar", tar_data, "application/x-tar")},
        )
        return _answer(response)

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        response = self.session.request(method, self.base_url + path, timeout=self.timeout, **options)
        if response.status_code >= 400:
            raise requests.HTTPError(_error_message(response), response=response)
        return response


def _kwargs_to_dict(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    known = _METADATA_KWARGS + _CONFIG_KWARGS
    unknown = [f'"{name}"' for name in kwargs if name not in known]
    if unknown:
        raise TypeError(f"Unknown keyword {', '.join(unknown)}; known are {', '.join(known)}")
    present = _present(kwargs)
    fields = {name: present[name] for name in _METADATA_KWARGS if name in present}
    config = {name: present[name] for name in _CONFIG_KWARGS if name in present}
    if config:
        fields["config"] = config
    return fields


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _execution_path(execution_id: str) -> str:
    return f"/api/v1/executions/{quote(execution_id, safe='')}"


def _answer(response: requests.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise requests.HTTPError(
            f"{response.url} did not answer with a JSON object; is it a python-executor service?", response=response
        )
    return answer


def _error_message(response: requests.Response) -> str:
    """Say it in the words of the service; a proxy in between may have none to offer."""
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "error" not in body:
        return f"HTTP {response.status_code} {response.reason} from {response.url}"
    code = f', code "{body["code"]}"' if "code" in body else ""
    return f"{body['error']} (HTTP {response.status_code}{code})"
