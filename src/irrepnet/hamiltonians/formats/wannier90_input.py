"""The input of Wannier90 (seed.win): lattice, atoms, and the orbitals that Wannier functions were projected on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import Cell
from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import element_of, energy, in_any_case, table, words_of
from irrepnet.hamiltonians.formats.wannier90_projections import (
    ProjectedFunction,
    numbers_of_ranges,
    projected_basis,
    projections_of,
    spins_side_by_side,
)
from irrepnet.hamiltonians.model import BOHR, Hamiltonian, in_order
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis, cell_as_given

_NEAR = 0.5  # Å between the centre of a Wannier function and the site it was projected on


def beside(path: Path, suffix: str) -> Path | None:
    """seed + suffix, packed or not, in letters of any case, in the folder of seed_hr.dat or seed_tb.dat."""
    return in_any_case(path.parent, seed(path, suffix).name)


def seed(path: Path, suffix: str) -> Path:
    """seed + suffix in the folder of seed_hr.dat or seed_tb.dat."""
    return path.with_name(re.sub(r"_(hr|tb)\.dat(\.gz)?$", "", path.name, flags=re.IGNORECASE) + suffix)


class _Unknown(Exception):
    """Why the orbitals cannot be known, though there is nothing wrong with the input."""


def with_wannier90_input(hamiltonian: Hamiltonian, path: str | Path, centres: np.ndarray | None = None) -> Hamiltonian:
    """The Hamiltonian with lattice, atoms, orbitals and Fermi energy (if it is there) of a .win file.

    The home cell of each site is that of its Wannier functions, if their `centres` (n, 3) Å are given. Of spinors, the
    functions are brought into an order with up and down side by side. Where the orbitals cannot be known (random
    projections or none, one spin alone or not along z, Wannier functions that have left the sites that they were
    projected on) there is the cell, and `no_basis` says why there is no basis.

    Raises:
        IrrepnetError: the file has no cell or atoms, something that cannot be read, a Fermi energy that is no number,
            or not as many projections as the Hamiltonian has orbitals.
    """
    path = Path(path)
    try:
        blocks, keys = _win_blocks(read_text(path))
        cell, labels = _win_atoms(blocks, str(path))
        fermi = energy(_only(keys, "fermi_energy"), path, "fermi_energy")
        found = replace(hamiltonian, cell=cell, fermi=fermi if hamiltonian.fermi is None else hamiltonian.fermi)
        projections = _projections(blocks, keys, cell, labels, len(found))
        if len(projections) != len(found):
            raise IrrepnetError(
                f"{path}: its projections are {len(projections)} orbitals, {found.name} has {len(found)}"
            )
        if spinful := _is_true(keys, "spinors"):
            try:
                order = spins_side_by_side(projections)
            except ValueError as error:
                raise _Unknown(str(error)) from error
            found, projections = in_order(found, order), [projections[n] for n in order[::2]]
            centres = None if centres is None else centres[order]
        basis = replace(projected_basis(projections, cell), spinful=spinful)
        if centres is not None and not _is_true(keys, "translate_home_cell"):  # moves the centres; H(R) does not know
            basis = _in_home_cells(basis, centres @ np.linalg.inv(cell.lattice))
    except _Unknown as reason:
        return replace(found, no_basis=f"{path}: {reason}")
    except IrrepnetError:
        raise
    except (ValueError, KeyError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 input: {reason}") from error
    return replace(found, basis=basis)


def wannier90_input(hamiltonian: Hamiltonian) -> str:
    """The .win file of a Hamiltonian in Wannier90's order of orbitals, with a projection for each shell.

    Raises IrrepnetError for hybrids, or if it is not known what the orbitals are.
    """
    from pymatgen.core.periodic_table import Element

    basis, cell = hamiltonian.known_basis, hamiltonian.known_cell
    if basis.mixing is not None:
        raise IrrepnetError(f"{hamiltonian.name}: its orbitals are combinations of those of shells")
    symbols = [Element.from_Z(int(number)).symbol for number in cell.numbers]
    lines = [f"num_wann = {len(hamiltonian)}"]
    if hamiltonian.fermi is not None:
        lines.append(f"fermi_energy = {hamiltonian.fermi:.12f}")
    if basis.spinful:
        lines.append("spinors = true")

    def row(numbers: np.ndarray, between: str = " ") -> str:
        return between.join(f"{x:.15f}" for x in numbers)

    projections, seen = [], Counter()
    for shell in basis.shells:
        functions = LETTERS[shell.l] if shell.is_whole else ";".join(shell.names)
        seen[shell.site, shell.l] += 1
        radial = f":r={seen[shell.site, shell.l]}" if seen[shell.site, shell.l] > 1 else ""
        projections.append(f"f={row(basis.centres[shell.site], ',')}:{functions}{radial}")
    for name, rows in (
        ("unit_cell_cart", ["ang", *map(row, cell.lattice)]),
        ("atoms_frac", [f"{symbol} {row(place)}" for symbol, place in zip(symbols, cell.frac_coords)]),
        ("projections", projections),
    ):
        lines += ["", f"begin {name}", *rows, f"end {name}"]
    return "\n".join(lines) + "\n"


def wannier90_cell(path: Path) -> dict[str, Any]:
    """Of a .win file whose projections do not fit: "cell" and "fermi" (eV or None); {} if these cannot be read."""
    try:
        blocks, keys = _win_blocks(read_text(path))
        cell, _ = _win_atoms(blocks, str(path))
        return {"cell": cell, "fermi": energy(_only(keys, "fermi_energy"), path, "fermi_energy")}
    except (IrrepnetError, ValueError, KeyError):
        return {}


def _projections(
    blocks: dict[str, list[str]], keys: dict[str, list[str]], cell: Cell, labels: Sequence[str], count: int
) -> list[ProjectedFunction]:
    """The projections that `count` Wannier functions started from, in their order.

    Raises:
        _Unknown: they are random, or chosen by another method than projections.
        ValueError: the block cannot be read.
    """
    rows = blocks.get("projections", [])
    is_random = bool(rows) and rows[0].lower().startswith("random")
    rows, unit = _lengths(rows[1:] if is_random else rows)
    if not rows:
        for key in ("auto_projections", "use_bloch_phases"):
            if _is_true(keys, key):
                raise _Unknown(f"{key} is true, so that no projections tell what the orbitals are")
        raise _Unknown("the projections are random" if is_random else "it has no projections block")
    found: list[ProjectedFunction] = []
    for line, row in enumerate(rows):
        try:
            found += projections_of(row, line, unit, cell, labels, _is_true(keys, "spinors"))
        except ValueError as error:
            raise ValueError(f"projection {row!r}: {error}") from error
    if "select_projections" in keys:
        chosen = numbers_of_ranges(_only(keys, "select_projections") or "")
        if max(chosen) > len(found):
            raise ValueError(f"select_projections has {max(chosen)}, there are {len(found)} projections")
        found = [found[each - 1] for each in chosen]
    elif (_only(keys, "num_wann") or "").split() == [str(count)]:
        found = found[:count]  # Wannier90 does not use the rest
    if is_random and len(found) < count:
        raise _Unknown(f"{count - len(found)} of {count} projections are random")
    return found


def _in_home_cells(basis: OrbitalBasis, centres: np.ndarray) -> OrbitalBasis:
    """With each site in the cell where the centres (n, 3), fractional, of its Wannier functions are.

    Raises _Unknown if they are nowhere near it: then they are not the orbitals that they were projected on.
    """
    means = np.array([centres[own].mean(0) for own in basis.orbitals])
    found = replace(basis, centres=basis.centres + np.rint(means - basis.centres))
    if (reason := why_elsewhere(found, centres)) is not None:
        raise _Unknown(reason)
    return found


def why_elsewhere(basis: OrbitalBasis, centres: np.ndarray) -> str | None:
    """What speaks against these orbitals, if the centres (n, 3), fractional, of those of a site are not around it."""
    means = np.array([centres[own].mean(0) for own in basis.orbitals])
    far = np.linalg.norm((means - basis.centres) @ basis.cell.lattice, axis=1)
    site = int(far.argmax())
    if far[site] < _NEAR:
        return None
    return (
        f"the Wannier functions projected on site {site + 1} ({basis.species[site]}) are centred {far[site]:.2f} Å "
        "away from it, so that they are other orbitals than the projections"
    )


def _win_blocks(text: str) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The lines of each begin … end block, and the values of the other keywords, each as often as it is there."""
    blocks: dict[str, list[str]] = {}
    keys: dict[str, list[str]] = {}
    name = None
    for raw in text.splitlines():
        line = re.split(r"[!#]", raw)[0].strip()
        border = re.match(r"(begin|end)[\s_]*(\w+)", line, re.IGNORECASE)
        if border and border[1].lower() == "begin":
            if name is not None:
                raise ValueError(f"block {name} has no end")
            name = border[2].lower()
            if name in blocks:
                raise ValueError(f"it has two blocks {name}")
            blocks[name] = []
        elif border:
            name = None
        elif line and name is not None:
            blocks[name].append(line)
        elif line:
            key, *rest = re.split(r"\s*[=:\s]\s*", line, maxsplit=1)
            keys.setdefault(key.lower(), []).append(rest[0] if rest else "")
    if name is not None:
        raise ValueError(f"block {name} has no end")
    return blocks, keys


