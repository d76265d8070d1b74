"""Files of Wannier90: seed_hr.dat and seed_tb.dat, with seed_wsvec.dat. All may be packed, in letters of any case.

A _hr.dat says neither lattice nor orbitals; these come from the projections of the .win file, or from a structure and
shells given beside it. The layouts and the order of the angular functions are those of files that Wannier90 3.1 and its
users publish; bands of GaAs and diamond read so equal the program's own input energies within 1e-4 eV.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from irrepnet.crystals.text import lines_of, read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import has_ending, numbers_below, save_text, whole
from irrepnet.hamiltonians.formats.structure import with_structure
from irrepnet.hamiltonians.formats.wannier90_input import beside, wannier90_cell, wannier_centres
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import real_if_real
from irrepnet.hamiltonians.spin import in_either_spin_order

_TOGETHER = 30_000  # rows that are read at once


def read_wannier90(path: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """H(R) from a _hr.dat or _tb.dat, degeneracies divided out; of a _tb.dat also the position matrix, if it is there.

    If seed_wsvec.dat is beside it, each element goes to the cells that it lists: the sums over k are then those of
    Wannier90 with `use_ws_distance`. Lattice and orbitals are those of `structure`, by default of seed.win beside the
    file; if that is not there either, there is no basis. Of spinors, up and down are side by side, or all up come first
    as in old versions: of both orders the one that the symmetry fits is taken.

    Raises:
        IrrepnetError: the file is missing, cut short or not of this format, or does not fit the structure.
    """
    found = _matrices(path)
    structure = structure or beside(path, ".win")
    if structure is None:
        return found
    centres = wannier_centres(found) if has_ending(structure, ".win") else None

    def with_basis(each: Hamiltonian, order: np.ndarray) -> Hamiltonian:
        return with_structure(each, structure, shells, "wannier90", None if centres is None else centres[order])

    return in_either_spin_order(found, with_basis)


def read_bare_wannier90(path: Path) -> Hamiltonian:
    """The same without orbitals; with lattice, atoms and Fermi energy of seed.win where these can be read."""
    found, beside_it = _matrices(path), beside(path, ".win")
    return found if beside_it is None else replace(found, **wannier90_cell(beside_it))


def _matrices(path: Path) -> Hamiltonian:
    failure: ValueError | None = None
    for source in (_Lines, _Words):
        try:
            found = _parsed(path, source(path))
        except IrrepnetError:
            raise
        except ValueError as error:
            failure = error
        else:
            shifts = beside(path, "_wsvec.dat")
            return found if shifts is None else _with_shifts(found, shifts)
    kind = "_tb.dat" if _holds_positions(path) else "_hr.dat"
    raise IrrepnetError(f"{path}: cannot be read as a Wannier90 {kind} file: {failure}") from failure


class _Lines:
    """The numbers of a file whose lines and numbers are those of Wannier90: one line after the other, parsed in C."""

    def __init__(self, path: Path):
        self._lines = lines_of(path)
        next(self._lines, None)  # a comment

    def some(self, count: int) -> np.ndarray:
        """(count,) the next numbers, on one line or several."""
        words: list[bytes] = []
        while len(words) < count and (line := next(self._lines, None)) is not None:
            words += line.split()
        return np.array(words, float).reshape(count)

    def rows(self, count: int, columns: int) -> np.ndarray:
        """(count, columns) the next numbers."""
        lines = list(islice(self._lines, count))
        if len(lines) != count:
            raise ValueError("the lines are too few")
        return np.loadtxt(lines, comments=None, ndmin=2).reshape(count, columns)

    def is_at_end(self) -> bool:
        line = next((line for line in self._lines if not line.isspace()), None)
        if line is not None:
            self._lines = chain([line], self._lines)
        return line is None


class _Words:
    """The same whatever the lines are, with numbers as Fortran reads them, and errors that say what is wrong."""

    def __init__(self, path: Path):
        text = read_text(path)
        self._values, self._lines = numbers_below(text), text.count("\n")
        self._at = 0

    def some(self, count: int) -> np.ndarray:
        own = self._values[self._at : self._at + count]
        if len(own) != count:
            raise ValueError(
                f"it holds {len(self._values)} numbers on {self._lines} lines, and its header announces more"
            )
        self._at += count
        return own

    def rows(self, count: int, columns: int) -> np.ndarray:
        return self.some(count * columns).reshape(count, columns)

    def is_at_end(self) -> bool:
        return self._at == len(self._values)


def _parsed(path: Path, source: _Lines | _Words) -> Hamiltonian:
    """Raises ValueError if the numbers are not those of a _tb.dat or _hr.dat, whichever the name says."""
    has_positions = _holds_positions(path)
    if has_positions:
        source.some(9)  # the lattice
    n, cells = whole(source.some(2), "the numbers of orbitals and cells").tolist()
    if n < 1 or cells < 1:
        raise ValueError("it has no orbitals or no cells")
    degeneracies = source.some(cells)
    if not (degeneracies > 0).all():
        raise ValueError("a cell has no degeneracy")
    R, H = _tb_blocks(source, n, cells, 1) if has_positions else _hr_blocks(source, n, cells)
    position = None
    if has_positions and not source.is_at_end():  # WannierBerri leaves r out where it was not asked for it
        again, position = _tb_blocks(source, n, cells, 3)
        if not np.array_equal(R, again):
            raise ValueError("the cells of H and of the positions differ")
        position /= degeneracies[:, None, None, None]
    if not source.is_at_end():
        raise ValueError("it holds more numbers than its header announces")
    H = real_if_real(H[:, 0] / degeneracies[:, None, None])
    return Hamiltonian(R, H, name=str(path), position=position, mesh=_mesh(R, degeneracies))


def _mesh(R: np.ndarray, degeneracies: np.ndarray) -> tuple[int, int, int] | None:
    """The mesh of k whose Wigner–Seitz supercell the cells fill: those that are equal in it weigh 1 together."""
    weights = 1 / degeneracies
    count = round(weights.sum())
    if abs(weights.sum() - count) > 1e-6:
        return None
    for x in range(1, count + 1):
        for y in range(1, count // x + 1) if count % x == 0 else ():
            if count % (x * y) == 0:
                mesh = (x, y, count // (x * y))
                totals = np.bincount(np.ravel_multi_index(tuple((R % mesh).T), mesh), weights, count)
                if abs(totals - 1).max() < 1e-6:
                    return mesh
    return None


def _hr_blocks(source: _Lines | _Words, n: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """R (cells, 3) and H (cells, 1, n, n) from rows x y z m n re im."""
    R, blocks = [], []
    step = max(1, _TOGETHER // n**2)
    for start in range(0, cells, step):
        together = min(step, cells - start)
        for rows in source.rows(together * n * n, 7).reshape(together, n * n, 7):
            if (rows[:, :3] != rows[0, :3]).any():
                raise ValueError("its rows are not sorted by cells")
            R.append(rows[0, :3].copy())  # a view would keep all rows
            blocks.append(_block(rows[:, 3:], n))
    return whole(np.array(R), "its cells"), np.array(blocks)


def _tb_blocks(source: _Lines | _Words, n: int, cells: int, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """R (cells, 3) and matrices (cells, parts, n, n) from blocks of a cell x y z and rows m n (re im) × parts."""
    R, blocks = [], []
    for _ in range(cells):
        R.append(source.some(3))
        blocks.append(_block(source.rows(n * n, 2 + 2 * parts), n))
    return whole(np.array(R), "its cells"), np.array(blocks)


def _block(rows: np.ndarray, n: int) -> np.ndarray:
    """(parts, n, n) from rows m n (re im) × parts, m and n counted from 1, in any order."""
    m = whole(rows[:, :2], "its numbers of orbitals") - 1
    if m.min() < 0 or m.max() >= n:
        raise ValueError(f"an orbital has a number beyond 1 to {n}")
    at = n * m[:, 0] + m[:, 1]
    if np.bincount(at, minlength=n * n).max() > 1:
        raise ValueError("an element is there twice")
    block = np.empty((rows.shape[1] // 2 - 1, n * n), complex)
    block[:, at] = (rows[:, 2::2] + 1j * rows[:, 3::2]).T
    return block.reshape(-1, n, n)


def _with_shifts(hamiltonian: Hamiltonian, path: Path) -> Hamiltonian:
    """Element (m, n) of cell R in equal parts in the cells R + T that a _wsvec.dat lists."""
    n = len(hamiltonian)
    try:
        listed, counts, shifts = _shifts(whole(numbers_below(read_text(path)), "its entries"))
        cell, m = hamiltonian.index(listed[:, :3]), listed[:, 3:] - 1
        if (cell < 0).any() or not ((m >= 0) & (m < n)).all():
            raise ValueError("it names cells or orbitals that the Hamiltonian does not have")
        element = n * m[:, 0] + m[:, 1]
        if not np.bincount(cell * n * n + element, minlength=hamiltonian.H.size).all():
            raise ValueError("it does not list all elements")
        targets = np.repeat(listed[:, :3], counts, axis=0) + shifts
        low = targets.min(0)
        box = tuple(np.ptp(targets, axis=0) + 1)
        present, new = np.unique(np.ravel_multi_index(tuple((targets - low).T), box), return_inverse=True)
        R = np.stack(np.unravel_index(present, box), axis=1) + low
    except IrrepnetError:
        raise
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 _wsvec.dat file: {error}") from error
    source, weight = np.repeat(cell * n * n + element, counts), np.repeat(1 / counts, counts)
    target = new * n * n + np.repeat(element, counts)

    def moved(blocks: np.ndarray) -> np.ndarray:
        """(new cells, n, n) from (cells, n, n)."""
        total = np.zeros(len(R) * n * n, blocks.dtype)
        np.add.at(total, target, blocks.reshape(-1)[source] * weight)
        return total.reshape(-1, n, n)

    position = hamiltonian.position
    if position is not None:
        position = np.stack([moved(position[:, axis]) for axis in range(3)], axis=1)
    return replace(hamiltonian, R=R, H=moved(hamiltonian.H), position=position)


def _shifts(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The elements x y z m n (N, 5), how many T each has (N,), and all T (sum, 3), from the numbers of a _wsvec.dat."""
    starts, at = [], 0
    while at + 5 < len(values):
        starts.append(at)
        count = int(values[at + 5])
        if count < 1:
            line = 1 + 2 * len(starts) + (at - 6 * (len(starts) - 1)) // 3
            raise ValueError(
                f"line {line}: {count} cells are listed for the element {' '.join(map(str, values[at : at + 5]))}"
            )
        at += 6 + 3 * count
    if at != len(values):
        raise ValueError("it ends within an element")
    heads = np.array(starts, int)[:, None] + np.arange(6)
    is_shift = np.ones(len(values), bool)
    is_shift[heads] = False
    return values[heads[:, :5]], values[heads[:, 5]], values[is_shift].reshape(-1, 3)


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
        home = int(hamiltonian.index(np.zeros(3, int)))
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
