"""The Hamiltonians of other codes."""

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "hamiltonians"


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("the Hamiltonians of other codes are not beside this checkout")
    return DATA
