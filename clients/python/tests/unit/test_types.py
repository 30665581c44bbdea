"""Requests and answers are converted without loss."""

from __future__ import annotations

from datetime import datetime

import pytest

from python_executor_client import ExecutionConfig, ExecutionResult, ExecutionStatus, Metadata, Termination, Usage


def test_config_is_sent_whole() -> None:
    assert ExecutionConfig(memory_mb=64, network_disabled=False).to_dict() == {
        "timeout_seconds": 300,
        "network_disabled": False,
        "memory_mb": 64,
        "disk_mb": 2048,
        "cpu_shares": 1024,
    }


def test_metadata_leaves_out_what_is_not_set() -> None:
    assert Metadata().to_dict() == {}
    assert Metadata("main.py", stdin="", env_vars=["A=1"]).to_dict() == {
        "entrypoint": "main.py",
        "stdin": "",
        "env_vars": ["A=1"],
    }


def test_metadata_holds_its_config_as_an_object() -> None:
    assert Metadata(config=ExecutionConfig(timeout_seconds=7)).to_dict()["config"]["timeout_seconds"] == 7


@pytest.mark.parametrize("status", list(ExecutionStatus))
def test_status_prints_as_the_word_on_the_wire(status: ExecutionStatus) -> None:
    assert str(status) == f"{status}" == status.value == status


def test_pending_and_running_are_not_final() -> None:
    assert [str(status) for status in ExecutionStatus if status.is_final] == ["completed", "failed", "killed"]


def test_result_takes_over_every_field() -> None:
    result = ExecutionResult.from_dict(
        {
            "execution_id": "exe_1",
            "status": "failed",
            "stdout": "out",
            "stderr": "err",
            "exit_code": 137,
            "error": "Time limit of 1 s exceeded",
            "started_at": "2024-02-29T23:59:58.5Z",
            "finished_at": "2024-03-01T00:00:00Z",
            "duration_ms": 1500,
            "error_type": "KeyError",
            "error_line": 3,
            "result": "42",
            "termination": {"reason": "timeout", "phase": "run", "signal": 9, "later": 1},
            "timed_out": True,
            "oom_killed": True,
            "stdout_truncated": True,
            "stderr_truncated": True,
            "usage": {"wall_ms": 1, "cpu_ms": 2, "memory_peak_bytes": 3, "later": 1},
            "warnings": ["odd"],
            "later": "unknown today",
        }
    )
    assert result == ExecutionResult(
        "exe_1",
        ExecutionStatus.FAILED,
        "out",
        "err",
        137,
        "Time limit of 1 s exceeded",
        datetime(2024, 2, 29, 23, 59, 58, 500_000),
        datetime(2024, 3, 1),
        1500,
        "KeyError",
        3,
        "42",
        Termination("timeout", "run", 9),
        True,
        True,
        True,
        True,
        Usage(1, 2, 3),
        ["odd"],
    )
    assert result.is_final


def test_result_of_a_pending_execution_has_defaults() -> None:
    result = ExecutionResult.from_dict({"execution_id": "exe_1", "status": "pending", "result": None})
    assert result == ExecutionResult("exe_1", ExecutionStatus.PENDING)
    assert not result.is_final


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2024-05-06T07:08:09Z", 0),
        ("2024-05-06T07:08:09.1Z", 100_000),
        ("2024-05-06T07:08:09.123Z", 123_000),
        ("2024-05-06T07:08:09.123456789Z", 123_456),
        ("2024-05-06T07:08:09", 0),
        ("2024-05-06T09:38:09.000+02:30", 0),
        ("2024-05-05T23:08:09-08:00", 0),
    ],
)
def test_timestamps_become_naive_utc(text: str, microsecond: int) -> None:
    result = ExecutionResult.from_dict({"execution_id": "exe_1", "status": "running", "started_at": text})
    assert result.started_at == datetime(2024, 5, 6, 7, 8, 9, microsecond)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": "running"}, '"execution_id" is missing'),
        ({"execution_id": "exe_1"}, '"status" is missing'),
        ({"execution_id": "exe_1", "status": "lost"}, "'lost' is not a valid ExecutionStatus"),
        ({"execution_id": "exe_1", "status": "running", "started_at": "now"}, '"now" is not a timestamp'),
    ],
)
def test_answers_that_make_no_sense_are_refused(answer: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ExecutionResult.from_dict(answer)
