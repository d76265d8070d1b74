"""Folders of DeepH and of DeePTB: blocks between atoms in HDF5, the structure in text files. Needs h5py.

Both keep blocks ⟨i, 0| H |j, R⟩ in eV, dense, one dataset for each pair of atoms; where a folder has a block but not
its reverse, that follows from Hermiticity. Sources: the documentation and the readers of DeepH-pack
(github.com/mzjb/DeepH-pack) and DeePTB (github.com/deepmodeling/DeePTB).

DeepH: hamiltonians.h5, overlaps.h5 with datasets "[Rx, Ry, Rz, i, j]", atoms from 1, orbitals in the order of OpenMX
(px py pz; dz2 dx2-y2 dxy dxz dyz); lat.dat and rlat.dat (columns are the vectors), site_positions.dat (3, n, Å),
element.dat, orbital_types.dat (l of the shells of each atom), info.json with the Fermi level.

DeePTB: the same two names with a group for each frame and datasets "i_j_Rx_Ry_Rz", atoms from 0, m rising; cell.dat,
positions.dat (Å), atomic_numbers.dat, info.json. The shells are an option of every run, or in basis.dat of dftio.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.model import Hamiltonian, cell_index
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis, Shell, cell_as_given, shells_by_element

H_FILE, S_FILE = "hamiltonians.h5", "overlaps.h5"
Blocks = dict[tuple[int, ...], np.ndarray]
"""{(a, b, Rx, Ry, Rz): block}, atoms from 0."""


def needs(module: str) -> Any:
    """An optional module; raises IrrepnetError with the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise IrrepnetError(
            f"this format needs {module}: install it with pip install 'irrepnet[hamiltonians]' ({error})"
        ) from error


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Whatever a folder's files hold instead of what they should is bad input."""
    try:
        yield
    except IrrepnetError:
        raise
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise IrrepnetError(f"{folder}: cannot be read: {' '.join(str(error).split())}") from error


def is_deeph(folder: Path) -> bool:
    return (folder / "orbital_types.dat").is_file()


def read_deeph(folder: str | Path) -> Hamiltonian:
    """A DeepH folder; S if overlaps.h5 is there. Raises IrrepnetError if a file is missing or does not fit."""
    folder = Path(folder)
    from pymatgen.core.periodic_table import Element

    def read(name: str) -> Blocks:
        with needs("h5py").File(folder / name, "r") as file:
            found = {}
            for key, block in file.items():
                x, y, z, i, j = json.loads(key)
                found[i - 1, j - 1, x, y, z] = np.array(block)
            return found

    with _reading(folder):
        lattice = _numbers(folder / "lat.dat").reshape(3, 3).T
        positions = _numbers(folder / "site_positions.dat").reshape(3, -1).T
        elements = _numbers(folder / "element.dat").astype(int)
        lines = [line.split() for line in _text(folder / "orbital_types.dat").splitlines() if line.strip()]
        if not len(lines) == len(elements) == len(positions):
            raise IrrepnetError(f"{folder}: element.dat, site_positions.dat and orbital_types.dat differ in atoms")
        info = json.loads(_text(folder / "info.json")) if (folder / "info.json").is_file() else {}
        if info.get("isspinful"):
            raise IrrepnetError(f"{folder}: spinful Hamiltonians are not supported")
        symbols = [Element.from_Z(int(number)).symbol for number in elements]
        cell = cell_as_given(lattice, symbols, positions @ np.linalg.inv(lattice), str(folder))
        shells = tuple(Shell.of(atom, int(l), "deeph") for atom, ls in enumerate(lines) for l in ls)
        basis = OrbitalBasis(cell, cell.frac_coords, shells)
        return _assembled(basis, read, info.get("fermi_level"), folder)


def write_deeph(hamiltonian: Hamiltonian, folder: str | Path) -> None:
    """A DeepH folder; orbitals are put into its order. Raises IrrepnetError unless all orbitals are whole shells."""
    hamiltonian = hamiltonian.in_convention("deeph")
    folder, basis = _made(folder), _sites_are_atoms(hamiltonian)
    lattice = basis.cell.lattice
    np.savetxt(folder / "lat.dat", lattice.T)
    np.savetxt(folder / "rlat.dat", 2 * np.pi * np.linalg.inv(lattice))
    np.savetxt(folder / "site_positions.dat", (basis.centres @ lattice).T)
    np.savetxt(folder / "element.dat", basis.cell.numbers, fmt="%d")
    lines = [" ".join(str(s.l) for s in basis.shells_of(site)) for site in range(len(basis.centres))]
    (folder / "orbital_types.dat").write_text("\n".join(lines) + "\n", encoding="utf-8")
    info = {"isspinful": False} | ({} if hamiltonian.fermi is None else {"fermi_level": hamiltonian.fermi})
    (folder / "info.json").write_text(json.dumps(info), encoding="utf-8")
    for name, blocks in _by_file(hamiltonian):
        with needs("h5py").File(folder / name, "w") as file:
            for (a, b, *R), block in blocks.items():
                file[str([*R, a + 1, b + 1])] = block


