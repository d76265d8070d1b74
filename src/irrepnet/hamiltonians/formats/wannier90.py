"""Files of Wannier90: seed_hr.dat and seed_tb.dat, with seed_wsvec.dat, and the input seed.win. All may be gzipped.

A _hr.dat says neither lattice nor orbitals; these come from the projections of the .win file, or from a structure and
shells given beside it. The layouts and the order of the angular functions are those of files that Wannier90 3.1 and its
users publish; bands of GaAs and diamond read so equal the program's own input energies within 1e-4 eV.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell, atomic_number
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.model import Hamiltonian, cell_index
from irrepnet.hamiltonians.orbitals import CONVENTIONS, LETTERS, NAMES, OrbitalBasis, Shell, cell_as_given, real_if_real

BOHR = 0.529177210903
"""Å"""
_ORDERS = CONVENTIONS["wannier90"][1]
_NEAR = 0.5  # Å between the centre of a Wannier function and the site it was projected on


def read_text(path: Path) -> str:
    """The text of a file, unpacked if its name ends in .gz. Raises IrrepnetError if it cannot be read."""
    try:
        if path.name.endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
                return file.read()
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, EOFError) as error:
        reason = str(error) if path.exists() else "no such file"
        raise IrrepnetError(f"{path}: {reason}") from error


def read_wannier90(path: str | Path) -> Hamiltonian:
    """H(R) from a _hr.dat or _tb.dat, degeneracies divided out; of a _tb.dat also the position matrix, if it is there.

    If seed_wsvec.dat is beside it, each element goes to the cells that it lists: the sums over k are then those of
    Wannier90 with `use_ws_distance`. The Hamiltonian has no basis yet, see `with_wannier90_input`.

    Raises:
        IrrepnetError: the file is missing, cut short or not of this format.
    """
    path = Path(path)
    text = read_text(path)
    lines = text.split("\n", 1)
    has_positions = "_tb.dat" in path.name
    words = lines[1].split() if len(lines) > 1 else []
    try:
        at = 9 if has_positions else 0
        n, cells = int(words[at]), int(words[at + 1])
        degeneracies = np.array(words[at + 2 : at + 2 + cells], dtype=float)
        body = words[at + 2 + cells :]
        if n < 1 or cells < 1 or len(degeneracies) != cells or not (degeneracies > 0).all():
            raise ValueError("it has no orbitals, cells or degeneracies")
        if has_positions:
            R, H, position = _tb_body(body, n, cells)
        else:
            R, H = _hr_body(body, n, cells)
            position = None
    except (ValueError, IndexError) as error:
        kind = "_tb.dat" if has_positions else "_hr.dat"
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 {kind} file: {error}") from error
    H = H / degeneracies[:, None, None]
    if position is not None:
        position = position / degeneracies[:, None, None, None]
    found = Hamiltonian(R, real_if_real(H), name=str(path), position=position)
    shifts = _beside(path, "_wsvec.dat")
    return found if shifts is None else _with_shifts(found, shifts)


def _hr_body(words: list[str], n: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    table = _table(words, cells * n * n, 7)
    R = table[:: n * n, :3].astype(int)
    if (table[:, :3].reshape(cells, n * n, 3) != R[:, None]).any():
        raise ValueError("its rows are not sorted by cells")
    H = np.zeros((cells, n, n), complex)
    _place(H, table[:, 3:5], table[:, 5] + 1j * table[:, 6])
    return R, H


def _tb_body(words: list[str], n: int, cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Blocks of a cell and rows m n re im, first for H and then, with three complex numbers, for r.

    WannierBerri leaves r out where it was not asked for it.
    """
    split = cells * (3 + 4 * n * n)
    hamiltonian = _table(words[:split], cells, 3 + 4 * n * n)
    R = hamiltonian[:, :3].astype(int)
    rows = hamiltonian[:, 3:].reshape(-1, 4)
    H = np.zeros((cells, n, n), complex)
    _place(H, rows[:, :2], rows[:, 2] + 1j * rows[:, 3])
    if len(words) == split:
        return R, H, None
    positions = _table(words[split:], cells, 3 + 8 * n * n)
    if not np.array_equal(R, positions[:, :3].astype(int)):
        raise ValueError("the cells of H and of the positions differ")
    rows = positions[:, 3:].reshape(-1, 8)
    position = np.zeros((3, cells, n, n), complex)
    for axis in range(3):
        _place(position[axis], rows[:, :2], rows[:, 2 + 2 * axis] + 1j * rows[:, 3 + 2 * axis])
    return R, H, position.swapaxes(0, 1)


