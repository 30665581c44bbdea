"""The examples in the docstrings that need no service do what they show."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from python_executor_client import archive, types


@pytest.mark.parametrize("module", [archive, types])
def test_docstring_examples(module: ModuleType) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
