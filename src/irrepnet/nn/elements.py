"""Atoms as vectors."""

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from irrepnet.errors import IrrepnetError

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


def _tabulate(properties: Callable[[Any], Sequence[float]]) -> np.ndarray:
    """(HEAVIEST + 1, n) the n properties of every pymatgen Element by atomic number; row 0 is NaN."""
    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of elements without a tabulated value
        rows = np.array([properties(Element.from_Z(z)) for z in range(1, HEAVIEST + 1)], float)
    return np.vstack([np.full_like(rows[:1], np.nan), rows])


def _number(value: Any) -> float:
    """NaN for what is not tabulated."""
    return np.nan if value is None else float(value)


@cache
def element_features() -> np.ndarray:
    """(HEAVIEST + 1, len(FEATURES)) properties of the elements by atomic number, each with mean 0 and spread 1.

    Values are pymatgen's (electronegativity: Pauling; radii in Å; energies in eV; mass in u). Values that
    are not tabulated take the mean over the elements; row 0 is zero.
    """
    table = _tabulate(
        lambda e: (
            e.group,
            e.row,
            e.X,
            _number(e.atomic_radius),
            _number(e.average_ionic_radius or None),
            _number(e.ionization_energy),
            _number(e.electron_affinity),
            float(e.atomic_mass) ** 0.5,
            "spdf".index(e.block),
            e.mendeleev_no,
        )
    )
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


Atoms = Literal["bins", "embedding", "properties"]

# property, lowest value, highest value, bins between them
BINS = (
    ("group", 1, 18, 18),
    ("period", 1, 7, 7),
    ("electronegativity", 0.5, 4.0, 10),
    ("covalent radius", 25, 250, 10),
    ("valence electrons", 1, 12, 12),
    ("log of the ionisation energy", 1.3, 3.3, 10),
    ("electron affinity", -3.0, 3.7, 10),
    ("block", 1, 4, 4),
    ("log of the atomic volume", 1.5, 4.3, 10),
)


@cache
def binned_properties() -> np.ndarray:
    """(HEAVIEST + 1, len(BINS)) the bin of each property of each element by atomic number; -1 where it has none.

    The properties and the bins are those of CGCNN (Xie & Grossman, Phys. Rev. Lett. 120, 145301 (2018), table S1),
    with seven periods. The values are pymatgen's: Pauling electronegativities, atomic radii in pm (Slater, J. Chem.
    Phys. 41, 3199 (1964), the table of that range), first ionisation energies in eV (NIST), electron affinities in eV,
    molar volumes in cm³/mol, logarithms to base e. Valence electrons are those beyond the last noble gas, without
    a filled d shell in the p block and without f. A value outside the range is in the outermost bin; an element
    without a tabulated value, such as the electronegativity of argon, has no bin.
    """
    table = _tabulate(
        lambda e: (
            e.group,
            e.row,
            e.X,
            100 * _number(e.atomic_radius),
            _valence_electrons(e.full_electronic_structure, e.row, e.block),
            np.log(_number(e.ionization_energy)),
            _number(e.electron_affinity),
            1 + "spdf".index(e.block),
            np.log(_number(e.molar_volume)),
        )
    )
    _, low, high, size = (np.array(column) for column in zip(*BINS))
    # whole numbers have a bin each; a range is divided evenly
    width = np.where(high - low == size - 1, 1.0, (high - low) / size)
    bins = np.clip(np.floor((table - low) / width), 0, size - 1)
    return np.where(np.isnan(table), -1, bins).astype(np.int64)


def _valence_electrons(shells: list[tuple[int, str, int]], period: int, block: str) -> int:
    """Outer s and p electrons, and those of the open d shell: 1 to 12."""
    outer = {"s": period, "p": period, "d": period - 1 if block in "df" else 0}
    return sum(electrons for n, kind, electrons in shells if outer.get(kind) == n)


class ElementBins(nn.Module):
    """Atomic number → vector: one-hot bins of the element's properties (:func:`binned_properties`), then a linear map.

    The table is saved with the weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        bins = binned_properties()
        start = np.cumsum([0, *(size for _, _, _, size in BINS)])
        one_hot = np.zeros((len(bins), start[-1]), np.float32)
        z, column = np.nonzero(bins >= 0)
        one_hot[z, start[column] + bins[z, column]] = 1.0
        self.register_buffer("features", torch.from_numpy(one_hot))
        self.linear = nn.Linear(one_hot.shape[1], channels)

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        """(n,) → (n, channels)."""
        return nn.functional.embedding(numbers, self.linear(self.get_buffer("features")))


def atom_embedding(kind: Atoms, channels: int) -> nn.Module:
    """A module from atomic numbers (n,) to vectors (n, channels).

    Args:
        kind: "bins", :class:`ElementBins` as in CGCNN; "embedding", learned and nothing else; "properties",
            :class:`ElementEmbedding`, learned plus a linear map of tabulated properties.
    """
    match kind:
        case "bins":
            return ElementBins(channels)
        case "embedding":
            return nn.Embedding(HEAVIEST + 1, channels)
        case "properties":
            return ElementEmbedding(channels)
    raise IrrepnetError(f"unknown kind of atoms {kind!r}; choose one of {', '.join(get_args(Atoms))}")
