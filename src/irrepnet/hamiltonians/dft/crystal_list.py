"""Crystals to make Hamiltonians of: structure files, or structure types with compounds, scales and strains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from irrepnet.crystals import SymmetricCrystal, read_cell
from irrepnet.crystals.elements import atomic_number
from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.hamiltonians.dft.kohn_sham import grid_mesh, kmesh, scf_mesh
from irrepnet.hamiltonians.symmetry import space_group
from irrepnet.inlets import yaml_value

_FACE = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))
_BODY = ((0, 0, 0), (0.5, 0.5, 0.5))
_QUARTER = (0.25, 0.25, 0.25)
TYPES: dict[str, tuple[tuple[tuple[float, ...], ...], tuple[tuple[tuple[float, ...], ...], ...]]] = {
    "fcc": (_FACE, (((0, 0, 0),),)),
    "bcc": (_BODY, (((0, 0, 0),),)),
    "diamond": (_FACE, (((0, 0, 0), _QUARTER),)),
    "rocksalt": (_FACE, (((0, 0, 0),), ((0.5, 0.5, 0.5),))),
    "cscl": (((0, 0, 0),), (((0, 0, 0),), ((0.5, 0.5, 0.5),))),
    "zincblende": (_FACE, (((0, 0, 0),), (_QUARTER,))),
    "fluorite": (_FACE, (((0, 0, 0),), (_QUARTER, (0.75, 0.75, 0.75)))),
    "antifluorite": (_FACE, ((_QUARTER, (0.75, 0.75, 0.75)), ((0, 0, 0),))),
    "halfheusler": (_FACE, (((0, 0, 0),), (_QUARTER,), ((0.5, 0.5, 0.5),))),
    "perovskite": (
        ((0, 0, 0),),
        (((0, 0, 0),), ((0.5, 0.5, 0.5),), ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))),
    ),
}
"""Cubic structure types: lattice points of the conventional cell, and the sites of each element of the formula in its
order (ABX3: A on the corners; half-Heusler: the second element has the first and the third for neighbours)."""
SHAPED = ("wurtzite", "rutile")
"""Structure types that are not cubic: beside a, c in Å and the free coordinate u of the second element."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(_Section):
    """How a Hamiltonian is computed."""

    basis: str = "DZVP-MOLOPT-SR"
    """"SZV-MOLOPT-SR" or "DZVP-MOLOPT-SR"."""
    cutoff: float = Field(default=600.0, gt=0)
    """Ry, plane waves that the grid holds at least."""
    radius: float | None = Field(default=None, gt=0)
    """Å, of H(R); by default 10, or more where the most diffuse orbitals still overlap by 1e-7."""
    temperature: float = Field(default=0.05, gt=0)
    """eV, of the occupations."""
    tolerance: float = Field(default=1e-5, gt=0)
    """eV, the largest change of H(k) in the last cycle."""
    grid: tuple[int, int, int] | None = None
    """Divisions of the grid, instead of the smallest for `cutoff`."""
    kmesh: tuple[int, int, int] | None = None
    """Of H(R), instead of the smallest for `radius`."""
    scf_kmesh: tuple[int, int, int] | None = None
    """Of self-consistency, instead of the smallest whose supercell has no translation below 11.5 Å."""

    @classmethod
    def checked(cls, **values: Any) -> Settings:
        """Raises IrrepnetError for an unknown name or a value out of range."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise _refused("settings", error) from error


class Request(_Section):
    """One crystal to compute."""

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00-\x1f\x7f]*$")]
    """Of its file."""
    lattice: tuple[tuple[float, float, float], ...]
    """Å, rows."""
    species: tuple[str, ...]
    frac_coords: tuple[tuple[float, float, float], ...]
    settings: Settings = Settings()
    facts: dict[str, Any] = {}
    """Structure type, scale, strain and whatever else the list says of it."""

    @classmethod
    def from_structure(cls, source: Any, name: str, settings: Settings | None = None, **facts: Any) -> Request:
        """Of anything that `irrepnet.crystals.read_cell` reads.

        Raises IrrepnetError as it does, and for a name that no file can have.
        """
        from pymatgen.core.periodic_table import Element

        cell = read_cell(source)
        try:
            return cls(
                name=name,
                lattice=cell.lattice.tolist(),
                species=tuple(Element.from_Z(int(number)).symbol for number in cell.numbers),
                frac_coords=cell.frac_coords.tolist(),
                settings=settings or Settings(),
                facts=facts,
            )
        except ValidationError as error:
            raise _refused(f"crystal {name[:100]!r}", error) from None

    @property
    def crystal(self) -> SymmetricCrystal:
        """In its primitive cell and standard frame."""
        record = {"id": self.name, "species": self.species, "frac_coords": self.frac_coords, "lattice": self.lattice}
        return SymmetricCrystal.from_structure(record)


class Entry(_Section):
    """Crystals of one structure type."""

    type: str
    """One of `TYPES` or `SHAPED`."""
    compounds: dict[str, float | tuple[float, float, float]]
    """Formula, its elements in the order of the type → lattice constant in Å; of one of `SHAPED` a, c and u."""
    scales: tuple[float, ...] = (1.0,)
    """Of the lattice constant; all scales of a compound get the same grid and meshes of k."""
    strains: dict[str, tuple[float, float, float, float, float, float]] = {}
    """Name → strain ε_xx ε_yy ε_zz ε_yz ε_xz ε_xy, instead of no strain."""
    displacements: dict[str, tuple[tuple[float, float, float], ...]] = {}
    """Name → displacement in Å of each atom of the primitive cell, in the order of the type, instead of none."""
    settings: dict[str, Any] = {}
    """What differs from the settings of the list."""
    facts: dict[str, Any] = {}
    """What else is said of them, such as "hypothetical: true"."""


class CrystalList(_Section):
    """The document that a list file holds."""

    settings: Settings = Settings()
    crystals: tuple[Entry, ...]

    def requests(self) -> tuple[Request, ...]:
        """Each crystal. Raises IrrepnetError for an unknown type or formula, or a name that occurs twice."""
        found = [request for entry in self.crystals for request in _expand(entry, self.settings)]
        names = [request.name for request in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise IrrepnetError(f"the list has two crystals of the name {', '.join(twice)}")
        return tuple(found)


def read_list(path: str | Path) -> CrystalList:
    """A list file (YAML). Raises IrrepnetError if it cannot be read."""
    try:
        return CrystalList.model_validate(yaml_value(read_text(Path(path))))
    except IrrepnetError as error:
        raise IrrepnetError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None
    except ValidationError as error:
        raise _refused(str(path), error) from error


def _refused(what: str, error: ValidationError) -> IrrepnetError:
    first = error.errors()[0]
    return IrrepnetError(f"{what}: {'.'.join(map(str, first['loc']))}: {first['msg']}")


def released_list() -> CrystalList:
    """The crystals that come with the package."""
    return read_list(Path(str(files("irrepnet.hamiltonians.dft") / "released.yaml")))


def parse_crystal(text: str) -> Entry:
    """An entry from "type:formula:lattice constant": "rocksalt:MgO:4.212", "wurtzite:ZnO:3.250:5.207:0.382"."""
    try:
        kind, formula, a, *shape = text.split(":")
        return Entry.model_validate(
            {"type": kind, "compounds": {formula: [float(a), *map(float, shape)] if shape else float(a)}}
        )
    except ValueError as error:
        raise IrrepnetError(
            f"{text!r}: neither a file nor type:formula:lattice constant, such as rocksalt:MgO:4.212 or "
            "wurtzite:ZnO:3.250:5.207:0.382 (a, c in Å, u)"
        ) from error


def named_crystals(source: str, settings: Settings, scales: tuple[float, ...] = (1.0,)) -> tuple[Request, ...]:
    """What one word names: "released", a list file (*.yaml), a structure file, or type:formula:lattice constant.

    Args:
        settings: of structure files and types; a list has its own.
        scales: of the lattice constant of a type.

    Raises IrrepnetError if it is none of these, or cannot be read.
    """
    path = Path(source)
    if source == "released":
        return released_list().requests()
    if path.suffix.lower() in (".yaml", ".yml"):
        try:
            return read_list(path).requests()
        except IrrepnetError as error:
            raise IrrepnetError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    if is_file(path):
        return (Request.from_structure(path, path.stem, settings, file=path.name),)
    entry = parse_crystal(source).model_copy(update={"scales": scales})
    return CrystalList(settings=settings, crystals=(entry,)).requests()


def _expand(entry: Entry, settings: Settings) -> list[Request]:
    settings = Settings.checked(**settings.model_dump() | entry.settings)
    made = []
    for formula, constants in entry.compounds.items():
        constant, *shape = constants if isinstance(constants, tuple) else (constants,)
        lattice, species, points = _prototype(entry.type, formula, constant, shape)
        variants: list[tuple[str, np.ndarray, np.ndarray]] = [
            (f"-{name}", _strain(strain), np.zeros((len(species), 3))) for name, strain in entry.strains.items()
        ]
        for name, moves in entry.displacements.items():
            if len(moves) != len(species):
                raise IrrepnetError(f"{formula}: {name} displaces {len(moves)} atoms, the cell has {len(species)}")
            variants.append((f"-{name}", np.eye(3), np.array(moves)))
        for suffix, deformation, moves in variants or [("", np.eye(3), np.zeros((len(species), 3)))]:
            scan = []
            for scale in entry.scales:
                vectors = lattice * (constant * scale) @ deformation
                record = {
                    "species": species,
                    "lattice": vectors,
                    "frac_coords": points + moves @ np.linalg.inv(vectors),
                }
                facts = {"type": entry.type, "scale": scale, "lattice_constant": constant}
                facts |= dict(zip("cu", shape)) | entry.facts
                if suffix:
                    facts["variant"] = suffix[1:]
                name = f"{formula}-{entry.type}-{scale:.2f}{suffix}"
                scan.append(Request.from_structure(record, name, settings, **facts))
            made += _with_equal_meshes(scan)
    return made


def _with_equal_meshes(scan: list[Request]) -> list[Request]:
    """The same crystal at several scales: grid and meshes of k that suffice for all."""
    if len(scan) == 1:
        return scan
    scan = sorted(scan, key=lambda request: request.facts["scale"])
    smallest, largest = scan[0].crystal, scan[-1].crystal
    settings = scan[0].settings
    cell = read_cell({"species": largest.species, "lattice": largest.lattice, "frac_coords": largest.frac_coords})
    fixed = {
        "grid": settings.grid or grid_mesh(space_group(cell), largest.lattice, settings.cutoff),
        "scf_kmesh": settings.scf_kmesh or scf_mesh(smallest.lattice),
    }
    if settings.radius is not None:
        fixed["kmesh"] = settings.kmesh or kmesh(smallest.lattice, 2 * settings.radius)
    settings = settings.model_copy(update=fixed)
    return [request.model_copy(update={"settings": settings}) for request in scan]


def _strain(strain: tuple[float, ...]) -> np.ndarray:
    xx, yy, zz, yz, xz, xy = strain
    return np.eye(3) + np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _prototype(
    kind: str, formula: str, constant: float, shape: Sequence[float]
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Primitive lattice vectors in units of a, species, fractional coordinates."""
    if kind not in (*TYPES, *SHAPED):
        raise IrrepnetError(f"unknown structure type {kind!r}; known are {', '.join((*TYPES, *SHAPED))}")
    if (kind in SHAPED) != (len(shape) == 2):
        raise IrrepnetError(f"{formula}: {kind} takes {'a, c and u' if kind in SHAPED else 'one lattice constant'}")
    lattice, sites = _shaped(kind, shape[0] / constant, shape[1]) if shape else _cubic(kind)
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    symbols, counts = [symbol for symbol, _ in parts], [int(count or 1) for _, count in parts]
    least = min(len(own) for own in sites)
    wanted = [len(own) // least for own in sites]
    if "".join(map("".join, parts)) != formula or counts != wanted:
        example = "".join(f"{letter}{count if count > 1 else ''}" for letter, count in zip("ABX", wanted))
        raise IrrepnetError(f"{formula!r} is no formula of the type {kind}: {example}")
    for symbol in symbols:
        atomic_number(symbol)
    species = tuple(symbol for symbol, own in zip(symbols, sites) for _ in own)
    return lattice, species, np.concatenate(sites)


def _cubic(kind: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Primitive lattice vectors in units of a, and the fractional coordinates of each element's sites."""
    centring, sites = TYPES[kind]
    if len(centring) == 4:
        lattice = np.array(_FACE[1:])
    elif len(centring) == 2:
        lattice = np.array([[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]])
    else:
        lattice = np.eye(3)
    return lattice, [np.array(own, float) @ np.linalg.inv(lattice) for own in sites]


def _shaped(kind: str, c: float, u: float) -> tuple[np.ndarray, list[np.ndarray]]:
    """The same of a type that is not cubic, with c in units of a."""
    if kind == "wurtzite":
        first = np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5]])
        return np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, c]]), [first, first + np.array([0, 0, u])]
    others = [[u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    return np.diag([1, 1, c]), [np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.array(others)]
