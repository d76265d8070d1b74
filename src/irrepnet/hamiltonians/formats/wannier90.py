"""Files of Wannier90: seed_hr.dat and seed_tb.dat, with seed_wsvec.dat. All may be packed, in letters of any case.

A _hr.dat says neither lattice nor orbitals; these come from the projections of the .win file, or from a structure and
shells given beside it. The layouts and the order of the angular functions are those of files that Wannier90 3.1 and its
users publish; bands of GaAs and diamond read so equal the program's own input energies within 1e-4 eV.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import numbers, save_text, whole
from irrepnet.hamiltonians.formats.structure import with_structure
from irrepnet.hamiltonians.formats.wannier90_input import beside
from irrepnet.hamiltonians.model import Hamiltonian, cell_index
from irrepnet.hamiltonians.orbitals import real_if_real


def read_wannier90(path: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """H(R) from a _hr.dat or _tb.dat, degeneracies divided out; of a _tb.dat also the position matrix, if it is there.

    If seed_wsvec.dat is beside it, each element goes to the cells that it lists: the sums over k are then those of
    Wannier90 with `use_ws_distance`. Lattice and orbitals are those of `structure`, by default of seed.win beside the
    file; if that is not there either, there is no basis.

    Raises:
        IrrepnetError: the file is missing, cut short or not of this format, or does not fit the structure.
    """
    found = _bare(path)
    structure = structure or beside(path, ".win")
    return found if structure is None else with_structure(found, structure, shells, "wannier90")


def _bare(path: Path) -> Hamiltonian:
    has_positions = _holds_positions(path)
    try:
        values = numbers(read_text(path).partition("\n")[2].split())
        at = 9 if has_positions else 0
        if len(values) < at + 2:
            raise ValueError("it ends in its header")
        n, cells = whole(values[at : at + 2], "the numbers of orbitals and cells").tolist()
        degeneracies = values[at + 2 : at + 2 + max(cells, 0)]
        body = values[at + 2 + len(degeneracies) :]
        if n < 1 or cells < 1 or len(degeneracies) != cells or not (degeneracies > 0).all():
            raise ValueError("it has no orbitals, cells or degeneracies")
        if has_positions:
            R, H, position = _tb_body(body, n, cells)
        else:
            R, H = _hr_body(body, n, cells)
            position = None
    except IrrepnetError:
        raise
    except ValueError as error:
        kind = "_tb.dat" if has_positions else "_hr.dat"
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 {kind} file: {error}") from error
    H = H / degeneracies[:, None, None]
    if position is not None:
        position = position / degeneracies[:, None, None, None]
    found = Hamiltonian(R, real_if_real(H), name=str(path), position=position)
    shifts = beside(path, "_wsvec.dat")
    return found if shifts is None else _with_shifts(found, shifts)


def _hr_body(values: np.ndarray, n: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    table = _table(values, cells * n * n, 7)
    R = whole(table[:: n * n, :3], "its cells")
    if (table[:, :3].reshape(cells, n * n, 3) != R[:, None]).any():
        raise ValueError("its rows are not sorted by cells")
    H = np.zeros((cells, n, n), complex)
    _place(H, table[:, 3:5], table[:, 5] + 1j * table[:, 6])
    return R, H


def _tb_body(values: np.ndarray, n: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Blocks of a cell and rows m n re im, first for H and then, with three complex numbers, for r.

    WannierBerri leaves r out where it was not asked for it.
    """
    split = cells * (3 + 4 * n * n)
    hamiltonian = _table(values[:split], cells, 3 + 4 * n * n)
    R = whole(hamiltonian[:, :3], "its cells")
    rows = hamiltonian[:, 3:].reshape(-1, 4)
    H = np.zeros((cells, n, n), complex)
    _place(H, rows[:, :2], rows[:, 2] + 1j * rows[:, 3])
    if len(values) == split:
        return R, H, None
    positions = _table(values[split:], cells, 3 + 8 * n * n)
    if not np.array_equal(R, positions[:, :3]):
        raise ValueError("the cells of H and of the positions differ")
    rows = positions[:, 3:].reshape(-1, 8)
    position = np.zeros((3, cells, n, n), complex)
    for axis in range(3):
        _place(position[axis], rows[:, :2], rows[:, 2 + 2 * axis] + 1j * rows[:, 3 + 2 * axis])
    return R, H, position.swapaxes(0, 1)


def _table(values: np.ndarray, rows: int, columns: int) -> np.ndarray:
    if len(values) != rows * columns:
        raise ValueError(f"it holds {len(values)} numbers where its header announces {rows * columns}")
    return values.reshape(rows, columns)


