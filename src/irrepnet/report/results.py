"""A finished run as its folder tells it, for the pictures and the page."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.tasks.targets import Target, load_target
from irrepnet.training.files import CARD, as_mapping, as_table, file_of
from irrepnet.training.folder import METRICS, VERSIONS
from irrepnet.training.load import read_card


@dataclass(frozen=True)
class Results:
    """What the files of a run folder hold.

    Attributes:
        folder: the run folder.
        metrics: metrics.json.
        card: model.json.
        versions: versions.json.
    """

    folder: Path
    metrics: dict[str, Any]
    card: dict[str, Any]
    versions: dict[str, Any]

    @cached_property
    def targets(self) -> list[Target]:
        return [load_target(target) for target in self.card["targets"]]

    @cached_property
    def history(self) -> dict[str, np.ndarray]:
        """Columns of metrics.csv, (epochs,) each; NaN where empty."""
        rows = self.table("metrics.csv")
        return {key: np.array([_number(row[key]) for row in rows]) for key in rows[0] if key != "best"}

    def predictions(self, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """(n,) true values and predictions of the test crystals whose true value is known; all components of a tensor,
        one after the other."""
        rows = self.table("predictions_test.csv")
        true, predicted = (
            np.array([_number(row[f"{kind} {column}"]) for column in target.columns for row in rows])
            for kind in ("true", "predicted")
        )
        known = ~np.isnan(true)
        return true[known], predicted[known]

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file of the folder."""
        return as_table(self.folder / name, file_of(self.folder, self.card, name))


def read_results(folder: str | Path) -> Results:
    """Read the folder of a finished run; raises IrrepnetError when it is none."""
    folder = Path(folder)
    for name in (METRICS, CARD, VERSIONS):
        if not (folder / name).exists():
            raise IrrepnetError(f"{folder}: not a finished run (there is no {name})")
    card = read_card(folder)
    metrics, versions = (as_mapping(folder / name, file_of(folder, card, name)) for name in (METRICS, VERSIONS))
    return Results(folder, metrics, card, versions)


def _number(cell: str) -> float:
    return float(cell) if cell else np.nan
