"""H(R) and S(R) of ABACUS: data-HR-sparse_SPIN0.csr and data-SR-sparse_SPIN0.csr, with the STRU of the calculation.

A file is "STEP: i", the dimension, the number of cells; of each cell its R and how many elements it has, then their
values in Rydberg, their columns, and where in them each row begins. STRU has the lattice in Bohr, the atoms by element,
and the names of the files of orbitals, which tell the shells: Si_gga_8au_60Ry_2s2p1d.orb. Orbitals are atom by atom,
shell by shell with l rising, m = 0, 1, −1, 2, −2 … times (−1)^m. Source: the documentation of ABACUS 3
(abacus.deepmodeling.com) and the reference files in its repository, whose crystal confirms order and signs.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from irrepnet.crystals import Cell
from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.block_folders import basis_of_atoms
from irrepnet.hamiltonians.formats.shared import element_of, in_any_case, numbers, save_text, table, whole, words_of
from irrepnet.hamiltonians.formats.structure import with_structure
from irrepnet.hamiltonians.model import BOHR, Hamiltonian, in_order
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis, Shell, cell_as_given, real_if_real

RYDBERG = 13.605693122994
"""eV; CODATA 2018."""
_LEAST = 1e-12  # of what is written


def read_abacus(path: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """H(R), S(R) if its file is beside, and the orbitals of `structure`: a STRU, by default that beside the file or in
    the folder above, or another structure file with shells.

    Raises IrrepnetError if a file cannot be read or does not fit the other, or has spinors.
    """
    found = read_bare_abacus(path)
    if structure is None:
        structure = in_any_case(path.parent, "STRU") or in_any_case(path.resolve().parent.parent, "STRU")
    if structure is None:
        return found
    reason = f"{structure}: H(R) has two orbitals for each of it; the spinors of ABACUS are not read"
    if structure.name.lower() != "stru":
        made = with_structure(found, structure, shells, "abacus")
        return replace(made, basis=None, cell=made.known_cell, no_basis=reason) if made.known_basis.spinful else made
    if shells is not None:
        raise IrrepnetError(f"{structure}: its files of orbitals tell the shells, no others can be given")
    cell, by_atom = read_stru(structure)
    made = tuple(Shell.of(atom, l, "abacus") for atom, ls in enumerate(by_atom) for l in ls)
    basis = OrbitalBasis(cell, cell.frac_coords, made)
    if len(found) == 2 * len(basis):
        return replace(found, cell=cell, no_basis=reason)
    if len(basis) != len(found):
        raise IrrepnetError(f"{structure}: its atoms carry {len(basis)} orbitals, {path} has {len(found)}")
    return Hamiltonian(found.R, found.H, found.S, basis, name=found.name)


def read_bare_abacus(path: Path) -> Hamiltonian:
    """The same without lattice and orbitals."""
    other = re.sub(r"HR(?=-sparse)", "SR", path.name, flags=re.IGNORECASE)
    H = _read_csr(path)
    overlap = in_any_case(path.parent, other) or in_any_case(path.parent, re.sub(r"SPIN\d", "SPIN0", other))
    if other == path.name or overlap is None:
        S = None
    else:
        S = _read_csr(overlap)
        if {block.shape for block in S.values()} != {block.shape for block in H.values()}:
            raise IrrepnetError(f"{overlap}: has another number of orbitals than {path.name}")
    cells = sorted({*H, *(S or ())})
    n = len(next(iter(H.values())))

    def blocks(found: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
        return real_if_real(np.array([found[R] if R in found else np.zeros((n, n)) for R in cells]))

    return Hamiltonian(np.array(cells), RYDBERG * blocks(H), None if S is None else blocks(S), name=str(path))


def _read_csr(path: Path) -> dict[tuple[int, ...], np.ndarray]:
    """{R: (n, n)} of the last step. An error tells the line where the cell begins that it is in."""
    lines = iter(enumerate(read_text(path).splitlines(), 1))
    at = 0
    found: dict[tuple[int, ...], np.ndarray] = {}
    try:
        for at, line in lines:
            if not line.strip():
                continue
            if line.upper().startswith("STEP"):
                found = {}
                at, line = next(lines)
            size = int(_after_colon(line))
            at, line = next(lines)
            for _ in range(int(_after_colon(line))):
                at, line = next(lines)
                head = whole(numbers(line.split()), "a cell and its number of elements").tolist()
                if len(head) != 4:
                    raise ValueError(f"{line!r} is no cell with its number of elements")
                x, y, z, count = head
                if count:
                    (_, values), (_, columns), (_, rows) = next(lines), next(lines), next(lines)
                    found[x, y, z] = _dense(values, columns, rows, count, size)
                else:
                    found[x, y, z] = np.zeros((size, size))
        if not found:
            raise ValueError("it has no cells")
    except (ValueError, StopIteration) as error:
        reason = "it ends too early" if isinstance(error, StopIteration) else str(error)
        raise IrrepnetError(f"{path}: line {at}: cannot be read as a sparse matrix of ABACUS: {reason}") from error
    return found


def _after_colon(line: str) -> str:
    _, colon, value = line.rpartition(":")
    if not colon:
        raise ValueError(f"{line!r} where a number after a colon was expected")
    return value


def _dense(values: str, columns: str, rows: str, count: int, size: int) -> np.ndarray:
    """(size, size) from the three lines of a cell."""
    if "(" in values:
        parts = numbers(re.sub(r"[(),]", " ", values).split()).reshape(-1, 2)
        data = parts[:, 0] + 1j * parts[:, 1]
    else:
        data = numbers(values.split())
    indices, starts = (whole(numbers(line.split()), "columns or rows") for line in (columns, rows))
    is_right = len(data) == len(indices) == count and len(starts) == size + 1
    if not is_right or starts[0] != 0 or starts[-1] != count or (np.diff(starts) < 0).any():
        raise ValueError(f"values, columns and rows are not those of {count} elements of {size} orbitals")
    if indices.min() < 0 or indices.max() >= size:
        raise ValueError(f"a column is beyond the {size} orbitals")
    return csr_matrix((data, indices, starts), (size, size)).toarray()


def read_stru(path: Path) -> tuple[Cell, list[tuple[int, ...]]]:
    """Cell, and l of the shells of each atom, of a STRU. Raises IrrepnetError if something is missing."""
    sections = _sections(read_text(path))
    try:
        unit = BOHR * numbers(words_of(sections["LATTICE_CONSTANT"][0])[:1])[0]
        lattice = unit * table(sections["LATTICE_VECTORS"], slice(3), "LATTICE_VECTORS")
        if len(lattice) != 3:
            raise ValueError(f"LATTICE_VECTORS are {len(lattice)}")
        labels = [row.split()[0] for row in sections["ATOMIC_SPECIES"]]
        shells = dict(zip(labels, (_shells(row) for row in sections["NUMERICAL_ORBITAL"]), strict=True))
        kind, *rows = sections["ATOMIC_POSITIONS"]
        to_fractional = {
            "direct": np.eye(3),
            "cartesian": unit * np.linalg.inv(lattice),
            "cartesian_angstrom": np.linalg.inv(lattice),
            "cartesian_au": BOHR * np.linalg.inv(lattice),
        }[kind.split()[0].lower()]
        atoms, coords = [], []
        while rows:
            label, _, count = (row.split()[0] for row in rows[:3])
            own = rows[3 : 3 + int(count)]
            if len(own) != int(count):
                raise ValueError(f"{label} has {len(own)} of {count} atoms")
            atoms += [label] * len(own)
            coords.append(table(own, slice(3), label) @ to_fractional)
            rows = rows[3 + len(own) :]
        cell = cell_as_given(lattice, [element_of(label) for label in atoms], np.concatenate(coords), str(path))
        return cell, [shells[label] for label in atoms]
    except (ValueError, KeyError, IndexError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise IrrepnetError(f"{path}: cannot be read as a STRU of ABACUS: {reason}") from error


def _sections(text: str) -> dict[str, list[str]]:
    """The lines below each title, which stands alone in capitals."""
    found: dict[str, list[str]] = {}
    own: list[str] = []
    for raw in text.splitlines():
        line = re.split(r"//|#", raw)[0].strip()
        if re.fullmatch(r"[A-Z]+_[A-Z_]+", line):
            own = found.setdefault(line, [])
        elif line:
            own.append(line)
    return found


def _shells(name: str) -> tuple[int, ...]:
    """(0, 0, 1, 1, 2) of "…_2s2p1d.orb"."""
    parts = re.search(r"((?:\d+[spdf])+)(?:\.orb)?\s*$", name)
    if parts is None:
        raise ValueError(f"the name {name!r} ends in no shells such as 2s2p1d.orb")
    found = re.findall(r"(\d+)([spdf])", parts[1])
    return tuple(LETTERS.index(letter) for count, letter in found for _ in range(int(count)))


def write_abacus(hamiltonian: Hamiltonian, path: Path) -> None:
    """data-HR-sparse_SPIN0.csr, with data-SR-sparse_SPIN0.csr and STRU beside it; orbitals are put into ABACUS's order.

    Raises IrrepnetError unless the name is of that kind, all atoms have whole shells, and H is real in real orbitals.
    """
    if "HR-sparse" not in path.name:
        raise IrrepnetError(f"{path}: name it as ABACUS does, data-HR-sparse_SPIN0.csr")
    hamiltonian = _in_order(hamiltonian)
    basis = hamiltonian.known_basis
    identity = np.eye(len(basis)) * (hamiltonian.R == 0).all(1)[:, None, None]
    save_text(path, _csr_text("H", hamiltonian.R, hamiltonian.H / RYDBERG))
    overlap = identity if hamiltonian.S is None else hamiltonian.S
    save_text(path.with_name(path.name.replace("HR-sparse", "SR-sparse")), _csr_text("S", hamiltonian.R, overlap))
    save_text(path.with_name("STRU"), "\n".join(_stru_lines(basis)) + "\n")


def _in_order(hamiltonian: Hamiltonian) -> Hamiltonian:
    """With atoms by element and on each the shells by l, as ABACUS has them, in its convention."""
    hamiltonian = hamiltonian.in_convention("abacus").as_real()
    basis = basis_of_atoms(hamiltonian)
    by_element = np.argsort([basis.species.index(symbol) for symbol in basis.species], kind="stable")
    order = [n for atom in by_element for n in sorted(_shells_at(basis, atom), key=lambda n: basis.shells[n].l)]
    place = np.argsort(by_element)
    starts = np.cumsum([0, *(len(shell.m) for shell in basis.shells)])
    orbitals = np.concatenate([np.arange(starts[n], starts[n + 1]) for n in order])
    cell = basis.cell._replace(frac_coords=basis.cell.frac_coords[by_element], numbers=basis.cell.numbers[by_element])
    shells = tuple(replace(basis.shells[n], site=int(place[basis.shells[n].site])) for n in order)
    return replace(in_order(hamiltonian, orbitals), basis=OrbitalBasis(cell, basis.centres[by_element], shells))


def _shells_at(basis: OrbitalBasis, site: int) -> list[int]:
    return [n for n, shell in enumerate(basis.shells) if shell.site == site]


def _csr_text(name: str, R: np.ndarray, blocks: np.ndarray) -> str:
    lines = ["STEP: 0", f"Matrix Dimension of {name}(R): {blocks.shape[-1]}", f"Matrix number of {name}(R): {len(R)}"]
    for own, block in zip(R.tolist(), blocks):
        sparse = csr_matrix(np.where(abs(block) > _LEAST, block, 0))
        lines.append(" ".join(map(str, [*own, sparse.nnz])))
        if sparse.nnz:
            lines.append(" " + " ".join(f"{value:.16e}" for value in sparse.data))
            lines += [" " + " ".join(f"{x}" for x in each) for each in (sparse.indices, sparse.indptr)]
    return "\n".join(lines) + "\n"


def _stru_lines(basis: OrbitalBasis) -> list[str]:
    """With the names of orbital files that tell the shells; nothing but the shells is known of them."""
    elements = list(dict.fromkeys(basis.species))
    atoms = {element: [n for n, own in enumerate(basis.species) if own == element] for element in elements}
    names = []
    for element, own in atoms.items():
        shells = {tuple(shell.l for shell in basis.shells_of(atom)) for atom in own}
        if len(shells) > 1:
            raise IrrepnetError(
                f"{basis.cell.name}: atoms of {element} carry different shells, ABACUS has one set each"
            )
        (ls,) = shells
        counts = "".join(f"{ls.count(l)}{letter}" for l, letter in enumerate(LETTERS) if l in ls)
        names.append(f"{element}_{counts}.orb")
    lines = ["ATOMIC_SPECIES", *(f"{element} 1.0 {element}.upf" for element in elements), ""]
    lines += ["NUMERICAL_ORBITAL", *names, "", "LATTICE_CONSTANT", f"{1 / BOHR:.15f}", "", "LATTICE_VECTORS"]
    lines += [" ".join(f"{x:.15f}" for x in row) for row in basis.cell.lattice]
    lines += ["", "ATOMIC_POSITIONS", "Direct"]
    for element, own in atoms.items():
        lines += ["", element, "0.0", str(len(own))]
        lines += [" ".join(f"{x:.15f}" for x in basis.centres[atom]) + " 1 1 1" for atom in own]
    return lines
