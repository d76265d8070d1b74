"""The space group on a Hamiltonian: how far it is from symmetric, and the symmetric one next to it.

An operation s = {W | t} sends site a in the home cell to site p(a) in the cell L_a, and orbitals with it by D(s). So it
sends the block between a in the home cell and b in the cell R to that between p(a) and p(b) in the cell
W R + L_b − L_a:

    H_{p(a), p(b)}(W R + L_b − L_a) = D_a(s) H_ab(R) D_b(s)ᴴ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import moyopy
import numpy as np

from irrepnet.crystals import Cell, Violations, irrep_norms
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup, identify, setting_of
from irrepnet.hamiltonians.model import Hamiltonian, cell_index, mesh_points
from irrepnet.hamiltonians.orbitals import OrbitalBasis, real_if_real

SYMPREC = 0.01
"""Å, how far from symmetric an atom may be."""
_CENTRE = 0.2  # Å; centres of Wannier functions come from a minimisation, and are no less than bonds apart


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """The M operations x → rotations[g] @ x + translations[g] of a cell as it is given, in its own axes.

    M is |P| for a primitive cell, and |P| times the number of lattice points otherwise.
    """

    point_group: PointGroup
    """P, in the named setting that the axes of the input give it, or else in its default setting."""
    elements: np.ndarray
    """(M,) the index in `point_group.operations` of each operation's rotation."""
    rotations: np.ndarray
    """(M, 3, 3) int, fractional."""
    translations: np.ndarray
    """(M, 3) fractional."""
    operations: np.ndarray
    """(M, 3, 3) orthogonal, Cartesian in the axes of the input."""

    @property
    def is_primitive(self) -> bool:
        return len(self.rotations) == self.point_group.order

    @cached_property
    def factors(self) -> tuple[np.ndarray, ...]:
        """Lists of operations: those of one of each list, or of none, multiplied in their order, are the whole group
        once, up to lattice translations. The first list are the centring translations, if there are any."""
        centring = np.flatnonzero(self.elements == 0)
        steps = self.translations[centring]
        identity = abs(steps - np.rint(steps)).sum(1).argmin()
        one_of_each = np.unique(self.elements, return_index=True)[1]
        factors = [np.delete(centring, identity), *(one_of_each[own[1:]] for own in self.point_group.factors)]
        return tuple(own for own in factors if len(own))

    def __len__(self) -> int:
        return len(self.rotations)


def space_group(cell: Cell, symprec: float = SYMPREC) -> SpaceGroup:
    """The space group of a cell, found within `symprec` Å; operations in the order of the point group's.

    Raises IrrepnetError if no group is consistent with the cell.
    """
    if not 0 < symprec < 1:
        raise IrrepnetError(f"symprec is a distance between 0 and 1 Å, got {symprec}")
    try:
        found = moyopy.MoyoDataset(
            moyopy.Cell(cell.lattice.tolist(), cell.frac_coords.tolist(), cell.numbers.tolist()), symprec=symprec
        ).operations
    except ValueError as error:
        raise IrrepnetError(f"{cell.name}: no space group found at symprec {symprec} Å ({error})") from error
    rotations, translations = np.array(found.rotations), np.array(found.translations)
    unique, which = np.unique(rotations, axis=0, return_inverse=True)
    columns = cell.lattice.T
    left, _, right = np.linalg.svd(columns @ unique @ np.linalg.inv(columns))
    cartesian = left @ right
    group, turn = setting_of(cartesian), np.eye(3)
    if group is None:
        group, turn = identify(cartesian)
    exact = turn @ group.operations @ turn.T
    number = abs(cartesian[:, None] - exact[None]).max((-1, -2)).argmin(1)  # (unique,)
    elements = number[which]
    order = np.argsort(elements, kind="stable")
    elements = elements[order]
    return SpaceGroup(group, elements, rotations[order], translations[order], exact[elements])


