"""Force constants, Born charges and permittivities from files.

Read without phonopy: a structure of the supercell with FORCE_CONSTANTS (or, with h5py, force_constants.hdf5), and
charges in JSON. phonopy reads its own phonopy.yaml, phonopy_params.yaml and BORN, which refer to its choice of cells.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import Cell, SymmetricCrystal, input_atoms, read_cell
from irrepnet.crystals.phonopy_files import read_force_constants
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.inlets import json_value
from irrepnet.phonons.gamma import summed_constants

UNIT = "eV/angstrom^2"
"""Of force constants, as phonopy names it."""


@dataclass(frozen=True, eq=False)
class CellConstants:
    """Force constants of a cell of N atoms as a file has them."""

    cell: Cell
    constants: np.ndarray
    """(r, N, 3, 3) eV/Å², in the axes of the cell."""
    rows: np.ndarray
    """(r,) the atoms whose forces they are."""
    masses: np.ndarray | None
    """(N,) u, if the file tells them."""
    source: str
    """What to call it."""

    def at_gamma(self, crystal: SymmetricCrystal) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, 3, n, 3) force constants at Γ and (n,) masses of the primitive cell, in the standard frame.

        Raises IrrepnetError if the cell is not the crystal.
        """
        masses = self.masses
        if masses is not None:
            at = input_atoms(crystal, self.cell)
            masses = np.bincount(at, masses) / np.bincount(at)
        return summed_constants(crystal, self.cell, self.constants, self.rows), masses


@dataclass(frozen=True, eq=False)
class CellCharges:
    """Born charges and the electronic permittivity of a cell of N atoms as a file has them."""

    cell: Cell
    born_charges: np.ndarray
    """(N, 3, 3) e, ∂P_i/∂u_j, in the axes of the cell."""
    electronic: np.ndarray | None
    """(3, 3) ε∞, if the file tells it."""
    source: str
    """What to call it."""

    def at_gamma(self, crystal: SymmetricCrystal) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, 3, 3) charges of the primitive cell, the mean over the images of an atom, and (3, 3) ε∞; standard frame.

        Raises IrrepnetError if the cell is not the crystal.
        """
        at, turn = input_atoms(crystal, self.cell), crystal.rotation
        charges = np.zeros((len(crystal), 3, 3))
        np.add.at(charges, at, self.born_charges)
        charges /= np.bincount(at)[:, None, None]
        return turn.T @ charges @ turn, None if self.electronic is None else turn.T @ self.electronic @ turn


@dataclass(frozen=True, eq=False)
class PhononFile:
    """What is known of a crystal's vibrations."""

    cell: Cell
    """The crystal."""
    constants: CellConstants | None
    charges: CellCharges | None


def read_phonons(
    file: str | Path, force_constants: str | Path | None = None, born: str | Path | None = None
) -> PhononFile:
    """A crystal with what files tell of its force constants and Born charges.

    Args:
        file: a structure file, or phonopy's phonopy.yaml, phonopy_disp.yaml or phonopy_params.yaml with whatever it
            holds. A record (JSON) may hold `born_charges` and `e_electronic`.
        force_constants: phonopy's FORCE_CONSTANTS or force_constants.hdf5, of the supercell that `file` is or names;
            with a phonopy.yaml also FORCE_SETS.
        born: JSON with `born_charges` (N, 3, 3), ∂P_i/∂u_j in e, and `e_electronic` (3, 3), of its own structure if it
            holds one, else of the atoms of `file` in their order; with a phonopy.yaml also phonopy's BORN.

    Raises:
        IrrepnetError: a file cannot be read or does not fit, or phonopy or h5py is needed and not installed.
    """
    file = Path(file)
    if {".yaml", ".yml"} & {suffix.lower() for suffix in file.suffixes}:  # phonopy reads .yaml.xz too
        found = _read_phonopy(file, force_constants, born)
        return found if born is None or not _is_json(born) else replace(found, charges=_read_charges(born, found.cell))
    cell = read_cell(file)
    charges = None
    if born is not None:
        if not _is_json(born):
            raise IrrepnetError(
                f"{born}: charges are read from JSON; phonopy's BORN needs its phonopy.yaml in place of {file}"
            )
        charges = _read_charges(born, cell)
    elif _is_json(file) and (record := _record(file)) is not None and record.get("born_charges") is not None:
        charges = _charges_of(record, cell, str(file))
    constants = None if force_constants is None else _read_constants(Path(force_constants), cell)
    return PhononFile(cell, constants, charges)