def read_deeptb(folder: str | Path, shells: str | None = None) -> Hamiltonian:
    """The first frame of a DeePTB folder; S if overlaps.h5 is there.

    Args:
        shells: on each element, "spd" for all or "Mg:sp,O:sspp"; also DeePTB's own "Mg:2s2p,O:2s2p1d". Those of
            basis.dat if None.

    Raises IrrepnetError if a file is missing or does not fit the shells.
    """
    folder = Path(folder)
    from pymatgen.core.periodic_table import Element

    def read(name: str) -> Blocks:
        with needs("h5py").File(folder / name, "r") as file:
            frame = file[min(file, key=int)]
            return {tuple(map(int, key.split("_"))): np.array(block) for key, block in frame.items()}

    with _reading(folder):
        symbols = [Element.from_Z(int(z)).symbol for z in _numbers(folder / "atomic_numbers.dat")]
        lattice = _numbers(folder / "cell.dat").reshape(-1, 3, 3)[0]
        positions = _numbers(folder / "positions.dat").reshape(-1, 3)
        info = json.loads(_text(folder / "info.json")) if (folder / "info.json").is_file() else {}
        count = info.get("natoms", 0)
        symbols = symbols[: count if count > 0 else len(symbols)]
        positions = positions[: len(symbols)]
        frac_coords = positions if info.get("pos_type") == "frac" else positions @ np.linalg.inv(lattice)
        cell = cell_as_given(lattice, symbols, frac_coords, str(folder))
        if shells is None:
            shells = _basis_file(folder / "basis.dat")
        shells = re.sub(r"(\d)([spdf])", lambda part: part[2] * int(part[1]), shells)
        wanted = shells_by_element(shells, tuple(symbols))
        made = tuple(Shell.of(atom, l) for atom, symbol in enumerate(symbols) for l in wanted.get(symbol, ()))
        basis = OrbitalBasis(cell, cell.frac_coords, made)
        return _assembled(basis, read, None, folder)


def write_deeptb(hamiltonian: Hamiltonian, folder: str | Path) -> None:
    """A DeePTB folder of one frame; orbitals are put into its order, and must be whole shells, else IrrepnetError."""
    hamiltonian = hamiltonian.in_convention("deeptb")
    folder, basis = _made(folder), _sites_are_atoms(hamiltonian)
    np.savetxt(folder / "cell.dat", basis.cell.lattice)
    np.savetxt(folder / "positions.dat", basis.centres @ basis.cell.lattice)
    np.savetxt(folder / "atomic_numbers.dat", basis.cell.numbers, fmt="%d")
    info = {"nframes": 1, "natoms": len(basis.centres), "pos_type": "cart", "pbc": [True, True, True]}
    (folder / "info.json").write_text(json.dumps(info), encoding="utf-8")
    shells = {species: _letters(basis, site) for site, species in enumerate(basis.species)}
    counted = {e: "".join(f"{own.count(l)}{l}" for l in LETTERS if l in own) for e, own in shells.items()}
    if any("".join(sorted(own, key=LETTERS.index)) != own for own in shells.values()):
        raise IrrepnetError(f"{hamiltonian.name}: DeePTB has shells in the order s, p, d, f")
    (folder / "basis.dat").write_text(str(counted), encoding="utf-8")
    for name, blocks in _by_file(hamiltonian):
        with needs("h5py").File(folder / name, "w") as file:
            for key, block in blocks.items():
                file["0/" + "_".join(map(str, key))] = block


def _basis_file(path: Path) -> str:
    """{"Mg": "2s2p"} as a Python dictionary, to "Mg:2s2p"."""
    if not path.is_file():
        raise IrrepnetError(f"{path.parent}: a DeePTB folder without basis.dat; give the shells, such as Si:2s2p1d")
    try:
        found = ast.literal_eval(_text(path))
    except SyntaxError as error:
        raise ValueError(f"{path.name} is no dictionary of shells by element") from error
    return ",".join(f"{element}:{shells}" for element, shells in found.items())


def _assembled(basis: OrbitalBasis, read: Callable[[str], Blocks], fermi: float | None, folder: Path) -> Hamiltonian:
    parts = [read(name) for name in (H_FILE, S_FILE) if (folder / name).is_file() or name == H_FILE]
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
                    f"their shells {_letters(basis, a)} and {_letters(basis, b)} make {len(rows)} × {len(columns)}"
                )
            full[index(np.array(cell)), rows[:, None], columns] = block
        matrices.append(full)
    S = matrices[1] if len(matrices) > 1 else None
    return Hamiltonian(R, matrices[0], S, basis, None if fermi is None else float(fermi), str(folder))


def _by_file(hamiltonian: Hamiltonian) -> list[tuple[str, Blocks]]:
    """The blocks that are not zero, for each file."""
    basis = hamiltonian.known_basis
    files = []
    for name, matrix in ((H_FILE, hamiltonian.H), (S_FILE, hamiltonian.S)):
        if matrix is None:
            continue
        blocks = {}
        for R, full in zip(hamiltonian.R.tolist(), matrix):
            for a, b in np.ndindex(len(basis.centres), len(basis.centres)):
                block = full[np.ix_(basis.orbitals[a], basis.orbitals[b])]
                if block.any():
                    blocks[a, b, *R] = block
        files.append((name, blocks))
    return files


def _sites_are_atoms(hamiltonian: Hamiltonian) -> OrbitalBasis:
    basis = hamiltonian.known_basis
    if basis.centres.shape != basis.cell.frac_coords.shape or abs(basis.centres - basis.cell.frac_coords).max() > 1e-3:
        raise IrrepnetError(f"{hamiltonian.name}: this format needs orbitals on every atom, and on nothing else")
    return basis


def _letters(basis: OrbitalBasis, site: int) -> str:
    return "".join(LETTERS[shell.l] for shell in basis.shells_of(site))


def _made(folder: str | Path) -> Path:
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise IrrepnetError(f"{folder}: cannot be made: {error}") from error
    return Path(folder)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be read: {error}") from error


def _numbers(path: Path) -> np.ndarray:
    text = _text(path)
    try:
        return np.array(text.split(), float)
    except ValueError as error:
        raise IrrepnetError(f"{path}: holds something that is no number: {error}") from error
