"""The space group on a Hamiltonian: how far it is from symmetric, and the symmetric one next to it.

An operation s = {W | t} sends site a in the home cell to site p(a) in the cell L_a, and orbitals with it by D(s). So it
sends the block between a in the home cell and b in the cell R to that between p(a) and p(b) in the cell
W R + L_b − L_a:

    H_{p(a), p(b)}(W R + L_b − L_a) = D_a(s) H_ab(R) D_b(s)ᴴ.

With time reversal the operation is antiunitary, D_a(s) K, and the block is conjugated before. A crystal with spin and
without magnetic moments has time reversal; one with moments what spglib finds for them (magnetic space groups).
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
from irrepnet.groups import DoubleGroup, PointGroup, identify, setting_of, spinor_matrices
from irrepnet.hamiltonians.model import Hamiltonian, cell_index, mesh_points
from irrepnet.hamiltonians.orbitals import OrbitalBasis, real_if_real

SYMPREC = 0.01
"""Å, how far from symmetric an atom may be."""
_SPLIT = 0.01  # eV; Kramers pairs are pairs whatever Wannier functions do
_MAGNETIC = 0.3  # eV; their matrix elements are less exact
_CENTRE = 0.2  # Å; centres of Wannier functions come from a minimisation, and are no less than bonds apart


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """The M operations x → rotations[g] @ x + translations[g] of a cell as it is given, in its own axes: the unitary
    ones, then those that reverse time, if there are any.

    The unitary ones are |P| for a primitive cell, and |P| times the number of lattice points otherwise.
    """

    point_group: PointGroup
    """P, of the unitary operations, in the named setting that the axes of the input give it, or else in its default
    setting."""
    turn: np.ndarray
    """(3, 3) proper rotation from the frame of P to that of the input."""
    elements: np.ndarray
    """(unitary,) the index in `point_group.operations` of each unitary operation's rotation."""
    rotations: np.ndarray
    """(M, 3, 3) int, fractional."""
    translations: np.ndarray
    """(M, 3) fractional."""
    operations: np.ndarray
    """(M, 3, 3) orthogonal, Cartesian in the axes of the input."""

    @property
    def is_primitive(self) -> bool:
        return len(self.elements) == self.point_group.order

    @property
    def reverses_time(self) -> np.ndarray:
        """(M,) bool."""
        return np.arange(len(self)) >= len(self.elements)

    @cached_property
    def spinors(self) -> np.ndarray:
        """(M, 2, 2) SU(2) matrices of the operations: for unitary ones those of `DoubleGroup(point_group)`, turned."""
        turn = spinor_matrices(self.turn[None])[0]
        unitary = turn @ DoubleGroup(self.point_group).spinors[self.elements] @ turn.conj().T
        return np.concatenate([unitary, spinor_matrices(self.operations[len(self.elements) :])])

    @cached_property
    def factors(self) -> tuple[np.ndarray, ...]:
        """Lists of operations: those of one of each list, or of none, multiplied in their order, are the whole group
        once, up to lattice translations. The first list are the centring translations, if there are any, the last is
        one operation that reverses time."""
        centring = np.flatnonzero(self.elements == 0)
        steps = self.translations[centring]
        identity = abs(steps - np.rint(steps)).sum(1).argmin()
        one_of_each = np.unique(self.elements, return_index=True)[1]
        factors = [np.delete(centring, identity), *(one_of_each[own[1:]] for own in self.point_group.factors)]
        factors.append(np.flatnonzero(self.reverses_time)[:1])
        return tuple(own for own in factors if len(own))

    def __len__(self) -> int:
        return len(self.rotations)


def space_group(
    cell: Cell, symprec: float = SYMPREC, spinful: bool = False, moments: np.ndarray | None = None
) -> SpaceGroup:
    """The space group of a cell, found within `symprec` Å; operations in the order of the point group's.

    Args:
        spinful: of functions with spin: with time reversal, alone and with each operation.
        moments: (atoms, 3) magnetic moments along x, y, z: the magnetic space group, or without spin the operations
            that keep the signs of collinear moments. Zeros are no moments.

    Raises IrrepnetError if no group is consistent with the cell.
    """
    if not 0 < symprec < 1:
        raise IrrepnetError(f"symprec is a distance between 0 and 1 Å, got {symprec}")
    reversing = None
    if moments is not None and np.any(moments):
        rotations, translations, reverses = _magnetic_operations(cell, symprec, moments, spinful)
        if spinful and reverses.any():
            reversing = rotations[reverses], translations[reverses]
        rotations, translations = rotations[~reverses], translations[~reverses]
    else:
        rotations, translations = _operations(cell, symprec)
    unique, which = np.unique(rotations, axis=0, return_inverse=True)
    cartesian = _cartesian(cell, unique)
    group, turn = setting_of(cartesian), np.eye(3)
    if group is None:
        group, turn = identify(cartesian)
    exact = turn @ group.operations @ turn.T
    number = abs(cartesian[:, None] - exact[None]).max((-1, -2)).argmin(1)  # (unique,)
    elements = number[which]
    order = np.argsort(elements, kind="stable")
    elements = elements[order]
    found = SpaceGroup(group, turn, elements, rotations[order], translations[order], exact[elements])
    if reversing is not None:
        return _with_time_reversal(found, *reversing, _cartesian(cell, reversing[0]))
    if spinful and (moments is None or not np.any(moments)):
        return _with_time_reversal(found, found.rotations, found.translations, found.operations)
    return found