# -- force constants ----------------------------------------------------------------------------------------


def _read_constants(path: Path, cell: Cell) -> CellConstants:
    """Of the cell, by the name of the file."""
    constants, rows, unit = _read_file(path)
    if unit not in (None, UNIT):
        raise IrrepnetError(
            f"{path}: is in {unit}, not in {UNIT}; give phonopy.yaml, which tells units, as the structure"
        )
    n = len(cell.numbers)
    if constants.shape[1] != n:
        raise IrrepnetError(
            f"{path}: holds force constants of a cell of {constants.shape[1]} atoms, and {cell.name} has {n}; give the "
            "structure of that supercell (phonopy's SPOSCAR), or phonopy.yaml"
        )
    return CellConstants(cell, constants, rows, None, str(path))


def _read_file(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """(r, N, 3, 3), (r,) the atoms that the rows are, and the unit if the file tells it."""
    try:
        if path.suffix.lower() in (".hdf5", ".h5"):
            return _read_hdf5(path)
    except IrrepnetError as error:
        raise IrrepnetError(f"{path}: {error}") from error
    rows, constants = read_force_constants(path)
    return constants, rows, None


def _read_hdf5(path: Path) -> tuple[np.ndarray, np.ndarray, str | None]:
    """phonopy's force_constants.hdf5."""
    try:
        import h5py
    except ImportError as error:
        raise IrrepnetError("needs the package h5py, which is in the extra irrepnet[phonons]") from error
    try:
        with h5py.File(path, "r") as file:
            name = next((name for name in ("force_constants", "fc2") if name in file), None)
            if name is None:
                raise IrrepnetError(f"holds no force_constants; its datasets are {', '.join(file) or 'none'}")
            constants = np.array(file[name], float)
            rows = np.array(file["p2s_map"], int) if "p2s_map" in file else None
            unit = np.array(file["physical_unit"])[0].decode() if "physical_unit" in file else None
    except IrrepnetError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise IrrepnetError(f"cannot be read as HDF5: {' '.join(str(error).split())}") from error
    if constants.ndim != 4 or constants.shape[2:] != (3, 3) or not np.isfinite(constants).all():
        raise IrrepnetError(f"force constants are finite numbers (r, N, 3, 3), not {constants.shape}")
    if len(constants) == constants.shape[1]:
        rows = np.arange(len(constants))
    if rows is None or len(rows) != len(constants) or not _are_rows(rows, constants.shape[1]):
        raise IrrepnetError("its p2s_map does not say which atoms the rows are")
    return constants, rows, unit


def _are_rows(rows: np.ndarray, columns: int) -> bool:
    return len(np.unique(rows)) == len(rows) and bool(((rows >= 0) & (rows < columns)).all())


# -- charges ------------------------------------------------------------------------------------------------


def _is_json(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".json"


def _record(path: str | Path) -> Mapping[str, Any] | None:
    """The mapping in a JSON file; None if it is none."""
    try:
        content = json_value(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as JSON: {error}") from error
    return content if isinstance(content, Mapping) else None


def _read_charges(path: str | Path, cell: Cell) -> CellCharges:
    record = _record(path)
    if record is None or record.get("born_charges") is None:
        raise IrrepnetError(f"{path}: has no key born_charges")
    return _charges_of(record, read_cell(record) if "frac_coords" in record else cell, str(path))


def _charges_of(record: Mapping[str, Any], cell: Cell, name: str) -> CellCharges:
    electronic = record.get("e_electronic")
    try:
        charges = np.array(record["born_charges"], float)
        electronic = None if electronic is None else np.array(electronic, float)
    except (TypeError, ValueError) as error:
        raise IrrepnetError(f"{name}: born_charges or e_electronic are no numbers: {error}") from error
    if charges.shape != (len(cell.numbers), 3, 3):
        raise IrrepnetError(f"{name}: born_charges are ({len(cell.numbers)}, 3, 3), not {charges.shape}")
    if electronic is not None and electronic.shape != (3, 3):
        raise IrrepnetError(f"{name}: e_electronic is 3×3, not {electronic.shape}")
    return CellCharges(cell, charges, electronic, name)


# -- phonopy ------------------------------------------------------------------------------------------------


def _read_phonopy(file: Path, force_constants: str | Path | None, born: str | Path | None) -> PhononFile:
    """With phonopy.yaml or what is like it; its own units, cells and numbering of atoms."""
    try:
        import phonopy
        from phonopy.interface.phonopy_yaml import PhonopyYaml
        from phonopy.physical_units import get_calculator_physical_units
    except ImportError as error:
        raise IrrepnetError(f"{file}: needs the package phonopy, which is in the extra irrepnet[phonons]") from error
    if not is_file(file):
        raise IrrepnetError(f"{file}: no such file")
    try:
        data = PhonopyYaml()
        data.read(file)
        if data.unitcell is None:
            raise IrrepnetError("it holds no unit cell")
        # not phonopy.load, which takes up FORCE_SETS and BORN of whatever folder the command runs in
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            phonon = phonopy.Phonopy(
                data.unitcell,
                np.eye(3, dtype=int) if data.supercell_matrix is None else data.supercell_matrix,
                primitive_matrix="auto" if data.primitive_matrix is None else data.primitive_matrix,
                calculator=data.calculator,
                log_level=0,
            )
        units = get_calculator_physical_units(data.calculator)
        constants = _phonopy_constants(phonon, data, file, force_constants)
        charges = data.nac_params if born is None or _is_json(born) else _phonopy_born(phonon, born)
    except Exception as error:  # phonopy meets bad text in any way it likes; all of it is bad input
        reason = " ".join(str(error).split()) or type(error).__name__
        raise IrrepnetError(
            f"{file}: {'' if isinstance(error, IrrepnetError) else 'phonopy says: '}{reason}"
        ) from error

    def cell_of(atoms: Any) -> Cell:
        return read_cell(Cell(atoms.cell * units.distance_to_A, atoms.scaled_positions, atoms.numbers, str(file)))

    found = None
    if constants is not None:
        values, rows, source = constants
        values = values * (units.force_to_eVperA / units.distance_to_A)
        found = CellConstants(cell_of(phonon.supercell), values, rows, phonon.supercell.masses, source)
    return PhononFile(
        cell=cell_of(phonon.unitcell),
        constants=found,
        charges=None
        if charges is None
        else CellCharges(
            cell_of(phonon.primitive), charges["born"], charges["dielectric"], str(file if born is None else born)
        ),
    )


def _phonopy_constants(
    phonon: Any, data: Any, file: Path, given: str | Path | None
) -> tuple[np.ndarray, np.ndarray, str] | None:
    """(r, N, 3, 3) in phonopy's units, (r,) rows, and where they are from; None if nowhere."""
    from phonopy.file_IO import parse_FORCE_SETS
    from phonopy.interface.calculator import get_force_constant_conversion_factor
    from phonopy.structure.dataset import forces_in_dataset

    n = len(phonon.supercell)
    if given is not None and not Path(given).name.upper().startswith("FORCE_SETS"):
        values, rows, unit = _read_file(Path(given))
        if values.shape[1] != n:
            raise IrrepnetError(f"its supercell has {n} atoms, {given} holds {values.shape[1]}")
        return (
            values * (1 if unit is None else get_force_constant_conversion_factor(unit, data.calculator)),
            rows,
            str(given),
        )
    if given is None and data.force_constants is not None:
        values = np.asarray(data.force_constants)
        return values, np.arange(n) if len(values) == n else phonon.primitive.p2s_map, str(file)
    dataset = data.dataset if given is None else parse_FORCE_SETS(natom=n, filename=given)
    if not forces_in_dataset(dataset):
        return None
    phonon.dataset = dataset
    phonon.produce_force_constants(calculate_full_force_constants=False)
    return phonon.force_constants, phonon.primitive.p2s_map, f"forces in {file if given is None else given}"


def _phonopy_born(phonon: Any, path: str | Path) -> Any:
    from phonopy.file_IO import parse_BORN

    if not is_file(Path(path)):
        raise IrrepnetError(f"{path}: no such file")
    return parse_BORN(phonon.primitive, filename=path)
