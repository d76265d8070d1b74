"""Atoms as vectors."""

from functools import cache

import numpy as np
import torch
from torch import nn

HEAVIEST = 103  # pymatgen's tables thin out beyond lawrencium
FEATURES = (
    "group",
    "row",
    "electronegativity",
    "atomic radius",
    "ionic radius",
    "ionisation energy",
    "electron affinity",
    "root of the mass",
    "block",
    "Mendeleev number",
)


@cache
def element_features() -> np.ndarray:
    """(HEAVIEST + 1, len(FEATURES)) properties of the elements by atomic number, each with mean 0 and spread 1.

    Values are pymatgen's (electronegativity: Pauling; radii in Å; energies in eV; mass in u). Values that
    are not tabulated take the mean over the elements; row 0 is zero.
    """
    import warnings

    from pymatgen.core import Element

    def number(value: object) -> float:
        return float(value) if value is not None else np.nan  # type: ignore[arg-type]

    table = np.full((HEAVIEST + 1, len(FEATURES)), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of elements without a tabulated value
        for z in range(1, HEAVIEST + 1):
            e = Element.from_Z(z)
            values = (
                e.group,
                e.row,
                e.X,
                e.atomic_radius,
                e.average_ionic_radius or None,
                e.ionization_energy,
                e.electron_affinity,
                float(e.atomic_mass) ** 0.5,
                "spdf".index(e.block),
                e.mendeleev_no,
            )
            table[z] = [number(v) for v in values]
    table = (table - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    return np.nan_to_num(table)


class ElementEmbedding(nn.Module):
    """Atomic number → vector: a learned embedding plus a linear map of the tabulated properties.

    The table is saved with the weights, so that a trained model does not depend on where it came from.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(HEAVIEST + 1, channels)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.register_buffer("features", torch.from_numpy(element_features()).float())
        self.linear = nn.Linear(len(FEATURES), channels)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """(n,) → (n, channels)."""
        return self.embedding(numbers) + self.linear(self.get_buffer("features")[numbers])
