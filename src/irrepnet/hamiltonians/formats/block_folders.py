"""What DeepH and DeePTB have in common: folders of blocks between atoms in HDF5, the structure in text files.

Both keep blocks ⟨i, 0| H |j, R⟩ in eV, dense, one dataset for each pair of atoms; where a folder has a block but not
its reverse, that follows from Hermiticity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import all_numbers, needs, save_bytes
from irrepnet.hamiltonians.model import Hamiltonian, cell_index
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis
from irrepnet.inlets import json_value

H_FILE, S_FILE = "hamiltonians.h5", "overlaps.h5"
Blocks = dict[tuple[int, ...], np.ndarray]
"""{(a, b, Rx, Ry, Rz): block}, atoms from 0."""


@contextmanager
def reading(folder: Path, structure: Path | None) -> Iterator[None]:
    """Whatever a folder's files hold instead of what they should is bad input, and so is a structure beside them."""
    if structure is not None:
        raise IrrepnetError(f"{folder}: its folder holds the structure, no other can be given")
    try:
        yield
    except IrrepnetError as error:
        if str(folder) in str(error):
            raise
        raise IrrepnetError(f"{folder}: {error}") from error
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise IrrepnetError(f"{folder}: cannot be read: {' '.join(str(error).split())}") from error


def read_blocks(
    folder: Path, basis: OrbitalBasis, blocks_in: Callable[[Any], Blocks], fermi: float | None = None
) -> Hamiltonian:
    """The Hamiltonian of a folder, with S if it has that file; `blocks_in` gives the blocks of an open HDF5 file."""
    parts = []
    for name in (H_FILE, S_FILE):
        if name == H_FILE or (folder / name).is_file():
            with needs("h5py").File(folder / name, "r") as file:
                parts.append(blocks_in(file))
    # A block whose reverse is not there gives it.
    for blocks in parts:
        for (a, b, *R), block in list(blocks.items()):
            blocks.setdefault((b, a, *(-x for x in R)), block.conj().T)
    R = np.unique(np.array([key[2:] for blocks in parts for key in blocks]), axis=0)
    index = cell_index(R)
    matrices = []
    for blocks in parts:
        kind = np.result_type(float, *(block.dtype for block in blocks.values()))
        full = np.zeros((len(R), len(basis), len(basis)), kind)
        for (a, b, *cell), block in blocks.items():
            rows, columns = basis.orbitals[a], basis.orbitals[b]
            if block.shape != (len(rows), len(columns)):
                raise IrrepnetError(
                    f"{folder}: the block between atoms {a + 1} and {b + 1} is {block.shape[0]} × {block.shape[1]}, "
                    f"their shells {letters(basis, a)} and {letters(basis, b)} make {len(rows)} × {len(columns)}"
                )
            full[index(np.array(cell)), rows[:, None], columns] = block
        matrices.append(full)
    S = matrices[1] if len(matrices) > 1 else None
    return Hamiltonian(R, matrices[0], S, basis, fermi, str(folder))


def write_blocks(
    folder: Path,
    hamiltonian: Hamiltonian,
    key: Callable[..., str],
    as_in_file: Callable[[np.ndarray, str], np.ndarray] | None = None,
) -> None:
    """The blocks that are not zero, H and S in a file each.

    `key` of a, b, Rx, Ry, Rz is the name of a dataset, `as_in_file` of a block and the file's name what is written.
    """
    orbitals = hamiltonian.known_basis.orbitals
    for name, matrix in ((H_FILE, hamiltonian.H), (S_FILE, hamiltonian.S)):
        if matrix is None:
            continue
        stream = BytesIO()
        with needs("h5py").File(stream, "w") as file:
            for R, full in zip(hamiltonian.R.tolist(), matrix):
                for a, b in np.ndindex(len(orbitals), len(orbitals)):
                    block = full[np.ix_(orbitals[a], orbitals[b])]
                    if block.any():
                        file[key(a, b, *R)] = block if as_in_file is None else as_in_file(block, name)
        save_bytes(folder / name, stream.getvalue())


def basis_of_atoms(hamiltonian: Hamiltonian) -> OrbitalBasis:
    """Its basis; raises IrrepnetError unless its sites are the atoms."""
    basis = hamiltonian.known_basis
    if basis.centres.shape != basis.cell.frac_coords.shape or abs(basis.centres - basis.cell.frac_coords).max() > 1e-3:
        raise IrrepnetError(f"{hamiltonian.name}: this format needs orbitals on every atom, and on nothing else")
    return basis


def letters(basis: OrbitalBasis, site: int) -> str:
    return "".join(LETTERS[shell.l] for shell in basis.shells_of(site))


def make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IrrepnetError(f"{folder}: cannot be made: {error}") from error


def info_of(folder: Path) -> dict[str, Any]:
    """Of info.json; empty if it is not there."""
    if not (folder / "info.json").is_file():
        return {}
    try:
        found = json_value(text(folder, "info.json"))
    except ValueError as error:
        raise IrrepnetError(f"{folder / 'info.json'}: cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise IrrepnetError(f"{folder / 'info.json'}: holds no names with values")
    return found


def numbers_in(folder: Path, name: str) -> np.ndarray:
    """All in the order of a file."""
    try:
        return all_numbers(text(folder, name))
    except IrrepnetError:
        raise
    except ValueError as error:
        raise IrrepnetError(f"{folder / name}: holds something that is no number: {error}") from error


def text(folder: Path, name: str) -> str:
    if not (folder / name).is_file():
        raise IrrepnetError(f"{folder}: cannot be read: it has no {name}")
    return read_text(folder / name)