@dataclass(frozen=True, eq=False)
class Action:
    """A space group on the sites and orbitals of a basis."""

    group: SpaceGroup
    basis: OrbitalBasis
    permutation: np.ndarray
    """(M, sites) int, the site that each site goes to."""
    cells: np.ndarray
    """(M, sites, 3) int, the cell it goes to."""
    matrices: tuple[np.ndarray, ...]
    """Of each site: (M, k, k), its orbitals → those of the site it goes to."""

    def images(self, g: int, a: int, b: int, R: np.ndarray) -> tuple[int, int, np.ndarray]:
        """Where operation g sends blocks between sites a (home cell) and b (cells R (…, 3)): sites and cells."""
        cells = R @ self.group.rotations[g].T + self.cells[g, b] - self.cells[g, a]
        return int(self.permutation[g, a]), int(self.permutation[g, b]), cells

    def on_bloch_sums(self, operations: Sequence[int], k: np.ndarray) -> np.ndarray:
        """(operations, n, n) unitary U from k to k' = k W⁻¹, both (3,) fractional: H(k') = U H(k) Uᴴ.

        On Bloch sums Σ_R exp(2πi k·R) |j, R⟩, site a goes to p(a) with D_a exp(−2πi k'·L_a).
        """
        basis = self.basis
        operators = np.zeros((len(operations), len(basis), len(basis)), complex)
        for number, g in enumerate(operations):
            phases = np.exp(-2j * np.pi * (self.cells[g] @ (k @ np.linalg.inv(self.group.rotations[g]))))
            for site, columns in enumerate(basis.orbitals):
                rows = basis.orbitals[self.permutation[g, site]]
                operators[number, rows[:, None], columns] = phases[site] * self.matrices[site][g]
        return operators


def action(basis: OrbitalBasis, symprec: float = SYMPREC) -> Action:
    """The space group of the atoms on the sites and orbitals.

    Raises:
        IrrepnetError: no space group, or a site or orbital that an operation takes out of the basis.
    """
    group = space_group(basis.cell, symprec)
    images = basis.centres @ group.rotations.transpose(0, 2, 1) + group.translations[:, None]
    apart = images[:, :, None] - basis.centres
    cells = np.rint(apart).astype(int)
    distance = np.linalg.norm((apart - cells) @ basis.cell.lattice, axis=-1)  # (M, sites, sites)
    permutation = distance.argmin(-1)
    farthest = distance.min(-1)
    if farthest.max() > _CENTRE:
        site = int(farthest.max(0).argmax())
        raise IrrepnetError(
            f"{basis.cell.name}: the symmetry of the structure takes site {site + 1} ({basis.species[site]}) "
            f"{farthest.max():.2f} Å away from any site with orbitals; the structure or the centres are not those of "
            "the Hamiltonian"
        )
    matrices = []
    for site in range(len(basis.centres)):
        size = len(basis.orbitals[site])
        found = np.zeros((len(group), size, size), complex)
        for target in np.unique(permutation[:, site]).tolist():
            own = permutation[:, site] == target
            found[own] = basis.matrices(site, target, group.operations[own])
        matrices.append(real_if_real(found))
    cells = np.take_along_axis(cells, permutation[:, :, None, None], 2)[:, :, 0]
    return Action(group, basis, permutation, cells, tuple(matrices))