def _only(keys: dict[str, list[str]], name: str) -> str | None:
    """The value of a keyword, None if it is not there. Raises ValueError for two that differ."""
    values = set(keys.get(name, ()))
    if len(values) > 1:
        raise ValueError(f"it has {name} twice, {' and '.join(sorted(values))}")
    return values.pop() if values else None


def _is_true(keys: dict[str, list[str]], name: str) -> bool:
    return "t" in (_only(keys, name) or "").lower()


def _win_atoms(blocks: dict[str, list[str]], name: str) -> tuple[Cell, list[str]]:
    """The cell, and the label of each atom in small letters."""
    rows, unit = _lengths(blocks["unit_cell_cart"])
    if len(rows) != 3:
        raise ValueError(f"unit_cell_cart has {len(rows)} lattice vectors")
    lattice = unit * table(rows, slice(3), "unit_cell_cart")
    kind, *more = [name for name in ("atoms_frac", "atoms_cart") if name in blocks] or ["atoms_frac"]
    if more:
        raise ValueError("it has both atoms_frac and atoms_cart")
    rows, unit = _lengths(blocks[kind])
    coords = table(rows, slice(1, 4), kind)
    if kind == "atoms_cart":
        coords = unit * coords @ np.linalg.inv(lattice)
    labels = [words_of(row)[0].lower() for row in rows]
    return cell_as_given(lattice, [element_of(label) for label in labels], coords, name), labels


def _lengths(rows: list[str]) -> tuple[list[str], float]:
    """The rows without the unit that may stand first, and that unit in Å."""
    if rows and rows[0].lower().startswith(("bohr", "ang")):
        return rows[1:], BOHR if rows[0].lower().startswith("bohr") else 1.0
    return rows, 1.0


def wannier_centres(hamiltonian: Hamiltonian) -> np.ndarray | None:
    """(n, 3) Å, Cartesian, the centres of the Wannier functions, None if neither the position matrix nor
    seed_centres.xyz tells them. Raises IrrepnetError if that file cannot be read."""
    if hamiltonian.position is not None:
        home = int(hamiltonian.index(np.zeros(3, int)))
        return np.diagonal(hamiltonian.position[home].real, axis1=1, axis2=2).T
    path = beside(Path(hamiltonian.name), "_centres.xyz")
    if path is None:
        return None
    rows = [line for line in read_text(path).splitlines()[2:] if line.split()[:1] == ["X"]]
    try:
        centres = table(rows, slice(1, 4), "centre")
        if not np.isfinite(centres).all():
            raise ValueError("a centre is not finite")
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as centres of Wannier functions: {error}") from error
    return centres if len(centres) == len(hamiltonian) else None
