"""Motifs: an atom with its first shell, as a hyperedge.

The shell and its descriptors are computed on one atom an orbit and kept by content (see :mod:`cache`): shells by
crystal, descriptors by the shape of the shell, so that all the octahedra of a data set are one computation.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np

from irrepnet.crystals.neighbours import find_neighbours
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs.cache import cache as results
from irrepnet.graphs.cache import digest
from irrepnet.graphs.descriptors import LSOP_NAMES, csm, csm_names, descriptor_key, lsop, shape_key
from irrepnet.graphs.hypergraph import Column, Hyperedges, HyperedgeType, HypergraphOptions, add_hyperedge_type

# Of the code that finds shells and describes them; a change makes older results unused.
_VERSION = 2
# Neighbours within this times the shortest distance are at "minimum distance", as in pymatgen.
_MINIMUM_DISTANCE = 1.1

SHELLS = ("crystalnn", "minimum-distance", "voronoi")


class Motif(NamedTuple):
    """An atom and its first shell, n neighbours."""

    centre: int
    neighbours: np.ndarray
    """(n,) atoms; one of which several images are neighbours is named as often."""
    shifts: np.ndarray
    """(n, 3) int, the lattice translation of each neighbour's cell."""
    vectors: np.ndarray
    """(n, 3) Å, from the centre to the neighbours in the standard frame."""
    shape: str
    """Equal for shells that are equal up to O(3), scale and order."""


def motif(crystal: SymmetricCrystal, atom: int, shell: str = "crystalnn") -> Motif:
    """The atom with its first shell: a union of orbits of the site group, the centre not among them.

    * "crystalnn": the likeliest shell by pymatgen's CrystalNN (Pan et al., Inorg. Chem. 60, 1590 (2021)), which
      weighs Voronoi faces, electronegativities and radii. Where rounding makes it cut a shell of equivalent
      neighbours in two, the shell is completed.
    * "minimum-distance": all within 1.1 times the distance of the nearest one.
    * "voronoi": all that share a face of the Voronoi cell, but for faces under a thousandth of the largest.

    Args:
        atom: index into the primitive cell.
        shell: one of ``SHELLS``.

    Raises:
        IrrepnetError: no such atom or shell, or none is found.
    """
    if not 0 <= atom < len(crystal):
        raise IrrepnetError(f"{crystal.formula} has atoms 0 to {len(crystal) - 1}, there is no atom {atom}")
    options = HypergraphOptions(motif_shell=shell)
    _columns(options)  # checks the options
    orbit = int(crystal.orbits[atom])
    found = _shells(crystal, options)[orbit]
    if isinstance(found, str):
        raise IrrepnetError(f"{crystal.formula}: {_site(crystal, orbit)}: {found}")
    operation = int(np.argmax(crystal.permutation[:, found.centre] == atom))
    neighbours = crystal.permutation[operation, found.neighbours]
    vectors = found.vectors @ crystal.point_group.operations[operation].T
    return _placed(crystal, atom, neighbours, _shifts(crystal, atom, neighbours, vectors), found.shape)


def _build(crystal: SymmetricCrystal, options: HypergraphOptions) -> Hyperedges:
    """The motifs of the orbits' representatives, each counted as often as its orbit has atoms."""
    columns = _columns(options)
    items, weight, failures = [], [], []
    for orbit, found in enumerate(_described(crystal, options)):
        if isinstance(found, str):
            failures.append(f"{_site(crystal, orbit)}: {found}")
            continue
        about, values = found
        items.append(((about.centre, *about.neighbours), _features(values, options)))
        weight.append(np.count_nonzero(crystal.orbits == orbit))
    listed = Hyperedges.of(items, len(columns))
    return replace(listed, weight=np.array(weight, float), failures=tuple(failures))


def _columns(options: HypergraphOptions) -> tuple[Column, ...]:
    """The number of neighbours is expanded, a Gaussian each; all else lies in 0 to 1 or little beyond."""
    unknown = ", ".join(name for name in options.motif_features if name not in _DESCRIPTORS)
    if unknown or not options.motif_features:
        raise IrrepnetError(f"unknown motif features {unknown or '()'}; choose of {', '.join(_DESCRIPTORS)}")
    if options.motif_shell not in SHELLS:
        raise IrrepnetError(f"unknown motif shell {options.motif_shell!r}; choose one of {', '.join(SHELLS)}")
    columns = {"lsop": lambda: map(Column, LSOP_NAMES), "csm": lambda: map(Column, csm_names())}
    listed = [column for name in options.motif_features for column in columns[name]()]
    return tuple(Column("cn", 0.0, 20.0, 21) if column.name == "cn" else column for column in listed)


def _features(values: dict[str, np.ndarray], options: HypergraphOptions) -> np.ndarray:
    """One row. Symmetry measures as S/100 or, as resemblance, 1 − S/100: a polyhedron with another number of
    corners is at the far end of either."""
    scaled = dict(values)
    if "csm" in scaled:
        scaled["csm"] = 1 - scaled["csm"] / 100 if options.resemblance else scaled["csm"] / 100
    return np.concatenate([scaled[name] for name in options.motif_features])


def _site(crystal: SymmetricCrystal, orbit: int) -> str:
    atom = crystal.representatives[orbit]
    return f"site {atom} ({crystal.species[atom]}, Wyckoff {crystal.wyckoff[atom]})"


