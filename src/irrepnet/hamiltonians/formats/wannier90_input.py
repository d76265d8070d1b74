"""The input of Wannier90 (seed.win): lattice, atoms, and the orbitals that Wannier functions were projected on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell, atomic_number
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import read_text
from irrepnet.hamiltonians.model import BOHR, Hamiltonian
from irrepnet.hamiltonians.orbitals import CONVENTIONS, LETTERS, NAMES, OrbitalBasis, Shell, cell_as_given

_ORDERS = CONVENTIONS["wannier90"][1]
_NEAR = 0.5  # Å between the centre of a Wannier function and the site it was projected on


def beside(path: Path, suffix: str) -> Path | None:
    """seed + suffix, or the same gzipped, in the folder of seed_hr.dat or seed_tb.dat."""
    seed = re.sub(r"_(hr|tb)\.dat(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    candidates = (path.with_name(seed + suffix), path.with_name(seed + suffix + ".gz"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


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
    path = beside(Path(hamiltonian.name), "_centres.xyz")
    if path is None:
        return None
    rows = [line.split() for line in read_text(path).splitlines()[2:]]
    try:
        centres = np.array([row[1:4] for row in rows if row and row[0] == "X"], float)
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as centres of Wannier functions: {error}") from error
    return centres @ np.linalg.inv(cell.lattice) if len(centres) == len(hamiltonian) else None
