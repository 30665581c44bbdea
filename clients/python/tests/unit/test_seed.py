"""Nothing of the seed document's examples gets lost on the way into the service tests."""

from __future__ import annotations

import re

from ..seed import Section, seed_path


def test_every_statement_of_the_examples_is_extracted(seed_sections: dict[str, Section]) -> None:
    document = seed_path().read_text(encoding="utf-8")
    statements = re.findall(r"^\s*>>> (?!#)", document, re.MULTILINE)
    assert sum(len(section.examples) for section in seed_sections.values()) == len(statements)


def test_examples_come_with_the_output_that_the_document_shows(seed_sections: dict[str, Section]) -> None:
    outputs = {name: [example.want for example in section.examples] for name, section in seed_sections.items()}
    assert outputs["python_executor_client.client"] == ["", "", "", "Hello, World!\n", "0\n", ""]
    assert outputs["execute_sync"] == ["", "", "0\n", "'Hello, World!\\n'\n", "", ""]
    assert outputs["get_execution"] == ["", "", "running\n"]
    assert outputs["wait_for_completion"] == ["", "", "", "done\n", ""]
