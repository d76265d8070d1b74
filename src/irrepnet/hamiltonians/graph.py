"""What a network reads of a crystal with its S(R), and what it is asked for, once for each orbit.

A *node* is an orbit of sites, an *edge* the neighbours of a node that lie at one distance in one orbit, a *bond* the
first member of an orbit of blocks, an end of it a *site*. Under the trivial group each atom and each block is an orbit:
the same code then runs on everything, with equal results.

A block is known by its coefficients in the space that the symmetry allows it (`blocks.BlockSpace`); all that a network
predicts enters them linearly, by matrices that are made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import scipy.linalg
import torch

from irrepnet.errors import IrrepnetError
from irrepnet.graphs.graph import Part
from irrepnet.groups import PointGroup, harmonic_matrices, racah_to_real, real_harmonics
from irrepnet.hamiltonians.blocks import BondOrbit, bonds_within
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis
from irrepnet.hamiltonians.symmetry import Action, SpaceGroup, irreducible

L_MAX = 6
"""Largest l of the harmonics of directions: what couples two f shells."""
COPIES = 4
"""Radial functions of one l that the kinds of shells tell apart."""
KIND = len(LETTERS) + COPIES
"""Length of the description of a shell: l and its number, one-hot."""
EMPTY = 4
"""Conduction bands of which the target has the projection."""


@dataclass(frozen=True, eq=False)
class Couples(Part[torch.Tensor]):
    """Pairs of shells with l and l', N of them."""

    where: torch.Tensor
    """(N,) the node (on site) or the bond."""
    left: torch.Tensor
    """(N,) shell"""
    right: torch.Tensor
    """(N,) shell"""


@dataclass(frozen=True, eq=False)
class HamiltonianGraph(Part[torch.Tensor]):
    """A crystal for `HamiltonianNet`. Harmonics and shells are in the components of `real_harmonics`."""

    name: str
    numbers: torch.Tensor
    """(nodes,) atomic numbers."""
    receiver: torch.Tensor
    """(edges,) node"""
    sender: torch.Tensor
    """(edges,) node"""
    distance: torch.Tensor
    """(edges,) Å"""
    weight: torch.Tensor
    """(edges,) neighbours for which the edge stands."""
    harmonics: torch.Tensor
    """(edges, (L_MAX + 1)² − 1) Y_l of their directions, l = 1 … L_MAX, summed."""
    shell_node: torch.Tensor
    """(shells,) node"""
    shell_kind: torch.Tensor
    """(shells, KIND)"""
    site_node: torch.Tensor
    """(sites,) the node of each site."""
    turn: torch.Tensor
    """(sites, (L_MAX + 1)² − 1, the same): moments of the node → those of the site."""
    bond_sites: torch.Tensor
    """(bonds, 2) the sites at both ends. Each bond is there in both directions, the reversed ones at the end."""
    bond_vector: torch.Tensor
    """(bonds, 3) Å, from the first to the second end."""
    onsite: dict[tuple[int, int], Couples]
    """By (l, l'), pairs of shells of one node, left ≤ right."""
    bonds: dict[tuple[int, int], Couples]
    """By (l, l'), pairs of shells at the ends of a bond."""
    local: torch.Tensor
    """(m, elements of `onsite`) the coefficients of ½ (D S + S D)."""
    separable: torch.Tensor
    """(m, pairs of equal l in `onsite`) the coefficients of S W S."""
    free: torch.Tensor
    """(m, elements of `bonds`) sparse, the coefficients of the blocks of bonds."""


def trivial_action(basis: OrbitalBasis) -> Action:
    """The group of the identity alone."""
    one = np.eye(3)[None]
    group = SpaceGroup(PointGroup("1"), np.eye(3), np.zeros(1, int), one.astype(int), np.zeros((1, 3)), one)
    sites = len(basis.centres)
    matrices = tuple(np.eye(len(own))[None] for own in basis.orbitals)
    return Action(group, basis, np.arange(sites)[None], np.zeros((1, sites, 3), int), matrices)


