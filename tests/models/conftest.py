"""Crystals for these tests."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def examples() -> dict[str, Path]:
    """The structure files that ship with the project, by formula."""
    return {path.stem: path for path in sorted((ROOT / "examples").glob("*.cif"))}
