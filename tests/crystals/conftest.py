"""Crystals for these tests: the examples, and records of ../shared where it is present."""

import gzip
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MP_2018 = ROOT / ".." / "shared" / "data" / "mp_2018.jsonl.gz"


@pytest.fixture(scope="session")
def examples() -> dict[str, Path]:
    """The structure files that ship with the project, by formula."""
    return {path.stem: path for path in sorted((ROOT / "examples").glob("*.cif"))}


@pytest.fixture(scope="session")
def mp_2018() -> list[dict]:
    """All records of mp_2018."""
    if not MP_2018.exists():
        pytest.skip("../shared not present: no mp_2018")
    with gzip.open(MP_2018, "rt") as lines:
        return [json.loads(line) for line in lines]