@dataclass(frozen=True, eq=False)
class _Sites:
    """Sites by orbits, and shells in the components of `real_harmonics`."""

    first: np.ndarray
    """(nodes,) a site of each orbit."""
    node: np.ndarray
    """(sites,)"""
    operation: np.ndarray
    """(sites,) that leads from the first site to each."""
    change: list[np.ndarray]
    """Of each node (k, k): components of `real_harmonics` → orbitals, for all its sites."""
    shells: list[tuple[int, int, slice]]
    """Of each shell: its node, l, and rows of `change`."""


def _sites(act: Action) -> _Sites:
    basis = act.basis
    first, node, operation = [], np.full(len(basis.centres), -1), np.zeros(len(basis.centres), int)
    change, shells = [], []
    for site in range(len(basis.centres)):
        if node[site] >= 0:
            continue
        reached, by = np.unique(act.permutation[:, site], return_index=True)
        node[reached], operation[reached] = len(first), by
        operation[site] = int(np.flatnonzero(act.permutation[:, site] == site)[0])
        own, start = np.zeros((len(basis.orbitals[site]),) * 2), 0
        for shell in basis.shells_of(site):
            if not shell.is_whole or shell.harmonics == "complex" or basis.mixing is not None:
                names = [basis.names[orbital].partition(" ")[2] for orbital in basis.orbitals[site]]
                raise IrrepnetError(
                    f"{basis.cell.name}: the network reads whole shells of real orbitals, site {site + 1} has "
                    f"{', '.join(names)}"
                )
            rows = slice(start, start + len(shell.m))
            own[rows, rows] = np.real(shell.matrix) @ racah_to_real(shell.l).T
            shells.append((len(first), shell.l, rows))
            start = rows.stop
        first.append(site)
        change.append(own)
    return _Sites(np.array(first), node, operation, change, shells)


def hamiltonian_graph(
    act: Action,
    orbits: Sequence[BondOrbit],
    S: Hamiltonian,
    cutoff: float,
) -> HamiltonianGraph:
    """The graph of a crystal.

    Args:
        act: the group, of all operations or fewer.
        orbits: the blocks, under that group.
        S: a Hamiltonian with the overlap, cells closed under the group.
        cutoff: Å, of neighbours and of the bonds with blocks of their own.

    Raises:
        IrrepnetError: no overlap, or shells that are not whole.
    """
    basis = act.basis
    sites = _sites(act)
    offset = np.concatenate([[0], np.cumsum([len(orbit.space) for orbit in orbits])])
    edges = _edges(basis, sites, cutoff)
    turn = [harmonic_matrices(act.group.operations[sites.operation], l, (-1) ** l) for l in range(1, L_MAX + 1)]
    short = [number for number, orbit in enumerate(orbits) if 0 < orbit.distance < cutoff]
    bond_sites = np.array([orbits[number].sites for number in short], int).reshape(-1, 2)
    cells = np.array([orbits[number].R for number in short], int).reshape(-1, 3)
    vectors = (basis.centres[bond_sites[:, 1]] + cells - basis.centres[bond_sites[:, 0]]) @ basis.cell.lattice
    onsite, local, separable = _onsite(act, orbits, sites, S, offset)
    bonds, free = _bonds(act, [orbits[number] for number in short], sites, offset[short], int(offset[-1]))

    def floats(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, float))

    return HamiltonianGraph(
        name=basis.cell.name,
        numbers=torch.from_numpy(_atomic_numbers(basis)[sites.first]),
        receiver=torch.from_numpy(edges[0]),
        sender=torch.from_numpy(edges[1]),
        distance=floats(edges[2]),
        weight=floats(edges[3]),
        harmonics=floats(edges[4]),
        shell_node=torch.tensor([node for node, _, _ in sites.shells]),
        shell_kind=floats(_kinds(sites)),
        site_node=torch.from_numpy(sites.node),
        turn=floats(np.array([scipy.linalg.block_diag(*(D[site] for D in turn)) for site in range(len(sites.node))])),
        bond_sites=torch.from_numpy(np.concatenate([bond_sites, bond_sites[:, ::-1]])),
        bond_vector=floats(np.concatenate([vectors, -vectors])),
        onsite=onsite,
        bonds=bonds,
        local=floats(local),
        separable=floats(separable),
        free=free,
    )


