"""From a file, a pymatgen structure or a record to plain checked arrays.

Whatever a crystal comes as, `read_cell` reduces it to a `Cell` or refuses it with the reason; every later
step may rely on what is checked here: ordered, finite, right-handed, no two atoms on top of each other.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import moyopy
import numpy as np

from irrepnet.crystals.elements import atomic_number
from irrepnet.crystals.extxyz import read_frames
from irrepnet.crystals.pairs import LONGEST, SEARCH, close_pairs
from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from pymatgen.core import Structure

CLOSEST = 0.5
"""Å; atoms nearer than this are refused as overlapping (the shortest bond known, H-H, is 0.74 Å)."""

FARTHEST = 1e5
"""Fractional coordinates are refused beyond this: their digits within the cell are lost."""

FORMATS = "CIF (.cif), POSCAR (POSCAR*, CONTCAR*, SPOSCAR*, .vasp, .poscar), extended XYZ (.xyz, .extxyz), JSON (.json)"


class Cell(NamedTuple):
    """A checked crystal as arrays."""

    lattice: np.ndarray
    """(3, 3) row vectors, Å, right-handed."""
    frac_coords: np.ndarray
    """(n, 3)"""
    numbers: np.ndarray
    """(n,) atomic numbers."""
    name: str
    """What error messages call it: the file, the record's id, or the formula."""


def read_cell(source: Any) -> Cell:
    """The crystal in `source`, checked.

    Args:
        source: a pymatgen Structure; a Cell; a path to a file with exactly one structure (see `read_structures`);
            a record, that is a mapping with `species` (symbols), `frac_coords` (n, 3) and either `lattice`
            (3, 3) row vectors in Å or `cell` [a, b, c, α, β, γ] in Å and degrees; or an object with the
            attributes `species`, `frac_coords` and `lattice` of a record.

    A left-handed lattice is accepted: all its vectors and fractional coordinates change sign, which leaves
    every Cartesian position where it was. Oxidation states and spins are stripped; D and T count as H.

    Raises:
        IrrepnetError: unreadable or empty source, several structures in one file, wrong record keys, unknown
            or dummy species, disordered sites, non-finite numbers, a missing or singular lattice, or two
            atoms (or an atom and its own image) closer than 0.5 Å.
    """
    if isinstance(source, str | Path):
        structures = read_structures(source)
        if len(structures) != 1:
            raise IrrepnetError(
                f"{source}: holds {len(structures)} structures, one was expected; use read_structures for all"
            )
        return _from_structure(structures[0], str(source))
    if isinstance(source, Cell):
        lattice, frac_coords = np.asarray(source.lattice, float), np.asarray(source.frac_coords, float)
        numbers = np.asarray(source.numbers)
        if numbers.ndim != 1 or not np.isin(numbers, np.arange(1, 119)).all():
            raise IrrepnetError(f"{source.name}: the atomic numbers are not n numbers from 1 to 118")
        return _checked(lattice, frac_coords, numbers.astype(int), source.name)
    if isinstance(source, Mapping):
        return _from_record(source)
    if hasattr(source, "sites") and hasattr(source, "lattice"):
        return _from_structure(source, f"structure {source.formula}")
    if hasattr(source, "species") and hasattr(source, "frac_coords"):
        fields = ("id", "species", "frac_coords", "lattice")
        return _from_record({field: getattr(source, field, None) for field in fields})
    raise IrrepnetError(f"a crystal is a pymatgen Structure, a file or a record, not a {type(source).__name__}")


