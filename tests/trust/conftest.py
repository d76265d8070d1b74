"""The suite of docs/trust.md: `make trust` runs all of it, and so much as a second bears goes with the other tests.

TRUST_SCALE is the share of all cases, TRUST_SEED chooses them, TRUST_FIGURES a file that gets a line of JSON a test.
"""

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCALE = float(os.environ.get("TRUST_SCALE") or 0.01)
SEED = int(os.environ.get("TRUST_SEED") or 0)
FIGURES = os.environ.get("TRUST_FIGURES")


class Trust:
    """How many cases a test has, which, and what it says of them."""

    def __init__(self, name: str) -> None:
        self.figures: dict[str, Any] = {"test": name, "scale": SCALE, "seed": SEED}
        self.rng = np.random.default_rng([SEED, zlib.crc32(name.encode())])

    def count(self, whole: int, least: int = 1) -> int:
        """So many of the cases of the whole suite."""
        return max(least, round(whole * SCALE))

    def some(self, cases: list[Any]) -> list[Any]:
        """So many of these, evenly."""
        chosen = np.linspace(0, len(cases) - 1, min(len(cases), self.count(len(cases), 2)))
        return [cases[k] for k in sorted({int(k) for k in chosen})]

    def tell(self, what: str, **figures: Any) -> None:
        self.figures |= {"what": what, **figures}


@pytest.fixture
def trust(request: pytest.FixtureRequest) -> Iterator[Trust]:
    own, start = Trust(request.node.name), time.perf_counter()
    yield own
    own.figures["seconds"] = round(time.perf_counter() - start, 1)
    line = json.dumps(own.figures)
    print(f"\n{line}")
    if FIGURES:
        with Path(FIGURES).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The table of docs/trust.md."""
    if not FIGURES or not Path(FIGURES).exists():
        return
    lines = [json.loads(line) for line in Path(FIGURES).read_text(encoding="utf-8").splitlines()]
    terminalreporter.write_line(f"\nscale {SCALE:g}, seed {SEED}\n\n| what | figures | s |\n|---|---|---|")
    for line in lines:
        about = {"test", "scale", "seed", "what", "seconds"}
        said = [f"{key} {value}" for key, value in line.items() if key not in about]
        terminalreporter.write_line(f"| {line.get('what', line['test'])} | {', '.join(said)} | {line['seconds']:g} |")