def _overlap(hamiltonian: Hamiltonian) -> np.ndarray:
    if hamiltonian.S is None:
        raise IrrepnetError(f"{hamiltonian.name}: the network needs the overlap S(R)")
    return hamiltonian.S


def _atomic_numbers(basis: OrbitalBasis) -> np.ndarray:
    from pymatgen.core.periodic_table import Element

    unknown = [site + 1 for site, symbol in enumerate(basis.species) if symbol == "X"]
    if unknown:
        raise IrrepnetError(f"{basis.cell.name}: the network reads orbitals on atoms, site {unknown[0]} is on none")
    return np.array([Element(symbol).Z for symbol in basis.species])


def _edges(basis: OrbitalBasis, sites: _Sites, cutoff: float) -> tuple[np.ndarray, ...]:
    """Receiver, sender, distance, weight and summed harmonics."""
    near = bonds_within(basis, cutoff)
    near = near[np.isin(near[:, 0], sites.first)]
    vectors = (basis.centres[near[:, 1]] + near[:, 2:] - basis.centres[near[:, 0]]) @ basis.cell.lattice
    length = np.linalg.norm(vectors, axis=1)
    near, vectors, length = near[length > 0], vectors[length > 0], length[length > 0]
    keys = np.column_stack([sites.node[near[:, :2]], length.round(6)])
    unique, edge = np.unique(keys, axis=0, return_inverse=True)
    count = np.bincount(edge, minlength=len(unique))
    unit = vectors / length[:, None]
    harmonics = np.concatenate([real_harmonics(l, unit) for l in range(1, L_MAX + 1)], 1)
    summed = np.zeros((len(unique), harmonics.shape[1]))
    np.add.at(summed, edge, harmonics)
    distance = np.bincount(edge, length, minlength=len(unique)) / count
    return unique[:, 0].astype(int), unique[:, 1].astype(int), distance, count, summed


def _kinds(sites: _Sites) -> np.ndarray:
    kinds = np.zeros((len(sites.shells), KIND))
    seen: dict[tuple[int, int], int] = {}
    for shell, (node, l, _) in enumerate(sites.shells):
        number = seen.get((node, l), 0)
        seen[node, l] = number + 1
        if number >= COPIES:
            raise IrrepnetError(f"the network tells {COPIES} radial functions of an l apart, an atom has more")
        kinds[shell, [l, len(LETTERS) + number]] = 1
    return kinds


def _onsite(
    act: Action, orbits: Sequence[BondOrbit], sites: _Sites, S: Hamiltonian, offset: np.ndarray
) -> tuple[dict[tuple[int, int], Couples], np.ndarray, np.ndarray]:
    """The pairs of shells of a node, and the matrices `local` and `separable`."""
    basis = act.basis
    couples: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    for i, (node, l, _) in enumerate(sites.shells):
        for j, (other, l2, _) in enumerate(sites.shells[i:], i):
            if node == other:
                left, right = (i, j) if l <= l2 else (j, i)
                couples.setdefault((min(l, l2), max(l, l2)), []).append((node, left, right))
    couples = dict(sorted(couples.items()))
    flat = [couple for own in couples.values() for couple in own]
    equal = [couple for (l, l2), own in couples.items() for couple in own if l == l2]
    by_node = [_local(act, orbits, sites, S, node) for node in range(len(sites.first))]  # (m, k, k) each
    local = []
    for node, i, j in flat:
        rows, columns = sites.shells[i][2], sites.shells[j][2]
        own = by_node[node][:, rows, columns]
        if i != j:
            own = own + by_node[node][:, columns, rows].transpose(0, 2, 1)
        local.append(own.reshape(len(own), -1))
    separable = np.zeros((int(offset[-1]), len(equal)))
    padded = np.concatenate([_overlap(S), np.zeros_like(_overlap(S)[:1])])
    for number, orbit in enumerate(orbits):
        a, b = orbit.sites
        left = _overlap(S)[:, basis.orbitals[a]]  # from a to all in the cells R'
        right = padded[S.index(np.array(orbit.R) - S.R)][:, :, basis.orbitals[b]]  # from these to b
        for column, (node, i, j) in enumerate(equal):
            block = np.zeros(orbit.space.basis.shape[1:])
            for site in np.flatnonzero(sites.node == node):
                first, second = (basis.orbitals[site][sites.shells[shell][2]] for shell in (i, j))
                block += np.einsum("Rim,Rmj->ij", left[:, :, first], right[:, second])
                if i != j:
                    block += np.einsum("Rim,Rmj->ij", left[:, :, second], right[:, first])
            separable[offset[number] : offset[number + 1], column] = orbit.space.coefficients(block)
    where = {key: Couples(*(torch.tensor(column) for column in zip(*own, strict=True))) for key, own in couples.items()}
    return where, np.concatenate(local, 1), separable