def _place(blocks: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
    """Elements m, n (counted from 1) of each cell in turn."""
    cells, n, _ = blocks.shape
    m = whole(indices, "its numbers of orbitals").T - 1
    if m.min() < 0 or m.max() >= n:
        raise ValueError(f"an orbital has a number beyond 1 to {n}")
    cell = np.repeat(np.arange(cells), n * n)
    if len(np.unique(np.ravel_multi_index((cell, *m), blocks.shape))) != len(values):
        raise ValueError("an element is there twice")
    blocks[(cell, *m)] = values


def _with_shifts(hamiltonian: Hamiltonian, path: Path) -> Hamiltonian:
    """Element (m, n) of cell R in equal parts in the cells R + T that a _wsvec.dat lists."""
    elements, targets, weights = [], [], []
    at, n = 0, len(hamiltonian)
    try:
        values = whole(numbers(read_text(path).partition("\n")[2].split()), "its entries")
        while at < len(values):
            x, y, z, i, j, count = values[at : at + 6].tolist()
            if count < 1:
                raise ValueError(f"{count} cells are listed for an element")
            shifts = values[at + 6 : at + 6 + 3 * count].reshape(count, 3)
            at += 6 + 3 * count
            elements += [(x, y, z, i - 1, j - 1)] * count
            targets.extend(shifts + np.array([x, y, z]))
            weights += [1 / count] * count
        source, target = np.array(elements), np.array(targets)
        cell = hamiltonian.index(source[:, :3])
        if (cell < 0).any() or not ((source[:, 3:] >= 0) & (source[:, 3:] < n)).all():
            raise ValueError("it names cells or orbitals that the Hamiltonian does not have")
        if len(np.unique(source, axis=0)) != hamiltonian.H.size:
            raise ValueError("it does not list all elements")
    except IrrepnetError:
        raise
    except (ValueError, IndexError) as error:
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 _wsvec.dat file: {error}") from error
    R = np.unique(target, axis=0)
    new, (i, j) = cell_index(R)(target), source[:, 3:].T
    H = np.zeros((len(R), n, n), hamiltonian.H.dtype)
    np.add.at(H, (new, i, j), hamiltonian.H[cell, i, j] * np.array(weights))
    position = None
    if hamiltonian.position is not None:
        position = np.zeros((len(R), 3, n, n), complex)
        for axis in range(3):
            np.add.at(position[:, axis], (new, i, j), hamiltonian.position[cell, axis, i, j] * np.array(weights))
    return replace(hamiltonian, R=R, H=H, position=position)


def write_wannier90(hamiltonian: Hamiltonian, path: Path) -> None:
    """A _hr.dat (degeneracies 1, energies to 1e-14 eV) or _tb.dat, by its name.

    In a _tb.dat without a position matrix, the orbitals stand at their centres and the rest of it is zero.

    Raises IrrepnetError for orbitals that are not orthonormal, or a _tb.dat of a Hamiltonian without a basis.
    """
    if hamiltonian.S is not None:
        raise IrrepnetError(f"{path}: Wannier90 files have no overlap; orthogonalise the Hamiltonian first")
    lines = _tb_lines(hamiltonian) if _holds_positions(path) else _hr_lines(hamiltonian)
    save_text(path, "\n".join(lines) + "\n")


def _holds_positions(path: Path) -> bool:
    return "_tb.dat" in path.name.lower()


def _hr_lines(hamiltonian: Hamiltonian) -> list[str]:
    order = np.lexsort(hamiltonian.R.T[::-1])
    lines = [" written by irrepnet", f"{len(hamiltonian):12d}", f"{len(order):12d}", *_degeneracy_lines(len(order))]
    for cell in order:
        x, y, z = hamiltonian.R[cell]
        for (j, i), value in np.ndenumerate(hamiltonian.H[cell].T):
            lines.append(f"{x:5d}{y:5d}{z:5d}{i + 1:5d}{j + 1:5d}{value.real:22.14f}{value.imag:22.14f}")
    return lines


def _tb_lines(hamiltonian: Hamiltonian) -> list[str]:
    basis, n = hamiltonian.known_basis, len(hamiltonian)
    position = hamiltonian.position
    if position is None:
        position = np.zeros((len(hamiltonian.R), 3, n, n))
        home = hamiltonian.index(np.zeros(3, int))
        position[home][:, np.arange(n), np.arange(n)] = (basis.centres @ basis.cell.lattice)[basis.site_of].T
    order = np.lexsort(hamiltonian.R.T[::-1])
    lines = [" written by irrepnet", *(" ".join(f"{x:21.16f}" for x in row) for row in basis.cell.lattice)]
    lines += [f"{n:12d}", f"{len(order):12d}", *_degeneracy_lines(len(order))]
    for blocks in (hamiltonian.H[:, None], position):
        for cell in order:
            lines += ["", "".join(f"{x:5d}" for x in hamiltonian.R[cell])]
            for j in range(n):
                for i in range(n):
                    row = [part for value in blocks[cell, :, i, j] for part in (value.real, value.imag)]
                    lines.append(f"{i + 1:5d}{j + 1:5d}" + "".join(f"{x:24.15E}" for x in row))
    return lines


def _degeneracy_lines(cells: int) -> list[str]:
    return ["    1" * min(15, cells - start) for start in range(0, cells, 15)]
