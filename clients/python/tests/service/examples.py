"""Runs the statements of documentation and compares what they print with what the documentation shows."""

from __future__ import annotations

import doctest
import re
from typing import Any, Callable, Dict, List

Names = Dict[str, Any]
Run = Callable[[List[doctest.Example]], Names]

_ID = re.compile(r"exe_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def run_examples(examples: list[doctest.Example], server_url: str, names: Names) -> None:
    """Run statements in order, with the address of the service in place of the documented ones.

    Args:
        examples: The statements and the output they should have.
        server_url: Address of the service, without a trailing slash.
        names: Variables before and, changed in place, after.

    Raises:
        AssertionError: If an output differs or a statement raises, with the report of doctest.
    """
    here = []
    for example in examples:
        there = replaced(example, '"http://pyexec.cluster:9999/"', repr(server_url + "/"))
        here.append(replaced(there, '"http://localhost:8080"', repr(server_url)))
    test = doctest.DocTest(here, {}, "documentation", None, 0, None)
    test.globs = names  # The constructor takes a copy.
    report: list[str] = []
    outcome = doctest.DocTestRunner(_Checker(), verbose=False).run(test, out=report.append, clear_globs=False)
    assert outcome.failed == 0, "".join(report)
    assert outcome.attempted == len(examples)


def replaced(example: doctest.Example, old: str, new: str) -> doctest.Example:
    """Return the statement with one text in place of another."""
    return doctest.Example(example.source.replace(old, new), example.want, lineno=example.lineno)


class _Checker(doctest.OutputChecker):
    """Compares output without ids, and without the line end that ``print`` adds to a line that has its own."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return _comparable(want) == _comparable(got)


def _comparable(output: str) -> str:
    return _ID.sub("exe_<uuid>", output).rstrip("\n")