def _described(
    crystal: SymmetricCrystal, options: HypergraphOptions
) -> list[tuple[Motif, dict[str, np.ndarray]] | str]:
    """For every orbit its motif with the descriptors asked for, or why there are none."""
    shells = _shells(crystal, options)
    keys = [
        {
            name: f"{descriptor_key(name, shell.vectors, shell.shape)} {_versions()}"
            for name in options.motif_features
            if isinstance(shell, Motif)
        }
        for shell in shells
    ]
    known = results().get({key for of_shell in keys for key in of_shell.values()})
    described, new = [], {}
    for shell, of_shell in zip(shells, keys):
        if isinstance(shell, str):
            described.append(shell)
            continue
        for name, key in of_shell.items():
            if key not in known:
                known[key] = new[key] = _try(_values, name, shell)
        values = {name: known[key] for name, key in of_shell.items()}
        failed = [f"{name}: {value}" for name, value in values.items() if isinstance(value, str)]
        described.append("; ".join(failed) or (shell, {name: np.array(value) for name, value in values.items()}))
    results().put(new)
    return described


_DESCRIPTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"lsop": lsop, "csm": csm}


def _values(name: str, shell: Motif) -> list[float]:
    return _DESCRIPTORS[name](shell.vectors).tolist()


def _try(compute: Callable[..., Any], *inputs: Any) -> Any:
    """The result, or in words what went wrong: other people's code may raise anything, and no site stops the rest."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compute(*inputs)
    except IrrepnetError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _shells(crystal: SymmetricCrystal, options: HypergraphOptions) -> list[Motif | str]:
    """For every orbit the motif of its representative, or why there is none."""
    key = digest(
        options.motif_shell,
        options.tolerance,
        _versions(),
        crystal.lattice,
        crystal.frac_coords,
        crystal.numbers,
        crystal.representatives,
        crystal.hall_number,
    )
    stored = results().get([key]).get(key)
    if stored is None:
        around = _try(_AROUND[options.motif_shell], crystal, options)
        stored = [
            around if isinstance(around, str) else _try(_shell, crystal, orbit, around)
            for orbit in range(len(crystal.representatives))
        ]
        results().put({key: stored})
    return [
        entry
        if isinstance(entry, str)
        else _placed(crystal, int(atom), np.array(entry[0]), np.array(entry[1]), entry[2])
        for atom, entry in zip(crystal.representatives, stored)
    ]


# Of an atom: its neighbours and the vectors to them.
_Around = Callable[[int], tuple[np.ndarray, np.ndarray]]


def _shell(crystal: SymmetricCrystal, orbit: int, around: _Around) -> tuple[list, list, str]:
    """Neighbours, shifts and shape of the shell of the orbit's representative."""
    atom, group = int(crystal.representatives[orbit]), crystal.site_groups[orbit]
    found, vectors = around(atom)
    if not len(found):
        raise IrrepnetError("it has no neighbours")
    # With the images under the site group; equal ones once.
    neighbours = crystal.permutation[group][:, found].ravel()
    images = (vectors @ crystal.point_group.operations[group].transpose(0, 2, 1)).reshape(-1, 3)
    once = np.unique(np.column_stack([neighbours, _shifts(crystal, atom, neighbours, images)]), axis=0)
    whole = _placed(crystal, atom, once[:, 0], once[:, 1:])
    return once[:, 0].tolist(), once[:, 1:].tolist(), shape_key(whole.vectors)


def _shifts(crystal: SymmetricCrystal, atom: int, neighbours: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """(n, 3) int, in which cells the neighbours are, given the vectors to them."""
    ends = crystal.frac_coords[atom] + vectors @ np.linalg.inv(crystal.lattice)
    return np.round(ends - crystal.frac_coords[neighbours]).astype(int)


def _placed(crystal: SymmetricCrystal, atom: int, neighbours: np.ndarray, shifts: np.ndarray, shape: str = "") -> Motif:
    vectors = crystal.cart_coords[neighbours] + shifts @ crystal.lattice - crystal.cart_coords[atom]
    return Motif(atom, neighbours, shifts, vectors, shape)


def _crystalnn(crystal: SymmetricCrystal, options: HypergraphOptions) -> _Around:
    from pymatgen.core import Lattice, Structure
    from pymatgen.core.local_env import CrystalNN

    structure = Structure(Lattice(crystal.lattice), crystal.species, crystal.frac_coords)

    def around(atom: int) -> tuple[np.ndarray, np.ndarray]:
        found = CrystalNN().get_nn_info(structure, atom)
        vectors = [entry["site"].coords - crystal.cart_coords[atom] for entry in found]
        return np.array([entry["site_index"] for entry in found], int), np.array(vectors).reshape(-1, 3)

    return around


def _by(method: str, crystal: SymmetricCrystal, options: HypergraphOptions) -> _Around:
    found = find_neighbours(crystal, replace(options, neighbours=method, scale=_MINIMUM_DISTANCE))

    def around(atom: int) -> tuple[np.ndarray, np.ndarray]:
        own = found.receiver == atom
        return found.sender[own], found.vector[own]

    return around


_AROUND: dict[str, Callable[[SymmetricCrystal, HypergraphOptions], _Around]] = {
    "crystalnn": _crystalnn,
    "minimum-distance": partial(_by, "nearest"),
    "voronoi": partial(_by, "voronoi"),
}


@cache
def _versions() -> str:
    return f"{_VERSION} {version('pymatgen-core')} {version('pymatgen')}"


add_hyperedge_type(HyperedgeType("motifs", _columns, _build))
