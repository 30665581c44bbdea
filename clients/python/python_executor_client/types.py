"""What goes to the service and what comes back.

Requests are described by :class:`Metadata` and :class:`ExecutionConfig`; answers are :class:`ExecutionResult`.

Example:
    >>> Metadata("main.py", script_args=["--fast"]).to_dict()
    {'entrypoint': 'main.py', 'script_args': ['--fast']}
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Mapping, Optional

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))?")


class ExecutionStatus(str, Enum):
    """Where an execution stands; prints as the word that goes over the wire.

    Attributes:
        PENDING: Accepted, waiting for its turn.
        RUNNING: A container works on it.
        COMPLETED: The program ran to its end, whatever its exit code.
        FAILED: The service or one of its limits ended the program, or it could not be started.
        KILLED: Stopped on request.

    Example:
        >>> print(ExecutionStatus.RUNNING)
        running
        >>> ExecutionStatus("killed").is_final
        True
    """

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    KILLED = "killed"

    def __str__(self) -> str:
        """Return the wire name, such as ``running``."""
        return str(self.value)

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more."""
        return self not in (ExecutionStatus.PENDING, ExecutionStatus.RUNNING)


@dataclass
class ExecutionConfig:
    """Limits of one execution. For a number, 0 stands for the default of the server.

    Attributes:
        timeout_seconds: Wall clock of pre-commands and script together, in seconds. Default 300.
        network_disabled: Whether the program runs without any network. Default True.
        memory_mb: Memory limit in MiB. Default 1024.
        disk_mb: Space for files in MiB. Default 2048.
        cpu_shares: CPU weight relative to other executions. Default 1024.

    Example:
        >>> ExecutionConfig(timeout_seconds=10).to_dict()["timeout_seconds"]
        10
    """

    timeout_seconds: int = 300
    network_disabled: bool = True
    memory_mb: int = 1024
    disk_mb: int = 2048
    cpu_shares: int = 1024

    def to_dict(self) -> dict[str, Any]:
        """Return all five limits under their wire names."""
        return asdict(self)


@dataclass
class Metadata:
    """How to run an uploaded archive. What is None is left out of the request.

    Attributes:
        entrypoint: Script to run, a path inside the archive. By default the service looks for ``main.py``, then
            ``__main__.py``, then takes the first ``.py``.
        docker_image: Image that brings the interpreter. Default: the server's, normally ``python:3.11-slim``.
        requirements_txt: Contents of a requirements file.
        pre_commands: Shell commands to run before the script, in order; the first that fails ends the run.
        stdin: What the program reads on standard input; end of file follows it.
        config: Limits. Default: those of the server.
        env_vars: Environment of the program, as ``KEY=value`` strings.
        script_args: What becomes ``sys.argv[1:]``, passed literally.

    Example:
        >>> Metadata("main.py", stdin="3 4", config=ExecutionConfig(memory_mb=256)).entrypoint
        'main.py'
    """

    entrypoint: Optional[str] = None
    docker_image: Optional[str] = None
    requirements_txt: Optional[str] = None
    pre_commands: Optional[list[str]] = None
    stdin: Optional[str] = None
    config: Optional[ExecutionConfig] = None
    env_vars: Optional[list[str]] = None
    script_args: Optional[list[str]] = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that are set, under their wire names, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass
class Termination:
    """Why and where an execution ended.

    Attributes:
        reason: ``exit``, ``signal``, ``timeout``, ``oom``, ``killed``, ``image_unavailable``, ``worker_lost``,
            ``internal`` and others that a newer server may know.
        phase: How far it had come: ``queue``, ``setup`` or ``run``.
        signal: Number of the signal that ended the program, if one did.

    Example:
        >>> Termination.from_dict({"reason": "signal", "phase": "run", "signal": 11}).signal
        11
    """

    reason: str
    phase: str
    signal: Optional[int] = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Termination:
        """Read the ``termination`` object of an answer; unknown keys are ignored.

        Raises:
            ValueError: If ``reason`` or ``phase`` is missing.
        """
        return cls(_required(data, "reason"), _required(data, "phase"), data.get("signal"))


@dataclass
class Usage:
    """What an execution used, as measured; None where the server did not say.

    Attributes:
        wall_ms: Elapsed time in milliseconds.
        cpu_ms: CPU time of all its processes in milliseconds.
        memory_peak_bytes: Highest memory use in bytes.

    Example:
        >>> Usage.from_dict({"wall_ms": 12, "cpu_ms": 9}).cpu_ms
        9
    """

    wall_ms: Optional[int] = None
    cpu_ms: Optional[int] = None
    memory_peak_bytes: Optional[int] = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Usage:
        """Read the ``usage`` object of an answer; unknown keys are ignored."""
        return cls(data.get("wall_ms"), data.get("cpu_ms"), data.get("memory_peak_bytes"))