def _table(words: list[str], rows: int, columns: int) -> np.ndarray:
    if len(words) != rows * columns:
        raise ValueError(f"it holds {len(words)} numbers where its header announces {rows * columns}")
    return np.array(words, dtype=float).reshape(rows, columns)


def _place(blocks: np.ndarray, indices: np.ndarray, values: np.ndarray) -> None:
    """Elements m, n (counted from 1) of each cell in turn."""
    cells, n, _ = blocks.shape
    m = indices.astype(int).T - 1
    if m.min() < 0 or m.max() >= n:
        raise ValueError(f"an orbital has a number beyond 1 to {n}")
    cell = np.repeat(np.arange(cells), n * n)
    if len(np.unique(np.ravel_multi_index((cell, *m), blocks.shape))) != len(values):
        raise ValueError("an element is there twice")
    blocks[(cell, *m)] = values


def _beside(path: Path, suffix: str) -> Path | None:
    """seed + suffix, or the same gzipped, in the folder of seed_hr.dat or seed_tb.dat."""
    seed = re.sub(r"_(hr|tb)\.dat(\.gz)?$", "", path.name)
    candidates = (path.with_name(seed + suffix), path.with_name(seed + suffix + ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _with_shifts(hamiltonian: Hamiltonian, path: Path) -> Hamiltonian:
    """Element (m, n) of cell R in equal parts in the cells R + T that a _wsvec.dat lists."""
    words = read_text(path).split("\n", 1)[-1].split()
    elements, targets, weights = [], [], []
    at, n = 0, len(hamiltonian)
    try:
        while at < len(words):
            x, y, z, i, j, count = map(int, words[at : at + 6])
            shifts = np.array(words[at + 6 : at + 6 + 3 * count], int).reshape(count, 3)
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


def with_wannier90_input(hamiltonian: Hamiltonian, path: str | Path) -> Hamiltonian:
    """The Hamiltonian with lattice, atoms, orbitals and Fermi energy (if it is there) of a .win file.

    The home cell of each centre is that of the Wannier functions, if the position matrix or seed_centres.xyz tells it.

    Raises:
        IrrepnetError: the file has no cell, atoms or projections; spinors, hybrid, random or turned projections; or
            not as many orbitals as the Hamiltonian.
    """
    path = Path(path)
    blocks, keys = _win_blocks(read_text(path))
    if keys.get("spinors", "f").strip(". ").lower().startswith("t"):
        raise IrrepnetError(f"{path}: spinors are not supported")
    try:
        cell = _win_cell(blocks, str(path))
        centres, shells = _win_projections(blocks, cell)
        fermi = float(keys["fermi_energy"]) if "fermi_energy" in keys else hamiltonian.fermi
    except IrrepnetError:
        raise
    except (ValueError, IndexError, KeyError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 input: {reason}") from error
    basis = OrbitalBasis(cell, centres, shells)
    if len(basis) != len(hamiltonian):
        raise IrrepnetError(
            f"{path}: its projections are {len(basis)} orbitals, {hamiltonian.name} has {len(hamiltonian)}"
        )
    found = _wannier_centres(hamiltonian, cell)
    if found is not None:
        means = np.array([found[basis.orbitals[site]].mean(0) for site in range(len(centres))])
        cells = np.rint(means - centres)
        near = np.linalg.norm((means - centres - cells) @ cell.lattice, axis=1) < _NEAR
        basis = replace(basis, centres=centres + np.where(near[:, None], cells, 0))
    return replace(hamiltonian, basis=basis, fermi=fermi)


def _win_blocks(text: str) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The lines of each begin … end block, and the other keywords."""
    blocks: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    name = None
    for line in text.splitlines():
        line = re.split(r"[!#]", line)[0].strip()
        words = line.lower().split()
        if not words:
            continue
        if words[0] == "begin" and len(words) > 1:
            name = words[1]
            blocks[name] = []
        elif words[0] == "end":
            name = None
        elif name is not None:
            blocks[name].append(line)
        else:
            key, *rest = re.split(r"[=:\s]+", line, maxsplit=1)
            keys[key.lower()] = rest[0] if rest else ""
    return blocks, keys


def _win_cell(blocks: dict[str, list[str]], name: str) -> Cell:
    rows, unit = _lengths(blocks["unit_cell_cart"])
    lattice = unit * np.array([row.split()[:3] for row in rows], float)
    kind = "atoms_frac" if "atoms_frac" in blocks else "atoms_cart"
    rows, unit = _lengths(blocks[kind])
    coords = np.array([row.split()[1:4] for row in rows], float)
    if kind == "atoms_cart":
        coords = unit * coords @ np.linalg.inv(lattice)
    species = [re.match(r"[A-Za-z]{1,2}", row.split()[0]) for row in rows]
    symbols = [match[0].capitalize() if match else "" for match in species]
    return cell_as_given(lattice, symbols, coords, name)


def read_wannier_tools(path: str | Path) -> tuple[Cell, list[int], float | None]:
    """Cell, number of orbitals of each atom and Fermi energy (eV) from an input of WannierTools (wt.in).

    Its names of projectors are not read: the program does not use their order, and inputs in the wild have others than
    the Hamiltonian.

    Raises IrrepnetError if a block is missing or cannot be read.
    """
    path = Path(path)
    lines = [re.split(r"[!#]", line)[0].strip() for line in read_text(path).splitlines()]
    heads = [line.upper() for line in lines]
    try:
        at = heads.index("LATTICE") + 1
        unit = BOHR if heads[at].startswith("BOHR") else 1.0
        lattice = unit * np.array([line.split()[:3] for line in lines[at + 1 : at + 4]], float)
        at = heads.index("ATOM_POSITIONS") + 1
        rows = [line.split() for line in lines[at + 2 : at + 2 + int(lines[at].split()[0])]]
        coords = np.array([row[1:4] for row in rows], float)
        if heads[at + 1].startswith("C"):
            coords = unit * coords @ np.linalg.inv(lattice)
        at = heads.index("PROJECTORS") + 1
        counts = [int(word) for word in lines[at].split()]
        energies = [line.split("=")[1] for line in heads if re.match(r"E_FERMI\s*=", line)]
        fermi = float(energies[0]) if energies else None
    except (ValueError, IndexError, np.linalg.LinAlgError) as error:
        raise IrrepnetError(f"{path}: cannot be read as an input of WannierTools: {error}") from error
    return cell_as_given(lattice, [row[0] for row in rows], coords, str(path)), counts, fermi


def _lengths(rows: list[str]) -> tuple[list[str], float]:
    """The rows without the unit that may stand first, and that unit in Å."""
    if rows and rows[0].lower() in ("bohr", "ang"):
        return rows[1:], BOHR if rows[0].lower() == "bohr" else 1.0
    return rows, 1.0


def _win_projections(blocks: dict[str, list[str]], cell: Cell) -> tuple[np.ndarray, tuple[Shell, ...]]:
    centres: list[np.ndarray] = []
    shells: list[Shell] = []
    rows, unit = _lengths(blocks["projections"])
    for row in rows:
        parts = [part.strip() for part in row.split(":")]
        if len(parts) < 2 or len([part for part in parts[2:] if part and not part.startswith(("r=", "zona="))]):
            raise ValueError(f"projection {row!r}: only site:functions in unturned axes are supported")
        place, functions = parts[0].replace(" ", ""), parts[1].lower().replace(" ", "")
        if place.lower().startswith(("f=", "c=")):
            point = np.array(place[2:].split(","), float)
            sites = [point if place[0].lower() == "f" else unit * point @ np.linalg.inv(cell.lattice)]
        else:
            sites = list(cell.frac_coords[cell.numbers == atomic_number(place.capitalize())])
            if not sites:
                raise ValueError(f"projection {row!r}: no such atom")
        wanted = _angular(functions, row)
        for site in sites:
            same = [i for i, centre in enumerate(centres) if np.allclose(centre, site, atol=1e-5)]
            if not same:
                centres.append(site)
            number = same[0] if same else len(centres) - 1
            shells += [Shell(number, l, tuple(m for m in _ORDERS[l] if m in ms)) for l, ms in sorted(wanted.items())]
    return np.array(centres).reshape(-1, 3), tuple(shells)


def _angular(functions: str, row: str) -> dict[int, set[int]]:
    """{l: {m, …}} of "s;p", "dxy;dxz" or "l=2,mr=2,3"; Wannier90 sorts them by l and its own number mr."""
    wanted: dict[int, set[int]] = {}
    for name in functions.split(";"):
        numbered = re.fullmatch(r"l=(\d)(?:,mr=([\d,]+))?", name)
        if name in tuple(LETTERS):
            l = LETTERS.index(name)
            wanted.setdefault(l, set()).update(_ORDERS[l])
        elif numbered and int(numbered[1]) < len(LETTERS):
            l = int(numbered[1])
            chosen = [int(mr) - 1 for mr in numbered[2].split(",")] if numbered[2] else range(2 * l + 1)
            wanted.setdefault(l, set()).update(_ORDERS[l][mr] for mr in chosen)
        else:
            for l, names in enumerate(NAMES):
                if name in names:
                    wanted.setdefault(l, set()).add(names.index(name) - l)
                    break
            else:
                raise ValueError(f"projection {row!r}: {name!r} is not an s, p, d or f function; hybrids have no shell")
    return wanted


def _wannier_centres(hamiltonian: Hamiltonian, cell: Cell) -> np.ndarray | None:
    """(n, 3) fractional centres of the Wannier functions, None if no file tells them."""
    if hamiltonian.position is not None:
        home = int(hamiltonian.index(np.zeros(3, int)))
        diagonal = np.diagonal(hamiltonian.position[home].real, axis1=1, axis2=2).T
        return diagonal @ np.linalg.inv(cell.lattice)
    path = _beside(Path(hamiltonian.name), "_centres.xyz")
    if path is None:
        return None
    rows = [line.split() for line in read_text(path).splitlines()[2:]]
    try:
        centres = np.array([row[1:4] for row in rows if row and row[0] == "X"], float)
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as centres of Wannier functions: {error}") from error
    return centres @ np.linalg.inv(cell.lattice) if len(centres) == len(hamiltonian) else None


def write_hr(hamiltonian: Hamiltonian, path: str | Path) -> None:
    """A _hr.dat, degeneracies 1, energies to 1e-14 eV. Raises IrrepnetError for orbitals that are not orthonormal."""
    _refuse_overlap(hamiltonian, path)
    order = np.lexsort(hamiltonian.R.T[::-1])
    lines = [" written by irrepnet", f"{len(hamiltonian):12d}", f"{len(order):12d}", *_degeneracy_lines(len(order))]
    for cell in order:
        x, y, z = hamiltonian.R[cell]
        for (j, i), value in np.ndenumerate(hamiltonian.H[cell].T):
            lines.append(f"{x:5d}{y:5d}{z:5d}{i + 1:5d}{j + 1:5d}{value.real:22.14f}{value.imag:22.14f}")
    _write_text(Path(path), lines)


def write_tb(hamiltonian: Hamiltonian, path: str | Path) -> None:
    """A _tb.dat; without a position matrix, the orbitals stand at their centres and the rest of it is zero.

    Raises IrrepnetError for orbitals that are not orthonormal, or a Hamiltonian without a basis.
    """
    _refuse_overlap(hamiltonian, path)
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
                    numbers = [part for value in blocks[cell, :, i, j] for part in (value.real, value.imag)]
                    lines.append(f"{i + 1:5d}{j + 1:5d}" + "".join(f"{x:24.15E}" for x in numbers))
    _write_text(Path(path), lines)


def _write_text(path: Path, lines: list[str]) -> None:
    text = "\n".join(lines) + "\n"
    try:
        if path.name.endswith(".gz"):
            with gzip.open(path, "wt", encoding="utf-8") as file:
                file.write(text)
        else:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error}") from error


def _degeneracy_lines(cells: int) -> list[str]:
    return ["    1" * min(15, cells - start) for start in range(0, cells, 15)]


def _refuse_overlap(hamiltonian: Hamiltonian, path: str | Path) -> None:
    if hamiltonian.S is not None:
        raise IrrepnetError(f"{path}: Wannier90 files have no overlap; orthogonalise the Hamiltonian first")
