"""The examples in the docstrings and in the README of this client do what they show."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import python_executor_client
from python_executor_client import client as client_module

from .examples import Run

DOCSTRINGS = [
    docstring
    for module in (python_executor_client, client_module)
    for docstring in doctest.DocTestFinder(exclude_empty=True).find(module)
    if docstring.examples
]


@pytest.mark.parametrize("docstring", DOCSTRINGS, ids=lambda docstring: docstring.name)
def test_docstring_example(docstring: doctest.DocTest, run: Run) -> None:
    run(docstring.examples)


def test_readme_examples(run: Run) -> None:
    readme = Path(__file__).resolve().parents[2] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        run(doctest.DocTestParser().get_examples(block))
