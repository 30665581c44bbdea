"""What all tests share."""

from __future__ import annotations

import pytest

from . import seed


@pytest.fixture(scope="session")
def seed_sections() -> dict[str, seed.Section]:
    """The sections of the seed document by name."""
    path = seed.seed_path()
    if not path.is_file():
        pytest.fail(f'Cannot read the seed document: "{path}" does not exist; set PYEXEC_SEED to its path')
    return seed.parse_sections(path.read_text(encoding="utf-8"))