@dataclass
class ExecutionResult:
    """State, output and end of one execution. Optional fields are None until they are known.

    Attributes:
        execution_id: ``exe_`` and a UUID.
        status: Where it stands; a program that ends with an error of its own is ``completed`` all the same.
        stdout: Standard output so far.
        stderr: Standard error so far.
        exit_code: Exit code of the program, 128 + signal when a signal ended it. Means something only when
            :attr:`is_final` is true.
        error: Why the execution failed, one sentence; only when status is ``failed``.
        started_at: When it started, a naive datetime in UTC.
        finished_at: When it ended, a naive datetime in UTC.
        duration_ms: How long it took, in milliseconds.
        error_type: Class of the exception that ended the program, such as ``ZeroDivisionError``.
        error_line: Line of that exception in the user's own file.
        result: ``repr()`` of the last expression, see :meth:`PythonExecutorClient.eval`.
        termination: Why and where it ended.
        timed_out: Whether the time limit ended it.
        oom_killed: Whether the memory limit killed the program or a child of it.
        stdout_truncated: Whether standard output was cut at the server's limit.
        stderr_truncated: Whether standard error was cut at the server's limit.
        usage: Measured time and memory.
        warnings: What the server found odd about the request, such as unknown fields.

    Example:
        >>> result = ExecutionResult.from_dict({"execution_id": "exe_1", "status": "completed", "exit_code": 0})
        >>> result.is_final, result.exit_code
        (True, 0)
    """

    execution_id: str
    status: ExecutionStatus
    stdout: Optional[str] = None
    stderr: Optional[str] = None
    exit_code: Optional[int] = None
    error: Optional[str] = None
    started_at: Optional[datetime] = None
    finished_at: Optional[datetime] = None
    duration_ms: Optional[int] = None
    error_type: Optional[str] = None
    error_line: Optional[int] = None
    result: Optional[str] = None
    termination: Optional[Termination] = None
    timed_out: bool = False
    oom_killed: bool = False
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    usage: Optional[Usage] = None
    warnings: list[str] = field(default_factory=list)

    @property
    def is_final(self) -> bool:
        """Whether the execution has ended, in whichever way."""
        return self.status.is_final

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExecutionResult:
        """Read an answer of the service; keys that this version does not know are ignored.

        Args:
            data: The decoded JSON object. ``execution_id`` and ``status`` are required.

        Returns:
            The result, with timestamps as naive datetimes in UTC.

        Raises:
            ValueError: If a required key is missing, or a status or timestamp cannot be understood.
        """
        termination = data.get("termination")
        usage = data.get("usage")
        return cls(
            execution_id=_required(data, "execution_id"),
            status=ExecutionStatus(_required(data, "status")),
            stdout=data.get("stdout"),
            stderr=data.get("stderr"),
            exit_code=data.get("exit_code"),
            error=data.get("error"),
            started_at=_parse_timestamp(data.get("started_at")),
            finished_at=_parse_timestamp(data.get("finished_at")),
            duration_ms=data.get("duration_ms"),
            error_type=data.get("error_type"),
            error_line=data.get("error_line"),
            result=data.get("result"),
            termination=None if termination is None else Termination.from_dict(termination),
            timed_out=bool(data.get("timed_out")),
            oom_killed=bool(data.get("oom_killed")),
            stdout_truncated=bool(data.get("stdout_truncated")),
            stderr_truncated=bool(data.get("stderr_truncated")),
            usage=None if usage is None else Usage.from_dict(usage),
            warnings=list(data.get("warnings") or []),
        )


def _required(data: Mapping[str, Any], key: str) -> str:
    if data.get(key) is None:
        raise ValueError(f'Cannot read the answer of the service: "{key}" is missing')
    return str(data[key])


def _parse_timestamp(value: Optional[str]) -> Optional[datetime]:
    """Turn RFC 3339 into a naive datetime in UTC, as version 1.0 of this client did.

    ``datetime.fromisoformat`` alone would not do: before Python 3.11 it knows neither ``Z`` nor fractions of other
    than three or six digits, and servers may send up to nine.
    """
    if not value:
        return None
    match = _TIMESTAMP.fullmatch(value)
    if match is None:
        raise ValueError(f'Cannot read the answer of the service: "{value}" is not a timestamp')
    date, time, fraction, sign, hours, minutes = match.groups()
    moment = datetime.fromisoformat(f"{date}T{time}.{(fraction or '')[:6]:0<6}")
    if sign is None:
        return moment
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return moment - offset if sign == "+" else moment + offset