def _local(act: Action, orbits: Sequence[BondOrbit], sites: _Sites, S: Hamiltonian, node: int) -> np.ndarray:
    """(m, k, k) the derivative of the coefficients of ½ (D S + S D) by D of a node's first site."""
    basis = act.basis
    first = sites.first[node]
    found = []
    for orbit in orbits:
        a, b = orbit.sites
        overlap = _overlap(S)[S.index(np.array(orbit.R)), basis.orbitals[a][:, None], basis.orbitals[b]]
        total = np.zeros((len(orbit.space), *sites.change[node].shape))
        if sites.node[a] == node:
            M = act.matrices[first][sites.operation[a]] @ sites.change[node]
            total += M.T @ orbit.space.basis @ overlap.T @ M / 2
        if sites.node[b] == node:
            M = act.matrices[first][sites.operation[b]] @ sites.change[node]
            total += M.T @ overlap.T @ orbit.space.basis @ M / 2
        found.append(total)
    return np.concatenate(found)


def _bonds(
    act: Action, orbits: Sequence[BondOrbit], sites: _Sites, offset: np.ndarray, size: int
) -> tuple[dict[tuple[int, int], Couples], torch.Tensor]:
    """The pairs of shells of bonds in both directions, and the matrix `free`."""
    shells_of = [[i for i, shell in enumerate(sites.shells) if shell[0] == node] for node in range(len(sites.first))]
    couples: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    parts: dict[tuple[int, int], list[np.ndarray]] = {}
    for number, orbit in enumerate(orbits):
        a, b = orbit.sites
        space = sites.change[sites.node[a]].T @ orbit.space.basis @ sites.change[sites.node[b]] / 2
        for i, j in product(shells_of[sites.node[a]], shells_of[sites.node[b]]):
            (_, l, rows), (_, l2, columns) = sites.shells[i], sites.shells[j]
            block = space[:, rows, columns]
            for key, couple, own in (
                ((l, l2), (number, i, j), block),
                ((l2, l), (number + len(orbits), j, i), block.transpose(0, 2, 1)),
            ):
                couples.setdefault(key, []).append(couple)
                parts.setdefault(key, []).append(own.reshape(len(own), -1))
    rows, columns, values, start = [], [], [], 0
    for key in sorted(couples):
        for (number, _, _), part in zip(couples[key], parts[key]):
            m, e = np.nonzero(abs(part) > 1e-14)
            rows.append(offset[number % len(orbits)] + m)
            columns.append(start + e)
            values.append(part[m, e])
            start += part.shape[1]
    free = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([np.concatenate(rows), np.concatenate(columns)]))
        if rows
        else torch.zeros(2, 0).long(),
        torch.from_numpy(np.concatenate(values)) if rows else torch.zeros(0).double(),
        (size, start),
        check_invariants=False,
    ).coalesce()
    where = {
        key: Couples(*(torch.tensor(column) for column in zip(*couples[key], strict=True))) for key in sorted(couples)
    }
    return where, free