def _operations(cell: Cell, symprec: float) -> tuple[np.ndarray, np.ndarray]:
    try:
        found = moyopy.MoyoDataset(
            moyopy.Cell(cell.lattice.tolist(), cell.frac_coords.tolist(), cell.numbers.tolist()), symprec=symprec
        ).operations
    except ValueError as error:
        raise IrrepnetError(f"{cell.name}: no space group found at symprec {symprec} Å ({error})") from error
    return np.array(found.rotations), np.array(found.translations)


def _magnetic_operations(
    cell: Cell, symprec: float, moments: np.ndarray, spinful: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations, translations and whether time is reversed (M,). Without spin–orbit coupling spins turn apart from
    space: of collinear moments the signs along their axis count alone."""
    import spglib

    moments = np.asarray(moments, float)
    if moments.shape != (len(cell.numbers), 3) or not np.isfinite(moments).all():
        raise IrrepnetError(f"{cell.name}: moments are three finite numbers of each of its {len(cell.numbers)} atoms")
    if not spinful:
        axis = moments[np.linalg.norm(moments, axis=1).argmax()]
        if np.linalg.norm(np.cross(moments, axis)) > 1e-6 * np.linalg.norm(axis) ** 2:
            raise IrrepnetError(f"{cell.name}: moments along several axes need a Hamiltonian with spin")
        moments = moments @ axis / np.linalg.norm(axis)
    crystal = (cell.lattice, cell.frac_coords, cell.numbers, moments)
    found = spglib.get_magnetic_symmetry(crystal, symprec=symprec, mag_symprec=1e-3)  # pyright: ignore[reportArgumentType]
    if found is None:
        raise IrrepnetError(f"{cell.name}: no magnetic space group found at symprec {symprec} Å")
    return found["rotations"].astype(int), found["translations"], found["time_reversals"].astype(bool)


def _cartesian(cell: Cell, rotations: np.ndarray) -> np.ndarray:
    """(N, 3, 3) the orthogonal matrices next to what fractional rotations do in the axes of the input."""
    columns = cell.lattice.T
    left, _, right = np.linalg.svd(columns @ rotations @ np.linalg.inv(columns))
    return left @ right


def _with_time_reversal(
    group: SpaceGroup, rotations: np.ndarray, translations: np.ndarray, operations: np.ndarray
) -> SpaceGroup:
    return replace(
        group,
        rotations=np.concatenate([group.rotations, rotations]),
        translations=np.concatenate([group.translations, translations]),
        operations=np.concatenate([group.operations, operations]),
    )


@dataclass(frozen=True, eq=False)
class Action:
    """A space group on the sites and functions of a basis."""

    group: SpaceGroup
    basis: OrbitalBasis
    permutation: np.ndarray
    """(M, sites) int, the site that each site goes to."""
    cells: np.ndarray
    """(M, sites, 3) int, the cell it goes to."""
    matrices: tuple[np.ndarray, ...]
    """Of each site: (M, k, k) unitary D, its functions → those of the site it goes to; D K where time is reversed."""

    def moved(self, g: int, a: int, b: int, blocks: np.ndarray) -> np.ndarray:
        """(k, l, N) what operation g makes of blocks (k_a, k_b, N) of sites a and b: D_a B D_bᴴ, or D_a B* D_bᴴ."""
        blocks = blocks.conj() if self.group.reverses_time[g] else blocks
        return _turned(self.matrices[a][g], blocks, self.matrices[b][g].conj().T)

    def moved_back(self, g: int, a: int, b: int, blocks: np.ndarray) -> np.ndarray:
        """(k_a, k_b, N) the blocks of which `moved` makes these."""
        found = _turned(self.matrices[a][g].conj().T, blocks, self.matrices[b][g])
        return found.conj() if self.group.reverses_time[g] else found

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
    """The space group of the atoms, and of their moments, on the sites and functions; with time reversal for spins
    without moments.

    Raises:
        IrrepnetError: no space group, or a site or orbital that an operation takes out of the basis.
    """
    group = space_group(basis.cell, symprec, basis.spinful, basis.moments)
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
            found[own] = basis.matrices(
                site, target, group.operations[own], group.spinors[own] if basis.spinful else None
            )
        if group.reverses_time.any():
            found[group.reverses_time] @= basis.time_reversal(site)
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
    time_reversal: float | None = None
    """eV, of time reversal alone; None if the group does not have it."""


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
            moved = act.moved(g, a, b, own[..., :-1])
            differences = abs(moved - blocks[a2, b2].take(hamiltonian.index(cells), -1)).max((0, 1))
            residual = float(differences.max())
            operations[g] = max(operations[g], residual)
            if residual > worst.residual:
                x, y, z = hamiltonian.R[differences.argmax()].tolist()
                worst = BlockResidual((a, b), (x, y, z), g, residual)
        pairs.append(worst)
    pairs.sort(key=lambda pair: -pair.residual)
    group = act.group
    alone = group.reverses_time & (group.rotations == np.eye(3)).all((1, 2))
    alone &= abs(group.translations - np.rint(group.translations)).max(1) < 1e-3
    time_reversal = float(operations[alone][0]) if alone.any() else None
    return Residual(float(operations.max()), operations, tuple(pairs), time_reversal)


def refuse_magnet(hamiltonian: Hamiltonian, residual: Residual) -> None:
    """Raises IrrepnetError if symmetrising would take a magnetisation away of which no moments tell: if the group has
    time reversal, but levels at k = −k are not pairs, or elements violate it by more than Wannier functions do."""
    if residual.time_reversal is None:
        return
    levels = hamiltonian.eigenvalues(mesh_points((2, 2, 2)))
    split = float(abs(levels[:, ::2] - levels[:, 1::2]).max())
    if split > _SPLIT or residual.time_reversal > _MAGNETIC:
        raise IrrepnetError(
            f"{hamiltonian.name}: time reversal is violated by {residual.time_reversal:.2g} eV, levels at k = −k are "
            f"split by up to {split:.2g} eV: it is magnetic; give the moments of its atoms (--moments), which decide "
            "the symmetry"
        )


def spectrum_residual(hamiltonian: Hamiltonian, group: SpaceGroup, k: np.ndarray) -> np.ndarray:
    """(M,) eV, of each operation the largest difference between the energies at k (K, 3) and at their images k W⁻¹,
    or −k W⁻¹ where time is reversed.

    It needs no orbitals; zero is necessary for symmetry, not sufficient.
    """
    signs = np.where(group.reverses_time, -1, 1)[:, None, None]
    rotations, which = np.unique(signs * group.rotations, axis=0, return_inverse=True)
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
    unitary, overlaps, norms = len(group.elements), np.zeros(len(group)), np.zeros(len(group))
    blocks, index = _by_pairs(rest, act.basis), cell_index(cells)
    for (a, b), own in blocks.items():
        for g in range(len(group)):
            image = _brought_back(blocks, act, g, a, b, cells, index)
            overlaps[g] += np.vdot(image, own).real
            norms[g] += np.linalg.norm(image - own) ** 2
    copies = unitary // group.point_group.order
    by_element = np.bincount(group.elements, overlaps[:unitary], group.point_group.order)
    irreps = irrep_norms(group.point_group, by_element / copies)
    total = float(np.linalg.norm(rest))
    trivial = float(overlaps[:unitary].mean())
    left = total**2 - trivial - sum(norm**2 for norm in irreps.values())
    # what all unitary operations keep is not Hermitian, or changes sign where time is reversed
    odd = (trivial - float(overlaps[unitary:].mean())) / 2 if unitary < len(group) else 0.0
    even, odd, left = (part if part > 1e-13 * total**2 else 0.0 for part in (trivial - odd, odd, left))  # not rounding
    rules = {"Hermiticity": float(np.sqrt(even))}
    if unitary < len(group):
        rules["time reversal"] = float(np.sqrt(odd))
    return Violations(
        norm=float(np.linalg.norm(given)),
        total=total,
        largest=float(abs(rest).max()),
        translations=float(np.sqrt(left)),
        irreps=irreps,
        rules=rules,
        operations=np.sqrt(norms[:unitary]),
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
    """(k_a, k_b, cells + 1) g⁻¹·blocks between a and b, from those between p(a) and p(b) at the images of R."""
    a2, b2, images = act.images(g, a, b, cells)
    return act.moved_back(g, a, b, pairs[a2, b2].take(np.append(index(images), -1), -1))


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