def irreducible(act: Action, mesh: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """One k (K, 3) of each star on a mesh that holds Γ, under the point group and time reversal, and weights that add
    up to 1 (K,)."""
    size = np.array(mesh)
    points = np.rint(mesh_points(mesh) * size).astype(int)
    first = np.arange(len(points))
    for W in act.group.rotations:
        scaled = W / size[:, None] * size
        images = points @ np.rint(scaled).astype(int)
        for signed in (images, -images):
            np.minimum(first, np.ravel_multi_index(tuple((signed % size).T), mesh), out=first)
    chosen, counts = np.unique(first, return_counts=True)
    return points[chosen] / size, counts / len(points)


@dataclass(frozen=True, eq=False)
class BlockResidual:
    """The worst violation among the blocks between two sites."""

    sites: tuple[int, int]
    R: tuple[int, int, int]
    """The cell where it occurs."""
    operation: int
    """The operation of the space group that shows it."""
    residual: float
    """eV (S: no unit)"""


@dataclass(frozen=True, eq=False)
class Residual:
    """How far a Hamiltonian is from obeying its space group: largest absolute differences of elements."""

    symmetry: float
    """eV (S: no unit), over all operations and blocks."""
    operations: np.ndarray
    """(M,) of each operation."""
    blocks: tuple[BlockResidual, ...]
    """Of each pair of sites, the largest first."""


def hermiticity(hamiltonian: Hamiltonian, overlap: bool = False) -> float:
    """Largest |H(R) − H(−R)ᴴ| of an element in eV; of S(R) with `overlap`. A cell that is not there counts as zero."""
    blocks = _with_zero(_blocks(hamiltonian, overlap))
    reversed_ = blocks[hamiltonian.index(-hamiltonian.R)].conj().transpose(0, 2, 1)
    return float(abs(blocks[:-1] - reversed_).max())


def symmetry_residual(hamiltonian: Hamiltonian, act: Action, overlap: bool = False) -> Residual:
    """The violation of every operation, block by block; of S(R) with `overlap`."""
    blocks = _by_pairs(_blocks(hamiltonian, overlap), act.basis)
    operations = np.zeros(len(act.group))
    pairs = []
    for (a, b), own in blocks.items():
        worst = BlockResidual((a, b), (0, 0, 0), 0, 0.0)
        for g in range(len(act.group)):
            a2, b2, cells = act.images(g, a, b, hamiltonian.R)
            moved = _turned(act.matrices[a][g], own[..., :-1], act.matrices[b][g].conj().T)
            differences = abs(moved - blocks[a2, b2].take(hamiltonian.index(cells), -1)).max((0, 1))
            residual = float(differences.max())
            operations[g] = max(operations[g], residual)
            if residual > worst.residual:
                x, y, z = hamiltonian.R[differences.argmax()].tolist()
                worst = BlockResidual((a, b), (x, y, z), g, residual)
        pairs.append(worst)
    pairs.sort(key=lambda pair: -pair.residual)
    return Residual(float(operations.max()), operations, tuple(pairs))


def spectrum_residual(hamiltonian: Hamiltonian, group: SpaceGroup, k: np.ndarray) -> np.ndarray:
    """(M,) eV, of each operation the largest difference between the energies at k (K, 3) and at their images k W⁻¹.

    It needs no orbitals; zero is necessary for symmetry, not sufficient.
    """
    rotations, which = np.unique(group.rotations, axis=0, return_inverse=True)
    images = k @ np.linalg.inv(rotations)  # (rotations, K, 3)
    differences = abs(hamiltonian.eigenvalues(images) - hamiltonian.eigenvalues(k)).max((1, 2))
    return differences[which.ravel()]


def symmetrised(hamiltonian: Hamiltonian, act: Action) -> Hamiltonian:
    """The mean of H(R) and S(R) over all operations of the space group and over Hermitian conjugation.

    Blocks that are not in the file count as zero; cells that hold images of its blocks are added.
    """
    cells = _closed_cells(hamiltonian, act)
    index = cell_index(cells)

    def mean(blocks: np.ndarray | None) -> np.ndarray | None:
        if blocks is None:
            return None
        total = _by_pairs(_extended(blocks, hamiltonian, cells), act.basis)
        for operations in act.group.factors:
            total = {
                (a, b): own + sum(_brought_back(total, act, g, a, b, cells, index) for g in operations)
                for (a, b), own in total.items()
            }
        joined = _joined(total, act.basis) / len(act.group)
        return (joined + joined[index(-cells)].conj().transpose(0, 2, 1)) / 2

    H = mean(hamiltonian.H)
    assert H is not None
    return replace(hamiltonian, R=cells, H=H, S=mean(hamiltonian.S), H0=mean(hamiltonian.H0), position=None)


def violations(hamiltonian: Hamiltonian, symmetric: Hamiltonian, act: Action, overlap: bool = False) -> Violations:
    """What `symmetrised` took away from H(R), over all blocks in eV; from S(R) with `overlap`."""
    cells, group = symmetric.R, act.group
    given = _extended(_blocks(hamiltonian, overlap), hamiltonian, cells)
    rest = given - _blocks(symmetric, overlap)
    overlaps, norms = np.zeros(group.point_group.order), np.zeros(len(group))
    blocks, index = _by_pairs(rest, act.basis), cell_index(cells)
    for (a, b), own in blocks.items():
        for g, element in enumerate(group.elements):
            image = _brought_back(blocks, act, g, a, b, cells, index)
            overlaps[element] += np.vdot(image, own).real
            norms[g] += np.linalg.norm(image - own) ** 2
    copies = len(group) // group.point_group.order
    irreps = irrep_norms(group.point_group, overlaps / copies)
    total = float(np.linalg.norm(rest))
    trivial = float(overlaps.mean()) / copies
    left = total**2 - trivial - sum(norm**2 for norm in irreps.values())
    trivial, left = (part if part > 1e-13 * total**2 else 0.0 for part in (trivial, left))  # not rounding
    return Violations(
        norm=float(np.linalg.norm(given)),
        total=total,
        largest=float(abs(rest).max()),
        translations=float(np.sqrt(left)),
        irreps=irreps,
        rules={"Hermiticity": float(np.sqrt(trivial))},
        operations=np.sqrt(norms),
    )


def _extended(blocks: np.ndarray, hamiltonian: Hamiltonian, cells: np.ndarray) -> np.ndarray:
    """The blocks of the Hamiltonian on more cells, zero where it has none; those of cells that are not among them are
    zero too."""
    return _with_zero(blocks)[hamiltonian.index(cells)]


_Pairs = dict[tuple[int, int], np.ndarray]
"""{(a, b): (k_a, k_b, cells + 1)} blocks between two sites. The last is zero: index −1, of a cell that is not there."""


def _by_pairs(blocks: np.ndarray, basis: OrbitalBasis) -> _Pairs:
    """Of blocks (cells, n, n). Products and sums run along the cells, which are many."""
    padded = np.ascontiguousarray(np.moveaxis(_with_zero(blocks), 0, -1))
    sites = range(len(basis.centres))
    return {(a, b): padded[basis.orbitals[a][:, None], basis.orbitals[b]] for a, b in product(sites, sites)}


def _joined(pairs: _Pairs, basis: OrbitalBasis) -> np.ndarray:
    """(cells, n, n), the reverse of `_by_pairs`."""
    first = next(iter(pairs.values()))
    blocks = np.empty((first.shape[-1] - 1, len(basis), len(basis)), first.dtype)
    for (a, b), own in pairs.items():
        blocks[:, basis.orbitals[a][:, None], basis.orbitals[b]] = np.moveaxis(own[..., :-1], -1, 0)
    return blocks


def _turned(left: np.ndarray, blocks: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(k, l, cells) left (k, k_a) · blocks (k_a, k_b, cells) · right (k_b, l), as few large products."""
    k_a, k_b, cells = blocks.shape
    return right.T @ (left @ blocks.reshape(k_a, -1)).reshape(-1, k_b, cells)


def _brought_back(
    pairs: _Pairs, act: Action, g: int, a: int, b: int, cells: np.ndarray, index: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """(k_a, k_b, cells + 1) g⁻¹·blocks between a and b: D_a(g)ᴴ H_{p(a), p(b)}(the image of R) D_b(g)."""
    a2, b2, images = act.images(g, a, b, cells)
    met = pairs[a2, b2].take(np.append(index(images), -1), -1)
    return _turned(act.matrices[a][g].conj().T, met, act.matrices[b][g])


def _closed_cells(hamiltonian: Hamiltonian, act: Action) -> np.ndarray:
    """The cells of the blocks that are not zero, of their images and of the reverse of these, nearest first."""
    basis = act.basis
    present = abs(hamiltonian.H) if hamiltonian.S is None else abs(hamiltonian.H) + abs(hamiltonian.S)
    found = [np.zeros((1, 3), int)]
    for (a, b), own in _by_pairs(present, basis).items():
        kept = hamiltonian.R[own[..., :-1].any((0, 1))]
        found += [act.images(g, a, b, kept)[2] for g in range(len(act.group))]
    # as points of a box around 0, which are fewer
    reached = np.concatenate(found)
    size = abs(reached).max(0)
    box = np.zeros(2 * size + 1, bool)
    box[tuple((size + reached).T)] = box[tuple((size - reached).T)] = True
    cells = np.argwhere(box) - size
    return cells[np.argsort(np.linalg.norm(cells @ basis.cell.lattice, axis=1).round(6), kind="stable")]


def _blocks(hamiltonian: Hamiltonian, overlap: bool) -> np.ndarray:
    if not overlap:
        return hamiltonian.H
    if hamiltonian.S is None:
        raise IrrepnetError(f"{hamiltonian.name}: it has no overlap, its orbitals are orthonormal")
    return hamiltonian.S


def _with_zero(blocks: np.ndarray) -> np.ndarray:
    """The blocks and a zero one at the end, where index −1 finds it."""
    return np.concatenate([blocks, np.zeros_like(blocks[:1])])
