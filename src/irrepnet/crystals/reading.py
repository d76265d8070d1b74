"""From a file, a pymatgen structure or a record to plain checked arrays.

Whatever a crystal comes as, `read_cell` reduces it to a `Cell` or refuses it with the reason.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from irrepnet.crystals.cell import Cell, checked, lattice_from_parameters
from irrepnet.crystals.cif import read_cif
from irrepnet.crystals.elements import atomic_number, only_element
from irrepnet.crystals.extxyz import read_frames
from irrepnet.crystals.poscar import read_poscar
from irrepnet.crystals.text import FileInMemory, is_named, read_text
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.inlets import json_value

if TYPE_CHECKING:
    from pymatgen.core import Structure

Cells = Iterator[Cell | IrrepnetError]

LEFT_OUT = "left out: "
"""So begins a note on what else a file holds."""


@dataclass(frozen=True)
class StructureFormat:
    """A kind of file that holds crystals."""

    name: str
    patterns: tuple[str, ...]
    """Of file names, see `is_named`."""
    read: Callable[[str], Cells]
    """The crystals in a text, not yet checked; of those that cannot be read, why."""


def read_cell(source: Any) -> Cell:
    """The crystal in `source`, checked.

    Args:
        source: a pymatgen Structure; a Cell; a path to a file, or a file in memory, with exactly one crystal (see
            `cells_in`); a record, that is a mapping with `species` (symbols), `frac_coords` (n, 3) and either `lattice`
            (3, 3) row vectors in Å or `cell` [a, b, c, α, β, γ] in Å and degrees; or an object with the
            attributes `species`, `frac_coords` and `lattice` of a record.

    A left-handed lattice is accepted: all its vectors and fractional coordinates change sign, which leaves
    every Cartesian position where it was. Oxidation states and spins are stripped; D and T count as H. A site that
    charges of one element share, such as Fe2+ and Fe3+, is full if they add up to 1 within 0.001.

    Raises:
        IrrepnetError: unreadable or empty source, several crystals in one file, wrong record keys, unknown
            or dummy species, disordered sites, non-finite numbers, a missing or singular lattice, or two
            atoms (or an atom and its own image) closer than 0.5 Å.
    """
    if isinstance(source, str):
        source = Path(source)
    if isinstance(source, Path | FileInMemory):
        return checked(only_cell(source))
    if isinstance(source, Cell):
        lattice, frac_coords = np.asarray(source.lattice, float), np.asarray(source.frac_coords, float)
        numbers = np.asarray(source.numbers)
        if numbers.ndim != 1 or not np.isin(numbers, np.arange(1, 119)).all():
            raise IrrepnetError(f"{source.name}: the atomic numbers are not n numbers from 1 to 118")
        return checked(Cell(lattice, frac_coords, numbers.astype(int), source.name, source.notes))
    if isinstance(source, Mapping):
        return checked(_from_record(source))
    if hasattr(source, "sites") and hasattr(source, "lattice"):
        return checked(cell_of_structure(source, f"structure {source.formula}"))
    if hasattr(source, "species") and hasattr(source, "frac_coords"):
        fields = ("id", "species", "frac_coords", "lattice")
        cell = _from_record({field: getattr(source, field, None) for field in fields})
        return checked(cell._replace(notes=tuple(getattr(source, "notes", ()))))
    raise IrrepnetError(f"a crystal is a pymatgen Structure, a file or a record, not a {type(source).__name__}")


def cells_in(path: str | Path | FileInMemory) -> Cells:
    """The crystals in a file in their order, not yet checked (`checked` does that); for each that cannot be read, why.

    Formats, by name: CIF (a crystal a data block; blocks without atoms are passed over), POSCAR, extended XYZ (a
    crystal a frame), JSON (a pymatgen dictionary, a record, or a list of these); any of them gzipped, in UTF-8, UTF-16
    or Latin-1. A cell is called by the file; its notes say what contradicts itself in the file and what was taken for
    granted, and what the libraries that read it warned of.

    Raises:
        IrrepnetError: the file is missing, of unknown format, empty or unreadable as a whole.
    """
    if isinstance(path, str):
        path = Path(path)
    if isinstance(path, Path) and not is_file(path):
        raise IrrepnetError(f"{path}: no such file")
    form = next((form for form in STRUCTURE_FORMATS if is_named(path, form.patterns)), None)
    if form is None:
        known = ", ".join(f"{form.name} ({', '.join(form.patterns)})" for form in STRUCTURE_FORMATS)
        raise IrrepnetError(f"{path}: unknown format; a structure file is one of {known}")
    text = read_text(path)
    if not text.strip():
        raise IrrepnetError(f"{path}: the file is empty")
    items, found = form.read(text), 0
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                item = next(items, None)
            except IrrepnetError as error:
                raise IrrepnetError(f"{path}: cannot be read as {form.name}: {error}") from error
            except Exception as error:  # a parser meets bad text in any way it likes; all of them are bad input
                reason = " ".join(str(error).split()) or type(error).__name__
                raise IrrepnetError(f"{path}: cannot be read as {form.name}: {reason}") from error
        if item is None:
            break
        found += 1
        if isinstance(item, IrrepnetError):
            yield IrrepnetError(f"{path}: {item}")
        else:
            warned = dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught)
            yield item._replace(name=str(path), notes=(*item.notes, *warned))
    if not found:
        raise IrrepnetError(f"{path}: holds no crystal")


def read_structures(path: str | Path) -> list[Structure]:
    """The crystals in a file as pymatgen Structures, unchecked (`read_cell` checks); formats as `cells_in`.

    What cannot be read is left out, with a warning that says why; so are the notes of the others.

    Raises:
        IrrepnetError: with the file's name, if it is missing, of unknown format, or holds nothing that can be read.
    """
    from pymatgen.core import Structure

    structures, refusal = [], None
    for item in cells_in(path):
        if isinstance(item, IrrepnetError):
            refusal = refusal or item
            warnings.warn(f"{LEFT_OUT}{item}", stacklevel=2)
            continue
        for note in item.notes:
            warnings.warn(f"{item.name}: {note}", stacklevel=2)
        structures.append(Structure(item.lattice, item.numbers.tolist(), item.frac_coords))
    if refusal is not None and not structures:
        raise refusal
    return structures


def cell_of_structure(structure: Structure, name: str) -> Cell:
    """The crystal in a pymatgen Structure, not yet checked.

    Raises:
        IrrepnetError: a site that elements share or that is not full, or a dummy species.
    """
    from pymatgen.core import DummySpecies

    place, numbers = f"{name}: " if name else "", []
    for index, site in enumerate(structure):
        dummies = [str(species) for species in site.species if isinstance(species, DummySpecies)]
        if dummies:
            raise IrrepnetError(f"{place}site {index + 1} holds the dummy species {dummies[0]}")
        try:
            numbers.append(atomic_number(only_element({str(species): part for species, part in site.species.items()})))
        except IrrepnetError as error:
            raise IrrepnetError(f"{place}site {index + 1} {error}") from None
    return Cell(structure.lattice.matrix, structure.frac_coords, np.array(numbers, int), name)


def only_cell(path: Path | FileInMemory) -> Cell:
    """The only crystal in a file, not yet checked; what cannot be read beside it becomes notes of it.

    Raises:
        IrrepnetError: as `cells_in`; there are several, or the only one cannot be read.
    """
    items = list(cells_in(path))
    cells = [item for item in items if isinstance(item, Cell)]
    refusals = [item for item in items if isinstance(item, IrrepnetError)]
    if not cells:
        raise refusals[0]
    if len(cells) > 1:
        raise IrrepnetError(f"{path}: holds {len(items)} crystals, one was expected; read_structures reads all")
    notes = (f"{LEFT_OUT}{str(refusal).removeprefix(f'{path}: ')}" for refusal in refusals)
    return cells[0]._replace(notes=(*cells[0].notes, *notes))


def _read_extxyz(text: str) -> Cells:
    for atoms in read_frames(text.splitlines()):
        if isinstance(atoms, IrrepnetError):
            yield atoms
        else:
            yield Cell(atoms.cell.array, atoms.cell.scaled_positions(atoms.positions), atoms.numbers, "")


def _read_json(text: str) -> Cells:
    from pymatgen.core import Structure

    content = json_value(text)
    entries = content if isinstance(content, list) else [content]
    for number, entry in enumerate(entries, start=1):
        place = f"entry {number}: " if len(entries) > 1 else ""
        try:
            if isinstance(entry, dict) and "sites" in entry:
                yield cell_of_structure(Structure.from_dict(entry), "structure")
            else:
                yield _from_record(entry)
        except IrrepnetError as error:
            yield IrrepnetError(f"{place}{error}")
        except Exception as error:  # of pymatgen
            reason = " ".join(str(error).split()) or type(error).__name__
            yield IrrepnetError(f"{place}cannot be read as a pymatgen Structure: {reason}")


STRUCTURE_FORMATS = (
    StructureFormat("CIF", ("*.cif", "*.mcif"), read_cif),
    StructureFormat("POSCAR", ("poscar*", "sposcar*", "contcar*", "*.vasp", "*.poscar"), read_poscar),
    StructureFormat("extended XYZ", ("*.xyz", "*.extxyz"), _read_extxyz),
    StructureFormat("JSON", ("*.json",), _read_json),
)
"""The first that matches a file's name counts."""


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
    return Cell(lattice, frac_coords, numbers, name)
