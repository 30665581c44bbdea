"""Run Python code in isolated containers, on a python-executor service.

Example:
    >>> from python_executor_client import PythonExecutorClient
    >>> with PythonExecutorClient("http://localhost:8080") as client:
    ...     print(client.eval("6 * 7").result)
    42
"""

from __future__ import annotations

from .client import PythonExecutorClient
from .types import ExecutionConfig, ExecutionResult, ExecutionStatus, Metadata, Termination, Usage

__version__ = "1.1.0"

__all__ = [
    "ExecutionConfig",
    "ExecutionResult",
    "ExecutionStatus",
    "Metadata",
    "PythonExecutorClient",
    "Termination",
    "Usage",
    "__version__",
]