@dataclass(frozen=True, eq=False)
class DeltaTarget(Part[torch.Tensor]):
    """What a prediction of ΔH = H − H0 is measured by, on its coefficients δ (m,).

        loss² = min over μ of  Σ_bonds |r(δ − δ* − μ s)|²,        r the rows of `rows` and the roots in `root`

    Rows are the projections on the states of the true H at some k, Σ_R exp(2πi k·R) ⟨n k| block |n' k⟩: first-order
    changes of bands, and their mixing. Roots weight the elements by themselves. Both are eV, a mean square over bands
    or orbitals of the cell.
    """

    delta: torch.Tensor
    """(m,) eV"""
    overlap: torch.Tensor
    """(m,) those of S."""
    rows: torch.Tensor
    """(rows, m)"""
    root: torch.Tensor
    """(m,)"""

    def loss(self, delta: torch.Tensor, elements: float = 1.0) -> torch.Tensor:
        """eV: the root mean square error that is left after the best μ; `elements` weights the second part."""
        weight = elements**0.5
        error, shift = (torch.cat([self.rows @ x, weight * self.root * x]) for x in (delta - self.delta, self.overlap))
        error = error - shift * ((shift @ error) / (shift @ shift))
        return (error.square().sum() + 1e-12).sqrt()


def delta_target(
    act: Action, orbits: Sequence[BondOrbit], H: Hamiltonian, delta: np.ndarray, overlap: np.ndarray, occupied: int
) -> DeltaTarget:
    """The target of a crystal: ΔH's coefficients (m,), those of S (m,), true H with S for the states.

    Valence bands weigh 1, the next `EMPTY` a quarter, couplings of both a half; all bands above are left out.
    """
    basis = act.basis
    lengths = np.linalg.norm(basis.cell.lattice, axis=1)
    even = 2 * int(np.ceil(5.0 / lengths.min()))  # points at the zone boundary
    k, weights = irreducible(act, (even, even, even))
    window = min(occupied + EMPTY, len(basis))
    states = np.stack([H.eigenstates(point)[1][:, :window] for point in k])  # (K, n, window)
    share = np.where(np.arange(window) < occupied, 1.0, 0.5)
    upper = np.triu_indices(window)
    scale = share[upper[0]] * share[upper[1]] * np.where(upper[0] == upper[1], 1.0, np.sqrt(2)) / np.sqrt(window)
    rows, root = [], []
    for orbit in orbits:
        total = np.zeros((len(k), len(orbit.space), window, window), complex)
        D, other = (act.matrices[site][orbit.operations][:, None] for site in orbit.sites)
        images = D @ orbit.space.basis @ other.transpose(0, 1, 3, 2)  # (members, m, k_a, k_b)
        pairs, which = np.unique(orbit.members[:, :2], axis=0, return_inverse=True)
        for number, (a, b) in enumerate(pairs):
            own = np.flatnonzero(which == number)
            phases = np.exp(2j * np.pi * (k @ orbit.members[own, 2:].T))
            blocks = [images[i].transpose(0, 2, 1) if orbit.reversed[i] else images[i] for i in own]
            bloch = np.tensordot(phases, np.stack(blocks), 1)  # (K, m, k_a, k_b)
            left, right = states[:, basis.orbitals[a]], states[:, basis.orbitals[b]]
            total += left.conj().transpose(0, 2, 1)[:, None] @ bloch @ right[:, None]
        projected = total[:, :, upper[0], upper[1]] * scale * np.sqrt(weights)[:, None, None]
        rows.append(
            np.concatenate([projected.real, projected.imag], 2).transpose(0, 2, 1).reshape(-1, len(orbit.space))
        )
        root += [np.sqrt(len(orbit.members) / len(basis))] * len(orbit.space)
    found = np.concatenate(rows, 1)
    found = found[abs(found).max(1) > 1e-12]
    return DeltaTarget(*(torch.from_numpy(np.ascontiguousarray(x)) for x in (delta, overlap, found, np.array(root))))
