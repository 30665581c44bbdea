"""Reads the document that fixes the public interface of this client: its signatures and its examples."""

from __future__ import annotations

import doctest
import os
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

_HEADING = re.compile(r"#+ <kbd>\w+</kbd> `([\w.]+)`")
_PROMPT = re.compile(r"\s*(>>>|\.\.\.)( |$)")


@dataclass
class Section:
    """One heading of the document and the code below it.

    Attributes:
        signature: The signature as the document prints it, "" for the module and the class.
        examples: The statements of the examples with the output that the document shows.
    """

    signature: str = ""
    examples: list[doctest.Example] = field(default_factory=list)


def seed_path() -> Path:
    """Where the document is: ``PYEXEC_SEED``, else in the folder ``shared`` beside the repository."""
    given = os.environ.get("PYEXEC_SEED")
    if given:
        return Path(given)
    repository = Path(__file__).resolve().parents[3]
    return repository.parent / "shared" / "seed" / "python_executor_client.client.md"


def parse_sections(document: str) -> dict[str, Section]:
    """Return the sections of the document, by the name in their heading."""
    sections: dict[str, Section] = {}
    section = Section()
    block: list[str] | None = None
    for line in document.splitlines():
        heading = _HEADING.match(line)
        if heading:
            section = sections.setdefault(heading.group(1), Section())
        elif block is None:
            block = [] if line.strip() == "```python" else None
        elif line.strip() == "```":
            _add_block(section, block)
            block = None
        else:
            block.append(line)
    return sections


def _add_block(section: Section, lines: list[str]) -> None:
    if any(_PROMPT.match(line) for line in lines):
        section.examples += doctest.DocTestParser().get_examples(_straighten(lines))
    else:
        section.signature = "\n".join(lines)


def _straighten(lines: list[str]) -> str:
    """Undo the indentation that the document's generator gave to whole blocks and to single prompts."""
    dedented = textwrap.dedent("\n".join(lines)).splitlines()
    return "\n".join(line.lstrip() if _PROMPT.match(line) else line for line in dedented) + "\n"
