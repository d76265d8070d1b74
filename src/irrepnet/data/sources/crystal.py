"""One crystal, as a library holds it, becomes a record, or a rejection that says why not."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from irrepnet.crystals.elements import only_element
from irrepnet.data.records import Record, Rejection, merged, plain
from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from ase import Atoms

BORN_CHARGES = ("becs", "bec", "born_charge", "born_effective_charges")
"""Names of arrays of ASE Atoms that are read as `born_charges`."""
ID_KEYS = ("material_id", "id")
"""Of mappings; the first that there is counts."""


def attempt(id: str, place: str, make: Callable[..., Record], *arguments: Any) -> Record | Rejection:
    """The record that `make` gives of the arguments, or why there is none; the reason names the place."""
    try:
        return make(*arguments)
    except IrrepnetError as error:
        return Rejection(id, f"{place}: {error}")
    except Exception as error:  # a library meets bad input in any way it likes
        return Rejection(id, f"{place}: cannot be read: {' '.join(str(error).split()) or type(error).__name__}")


def id_of(entry: Any, otherwise: str) -> str:
    """What a record or a mapping calls itself."""
    if isinstance(entry, Record):
        return entry.id
    names = [entry.get(key) for key in ID_KEYS] if isinstance(entry, Mapping) else []
    return str(next((name for name in names if name is not None), otherwise))


def is_crystal(value: Any) -> bool:
    """Whether `record_of` knows what to do with it."""
    if isinstance(value, Mapping):
        return bool({"sites", "species", "structure"} & set(map(str, value)))
    return isinstance(value, Record) or _is_structure(value) or _is_atoms(value)


def record_of(crystal: Any, id: str, properties: Mapping[str, Any] | None = None, source: str = "") -> Record:
    """A record of a crystal of any kind.

    Args:
        crystal: a pymatgen Structure, with its site properties and properties; ASE Atoms (`record_of_atoms`); a
            mapping, either pymatgen's of a Structure, or a document with such a one under `structure`, as the Materials
            Project's are, or of the record format (`Record.from_dict`); or a Record.
        id: its id, unless it is a Record or a mapping that has one.
        properties: besides its own.
        source: kept in the record, unless it is a Record.

    Raises:
        IrrepnetError: it is none of these, or cannot be used.
    """
    if isinstance(crystal, Record):
        record = crystal
    elif isinstance(crystal, Mapping) and crystal.get("structure") is not None and "species" not in crystal:
        record = _record_of_structure(crystal["structure"], id_of(crystal, id), source)
        others = {key: value for key, value in crystal.items() if key not in ("structure", *ID_KEYS)}
        record = record.with_properties(merged(others))
    elif isinstance(crystal, Mapping) and "sites" not in crystal:
        record = Record.from_dict(crystal, id, source)
    elif isinstance(crystal, Mapping) or _is_structure(crystal):
        record = _record_of_structure(crystal, id, source)
    elif _is_atoms(crystal):
        record = record_of_atoms(crystal, id, {}, source)
    else:
        what = type(crystal).__name__
        raise IrrepnetError(f"a crystal is a pymatgen Structure, ASE Atoms, a record or a mapping of one, not a {what}")
    return record.with_properties(properties or {})


def _is_structure(value: Any) -> bool:
    return hasattr(value, "sites") and hasattr(value, "lattice")


def _is_atoms(value: Any) -> bool:
    return hasattr(value, "get_chemical_symbols") and hasattr(value, "calc")


def _record_of_structure(structure: Any, id: str, source: str) -> Record:
    from pymatgen.core import Structure

    if isinstance(structure, Mapping):
        structure = Structure.from_dict(plain(structure))
    own = merged(structure.properties or {}, structure.site_properties)
    return Record.from_structure(structure, id, own, source)


def record_of_atoms(atoms: "Atoms", id: str, properties: Mapping[str, Any], source: str) -> Record:
    """A record of ASE Atoms, in their order, with `atoms.info`, `atoms.arrays` and the results of `atoms.calc`.

    Nine numbers become 3×3, row after row, and nine numbers an atom n×3×3; `stress` is always 3×3 (eV/Å³, positive
    under tension), six numbers being Voigt's xx yy zz yz xz xy. `BORN_CHARGES` are called `born_charges`; which of
    their two indices is the field's stays as it was.

    Args:
        atoms: n atoms.
        id: of the record.
        properties: more of what is known of the atoms, by the same rules.
        source: kept in the record.

    Raises:
        IrrepnetError: not periodic in all directions, partly occupied, unknown elements, results of a geometry that
            the atoms no longer have, or a name with two values.
    """
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        flags = " ".join("FT"[bool(flag)] for flag in atoms.pbc)
        raise IrrepnetError(
            f"periodic in {atoms.cell.rank} directions (pbc {flags}): a crystal has three lattice vectors and is "
            "periodic in all three directions"
        )
    occupancy = atoms.info.get("occupancy")
    for number, site in occupancy.items() if isinstance(occupancy, Mapping) else ():
        try:
            only_element(site if isinstance(site, Mapping) else {})
        except IrrepnetError as error:
            raise IrrepnetError(f"site {number} {error}") from None
    calculator: Any = atoms.calc
    results = getattr(calculator, "results", {})
    if results and calculator.check_state(atoms):
        raise IrrepnetError(
            "the results of the calculator are those of another geometry; compute them again, or set atoms.calc to None"
        )
    from ase.outputs import all_outputs
    from pymatgen.core import Lattice

    tensors = {name for name, output in all_outputs.items() if output.shapespec == (3, 3)}
    arrays = {name: array for name, array in atoms.arrays.items() if name not in ("numbers", "positions")}
    # what ASE's reader of CIFs leaves there says nothing that the atoms do not
    info = {name: value for name, value in atoms.info.items() if type(value).__name__ != "Spacegroup"}
    own = [
        *(_named(name, value, False) for name, value in arrays.items()),
        *(_named(name, value, name in tensors) for name, value in results.items()),
        *(_named(name, value, True) for part in (info, properties) for name, value in part.items()),
    ]
    frac_coords = Lattice(atoms.cell.array).get_fractional_coords(atoms.positions)
    crystal = {"species": atoms.get_chemical_symbols(), "frac_coords": frac_coords, "lattice": atoms.cell.array}
    return Record.from_dict(crystal, id, source).with_properties(merged(*own))


def _named(name: str, value: Any, nine_are_a_tensor: bool) -> dict[str, Any]:
    """A value under the name and in the shape that records have it; an atom's nine numbers are always a tensor."""
    from ase.stress import voigt_6_to_full_3x3_stress

    name = "born_charges" if name in BORN_CHARGES else name
    if isinstance(value, list | tuple | np.ndarray) and not _is_ragged(value):
        shape = np.shape(value)
        if name == "stress" and shape == (6,):
            value = voigt_6_to_full_3x3_stress(value)
        elif shape == (9,) and (nine_are_a_tensor or name == "stress"):
            value = np.reshape(value, (3, 3))
        elif len(shape) == 2 and shape[1] == 9:
            value = np.reshape(value, (-1, 3, 3))
    return {name: value}


def _is_ragged(value: Any) -> bool:
    try:
        return np.ndim(value) == 0
    except ValueError:
        return True