def read_structures(path: str | Path) -> list[Structure]:
    """All structures in a file, as pymatgen Structures, unchecked (`read_cell` checks).

    Formats, by name: CIF (one structure a data block), POSCAR with the line of element symbols, extended XYZ
    with `Lattice="…"` (one structure a frame), JSON (a pymatgen dictionary, a record, or a list of these).

    Raises:
        IrrepnetError: with the file's name, if it is missing, of unknown format, unreadable or empty.
    """
    path = Path(path)
    if not path.is_file():
        raise IrrepnetError(f"{path}: no such file")
    reader = _reader(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        if not text.strip():
            raise IrrepnetError("the file is empty")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            structures = reader(text)
    except IrrepnetError as error:
        raise IrrepnetError(f"{path}: {error}") from error
    except Exception as error:  # a parser meets bad text in any way it likes; all of them are bad input
        reason = " ".join(str(error).split()) or type(error).__name__
        raise IrrepnetError(f"{path}: cannot be read as {reader.__doc__}: {reason}") from error
    if not structures:
        raise IrrepnetError(f"{path}: holds no structure")
    return structures


def lattice_from_parameters(cell: Sequence[float]) -> np.ndarray:
    """(3, 3) row vectors in Å, c along z and a in the xz plane, from [a, b, c, α, β, γ] in Å and degrees.

    Raises:
        IrrepnetError: not six positive numbers, or no parallelepiped has these angles.
    """
    if len(cell) != 6 or not all(0 < parameter < math.inf for parameter in cell):
        raise IrrepnetError(f"cell is [a, b, c, α, β, γ], six positive numbers, got {list(cell)}")
    a, b, c = cell[:3]
    alpha, beta, gamma = map(math.radians, cell[3:])
    x = math.sin(beta)
    # b = (x_b, y_b, cos α) as a unit vector: its product with a is cos γ
    x_b = (math.cos(gamma) - math.cos(alpha) * math.cos(beta)) / x if x else math.inf
    y_b_squared = math.sin(alpha) ** 2 - x_b**2
    if not y_b_squared > 0:
        raise IrrepnetError(f"no cell has the angles {', '.join(f'{angle:g}°' for angle in cell[3:])}")
    rows = [[x, 0, math.cos(beta)], [x_b, math.sqrt(y_b_squared), math.cos(alpha)], [0, 0, 1]]
    return np.array(rows) * np.array([[a], [b], [c]])


def _reader(path: Path):
    name, suffix = path.name.upper(), path.suffix.lower()
    if suffix == ".cif":
        return _read_cif
    if suffix in (".vasp", ".poscar") or name.startswith(("POSCAR", "CONTCAR", "SPOSCAR")):
        return _read_poscar
    if suffix in (".xyz", ".extxyz"):
        return _read_extxyz
    if suffix == ".json":
        return _read_json
    raise IrrepnetError(f"{path}: unknown format; a structure file is one of {FORMATS}")


def _read_cif(text: str) -> list[Structure]:
    """CIF"""
    from pymatgen.io.cif import CifParser

    return CifParser.from_str(text).parse_structures(primitive=False, on_error="raise")


def _read_poscar(text: str) -> list[Structure]:
    """POSCAR"""
    from pymatgen.io.vasp import Poscar

    # Without element symbols pymatgen warns and invents H, He, Li...; that must never pass.
    warnings.filterwarnings("error", message=".*false names.*")
    return [Poscar.from_str(text).structure]


def _read_extxyz(text: str) -> list[Structure]:
    """extended XYZ"""
    from pymatgen.core import Structure

    structures = []
    for atoms in read_frames(text.splitlines()):
        if isinstance(atoms, IrrepnetError):
            raise atoms
        symbols = atoms.get_chemical_symbols()
        structures.append(Structure(atoms.cell.array, symbols, atoms.positions, coords_are_cartesian=True))
    return structures


def _read_json(text: str) -> list[Structure]:
    """JSON"""
    from pymatgen.core import Structure

    content = json.loads(text)
    structures = []
    for item in content if isinstance(content, list) else [content]:
        if isinstance(item, dict) and "sites" in item:
            structures.append(Structure.from_dict(item))
        else:
            cell = _from_record(item)
            structures.append(Structure(cell.lattice, cell.numbers.tolist(), cell.frac_coords))
    return structures


def _from_structure(structure: Structure, name: str) -> Cell:
    from pymatgen.core import DummySpecies

    if len(structure) == 0:
        raise IrrepnetError(f"{name}: holds no atoms")
    for index, site in enumerate(structure):
        if not site.is_ordered:
            raise IrrepnetError(
                f"{name}: site {index + 1} is disordered ({site.species_string}); "
                "only fully occupied sites are supported"
            )
        if isinstance(site.specie, DummySpecies):
            raise IrrepnetError(f"{name}: site {index + 1} holds the dummy species {site.specie}")
    numbers = np.array([site.specie.Z for site in structure])
    return _checked(structure.lattice.matrix, structure.frac_coords, numbers, name)


def _from_record(record: Mapping[str, Any]) -> Cell:
    if not isinstance(record, Mapping):
        raise IrrepnetError(f"a record is a mapping, not a {type(record).__name__}")
    name = str(next((record[key] for key in ("id", "material_id") if record.get(key)), "record"))
    missing = [key for key in ("species", "frac_coords") if record.get(key) is None]
    if record.get("lattice") is None and record.get("cell") is None:
        missing.append("lattice (or cell)")
    if missing:
        raise IrrepnetError(f"{name}: no {', '.join(missing)} among its keys: {', '.join(map(str, record))}")
    try:
        numbers = np.array([atomic_number(symbol) for symbol in record["species"]], dtype=int)
        frac_coords = np.array(record["frac_coords"], dtype=float)
        if record.get("lattice") is not None:
            lattice = np.array(record["lattice"], dtype=float)
        else:
            lattice = lattice_from_parameters(record["cell"])
    except IrrepnetError as error:
        raise IrrepnetError(f"{name}: {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise IrrepnetError(f"{name}: species, coordinates or lattice are no numbers: {error}") from error
    return _checked(lattice, frac_coords, numbers, name)


def _checked(lattice: np.ndarray, frac_coords: np.ndarray, numbers: np.ndarray, name: str) -> Cell:
    if len(numbers) == 0:
        raise IrrepnetError(f"{name}: holds no atoms")
    if lattice.shape != (3, 3):
        raise IrrepnetError(f"{name}: the lattice has shape {lattice.shape}, not (3, 3)")
    if frac_coords.shape != (len(numbers), 3):
        raise IrrepnetError(f"{name}: {len(numbers)} species but frac_coords of shape {frac_coords.shape}, not (n, 3)")
    if not np.isfinite(lattice).all():
        raise IrrepnetError(f"{name}: the lattice has non-finite numbers")
    usable = (abs(frac_coords) < FARTHEST).all(axis=1)
    if not usable.all():
        site = int(np.argmin(usable))
        raise IrrepnetError(
            f"{name}: the fractional coordinates of site {site + 1} are not finite or beyond {FARTHEST:g}"
        )
    volume = np.linalg.det(lattice)
    if abs(volume) <= 1e-8 * np.prod(np.linalg.norm(lattice, axis=1)):
        raise IrrepnetError(f"{name}: the lattice is singular, its vectors span no volume")
    if volume < 0:
        lattice, frac_coords = -lattice, -frac_coords
    _refuse_overlaps(lattice, frac_coords, numbers, name)
    return Cell(lattice, frac_coords, numbers, name)


def _refuse_overlaps(lattice: np.ndarray, frac_coords: np.ndarray, numbers: np.ndarray, name: str) -> None:
    # In the reduced basis a thin, skewed cell costs no more than a compact one.
    try:
        reduced = np.array(moyopy.minkowski_reduce(lattice.tolist())[0])
    except ValueError:
        extremes = np.linalg.norm(lattice, axis=1)
        raise IrrepnetError(
            f"{name}: the lattice cannot be reduced, its vectors are {extremes.min():.3g} to "
            f"{extremes.max():.3g} Å long; check its unit and numbers"
        ) from None
    lengths = np.linalg.norm(reduced, axis=1)
    shortest, longest = lengths.min(), lengths.max()
    if longest > LONGEST:
        raise IrrepnetError(
            f"{name}: the cell is {longest:.3g} Å long, {LONGEST:g} at most are supported; is its unit Å?"
        )
    if shortest < CLOSEST:
        raise IrrepnetError(f"{name}: each atom overlaps its own image {shortest:.3g} Å away; check the lattice")
    points = frac_coords % 1.0 @ lattice
    first, second, shift = close_pairs(points, reduced, SEARCH, twice=False)
    distance = np.linalg.norm(points[second] - points[first] + shift @ reduced, axis=1)
    closest = int(np.argmin(distance)) if len(distance) else None
    if closest is not None and distance[closest] < CLOSEST:
        from pymatgen.core.periodic_table import Element

        pair = [int(first[closest]), int(second[closest])]
        sites = " and ".join(f"{site + 1} ({Element.from_Z(int(numbers[site])).symbol})" for site in pair)
        raise IrrepnetError(f"{name}: sites {sites} overlap, they are {distance[closest]:.3g} Å apart")
