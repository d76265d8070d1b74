"""The input of Wannier90 (seed.win): lattice, atoms, and the orbitals that Wannier functions were projected on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from irrepnet.crystals import Cell
from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import element_of, energy, in_any_case, numbers, table, words_of
from irrepnet.hamiltonians.model import BOHR, Hamiltonian
from irrepnet.hamiltonians.orbitals import CONVENTIONS, LETTERS, NAMES, OrbitalBasis, Shell, cell_as_given

_ORDERS = CONVENTIONS["wannier90"][1]
_NEAR = 0.5  # Å between the centre of a Wannier function and the site it was projected on
_OWN_AXES = {"z": (0.0, 0.0, 1.0), "x": (1.0, 0.0, 0.0)}


def beside(path: Path, suffix: str) -> Path | None:
    """seed + suffix, packed or not, in letters of any case, in the folder of seed_hr.dat or seed_tb.dat."""
    seed = re.sub(r"_(hr|tb)\.dat(\.gz)?$", "", path.name, flags=re.IGNORECASE)
    return in_any_case(path.parent, seed + suffix)


def with_wannier90_input(hamiltonian: Hamiltonian, path: str | Path) -> Hamiltonian:
    """The Hamiltonian with lattice, atoms, orbitals and Fermi energy (if it is there) of a .win file.

    The home cell of each centre is that of the Wannier functions, if the position matrix or seed_centres.xyz tells it.

    Raises:
        IrrepnetError: the file has no cell, atoms or projections; hybrid, random or turned projections, or of one spin
            alone; a Fermi energy that is no number; or not as many orbitals as the Hamiltonian.
    """
    path = Path(path)
    try:
        blocks, keys = _win_blocks(read_text(path))
        spinful = "t" in (_only(keys, "spinors") or "").lower()
        cell, labels = _win_atoms(blocks, str(path))
        centres, shells = _win_projections(blocks, cell, labels)
        fermi = energy(_only(keys, "fermi_energy"), path, "fermi_energy")
    except IrrepnetError:
        raise
    except (ValueError, KeyError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise IrrepnetError(f"{path}: cannot be read as a Wannier90 input: {reason}") from error
    basis = OrbitalBasis(cell, centres, shells, spinful)
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
    return replace(hamiltonian, basis=basis, fermi=fermi if hamiltonian.fermi is None else hamiltonian.fermi)


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


def _win_projections(
    blocks: dict[str, list[str]], cell: Cell, labels: Sequence[str]
) -> tuple[np.ndarray, tuple[Shell, ...]]:
    """Sites and shells, label against label: "Fe1" are the atoms of that label and not all of iron."""
    centres: list[np.ndarray] = []
    shells: list[Shell] = []
    rows, unit = _lengths(blocks["projections"])
    for row in rows:
        place, *parts = re.sub(r"\s", "", _without_spins(row)).lower().split(":")
        if not parts or not all(_is_usual(option) for option in parts[1:]):
            raise ValueError(f"projection {row!r}: only site:functions in unturned axes are supported")
        if place.startswith(("f=", "c=")):
            point = numbers(place[2:].split(","))
            if len(point) != 3:
                raise ValueError(f"projection {row!r}: a site has three coordinates")
            sites = [point if place[0] == "f" else unit * point @ np.linalg.inv(cell.lattice)]
        else:
            sites = [site for site, label in zip(cell.frac_coords, labels) if label == place]
            if not sites:
                known = ", ".join(dict.fromkeys(labels))
                raise ValueError(f"projection {row!r}: no such atom; the labels of the atoms are {known}")
        wanted = _angular(parts[0], row)
        for site in sites:
            same = [i for i, centre in enumerate(centres) if np.allclose(centre, site, atol=1e-5)]
            if not same:
                centres.append(site)
            number = same[0] if same else len(centres) - 1
            shells += [Shell(number, l, tuple(m for m in _ORDERS[l] if m in ms)) for l, ms in sorted(wanted.items())]
    return np.array(centres).reshape(-1, 3), tuple(shells)


def _without_spins(row: str) -> str:
    """A projection without its (u,d) and the axis of quantisation [x,y,z], which both spins need not.

    Raises ValueError for one spin alone, or an axis that is not z.
    """
    for spins in re.findall(r"\(([ud,\s]*)\)", row, re.IGNORECASE):
        if set(re.sub(r"[\s,]", "", spins).lower()) != {"u", "d"}:
            raise ValueError(f"projection {row!r}: one spin alone is no representation; both are needed, (u,d)")
    for axis in re.findall(r"\[([^\]]*)\]", row):
        direction = numbers(axis.split(","))
        if len(direction) != 3 or direction[:2].any() or not direction[2] > 0:
            raise ValueError(f"projection {row!r}: spins are supported along z alone, [0,0,1]")
    return re.sub(r"\([ud,\s]*\)|\[[^\]]*\]", "", row, flags=re.IGNORECASE)


def _is_usual(option: str) -> bool:
    """Whether it leaves the angular functions as they are: a radial part, or the axes that they have anyway."""
    key, _, value = option.partition("=")
    if key in _OWN_AXES:
        axis = numbers(value.split(","))
        return (
            len(axis) == 3 and bool(axis.any()) and np.allclose(axis, np.linalg.norm(axis) * np.array(_OWN_AXES[key]))
        )
    return not option or key in ("r", "zona")


def _angular(functions: str, row: str) -> dict[int, set[int]]:
    """{l: {m, …}} of "s;p", "dxy,dxz" or "l=2,mr=2,3"; Wannier90 sorts them by l and its own number mr."""
    wanted: dict[int, set[int]] = {}
    for part in functions.split(";"):
        numbered = re.fullmatch(r"l=(\d)(?:,mr=([\d,]+))?", part)
        if numbered and int(numbered[1]) < len(LETTERS):
            l = int(numbered[1])
            chosen = [int(mr) - 1 for mr in numbered[2].split(",")] if numbered[2] else range(2 * l + 1)
            if not set(chosen) <= {*range(2 * l + 1)}:
                raise ValueError(f"projection {row!r}: mr goes from 1 to {2 * l + 1}")
            wanted.setdefault(l, set()).update(_ORDERS[l][mr] for mr in chosen)
            continue
        for name in part.split(","):
            if name in tuple(LETTERS):
                l = LETTERS.index(name)
                wanted.setdefault(l, set()).update(_ORDERS[l])
                continue
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
    rows = [line for line in read_text(path).splitlines()[2:] if line.split()[:1] == ["X"]]
    try:
        centres = table(rows, slice(1, 4), "centre")
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as centres of Wannier functions: {error}") from error
    return centres @ np.linalg.inv(cell.lattice) if len(centres) == len(hamiltonian) else None
