"""On-site and bond blocks in the irreps that the symmetry allows, and how many independent numbers they hold.

A block between a and b commutes with the operations that keep the bond, G_ab: by Schur's lemma it is one number (two
for an irrep of complex type, 1 and J) for each pair of equal irreps, one in the orbitals of a and one in those of b:

    H_ab = Σ_γ Σ_cd h^γ_cd A_cᵀ B_d,        A_c, B_d: copies of γ in the orbitals of a and of b.

Hermiticity adds what reverses the bond: on site H = Hᵀ, and for an operation s that takes (a, b) to (b, a)
D_a(s) H_ab D_b(s)ᵀ = H_abᵀ. Without spin everything here is real: real orbitals, no magnetism.

With spin, blocks are complex and irreps double-valued, each pair with the two real numbers of a complex one; ᵀ is ᴴ. An
operation t that reverses time, such as time reversal itself, adds D_a(t) H_ab* D_b(t)ᴴ = H_ab, and again halves them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from irrepnet.crystals.pairs import SEARCH, close_pairs
from irrepnet.errors import IrrepnetError
from irrepnet.groups import DoubleGroup, Irrep, PointGroup, identify, setting_of, spinor_matrices
from irrepnet.hamiltonians.orbitals import OrbitalBasis
from irrepnet.hamiltonians.symmetry import SYMPREC, Action, action


@dataclass(frozen=True, eq=False)
class BlockSpace:
    """The blocks (k_a, k_b) that symmetry allows, by m independent numbers: an orthonormal basis."""

    basis: np.ndarray
    """(m, k_a, k_b) real, or complex with spin, Re Σ_ij basis_m* basis_n = δ_mn."""
    irreps: tuple[str, ...]
    """Of each basis block: the irrep of the bond's group that it couples."""
    group: PointGroup
    """The group of the bond, or of the site, in its own standard frame."""

    def __len__(self) -> int:
        """The number of independent real numbers m."""
        return len(self.basis)

    def coefficients(self, blocks: np.ndarray) -> np.ndarray:
        """(…, m) of blocks (…, k_a, k_b): of their part in the space."""
        return np.real(np.einsum("mij,...ij->...m", self.basis.conj(), blocks))

    def blocks(self, coefficients: np.ndarray) -> np.ndarray:
        """(…, k_a, k_b) from (…, m)."""
        return np.einsum("...m,mij->...ij", coefficients, self.basis)


def block_space(
    operations: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    reversing: tuple[np.ndarray, np.ndarray] | None = None,
    spinors: np.ndarray | None = None,
    time: tuple[np.ndarray, np.ndarray] | None = None,
    time_reverses_bond: bool = False,
) -> BlockSpace:
    """The blocks B with left(g) B right(g)ᴴ = B for the group, D B D'ᴴ = Bᴴ for `reversing` (D, D'), and for `time`
    D B* D'ᴴ = B, or Bᴴ if it reverses the bond.

    Args:
        operations: (N, 3, 3) orthogonal, Cartesian: the group of the bond.
        left, right: (N, k_a, k_a) and (N, k_b, k_b), its representations on the functions, real without spin.
        reversing: D (k_b, k_a) on the functions of a, D' (k_a, k_b) on those of b, of one operation that exchanges the
            two sites: others follow from the group. Identities for Hermiticity on site.
        spinors: (N, 2, 2) of the operations, for functions with spin.
        time: D, D' of one operation that reverses time and keeps the bond, or exchanges its sites if no other does.
    """
    arrays = (operations, left, right, spinors, *(reversing or (None, None)), *(time or (None, None)))
    kind = float if spinors is None else complex
    given = (None if a is None else (a.shape, np.ascontiguousarray(a, kind).tobytes()) for a in arrays)
    return _block_space(kind, time_reverses_bond, *given)


@lru_cache(maxsize=4096)
def _block_space(kind: type, time_reverses_bond: bool, *given: tuple[tuple[int, ...], bytes] | None) -> BlockSpace:
    """Many bonds of a crystal, and of others like it, have one group and the same functions."""
    arrays = [None if each is None else np.frombuffer(each[1], kind).reshape(each[0]) for each in given]
    operations, left, right, spinors, *exchanging = arrays
    assert operations is not None and left is not None and right is not None  # noqa: PT018
    operations = np.real(operations)
    group, turn = setting_of(operations), np.eye(3)
    if group is None:
        group, turn = identify(operations)
    images = turn @ group.operations @ turn.T
    order = abs(images[:, None] - operations[None]).max((-1, -2)).argmin(1)
    left, right = left[order], right[order]
    irreps = group.irreps if spinors is None else _with_signs(DoubleGroup(group), turn, spinors[order])
    candidates, labels = [], []
    for irrep in irreps:
        units = irrep.commutant if spinors is None else np.multiply.outer([1, 1j], np.eye(irrep.dim))
        columns = _copies(irrep, right)
        for row in _copies(irrep, left):
            for column in columns:
                for unit in units:
                    candidates.append(row.conj().T @ unit @ column / np.sqrt(irrep.dim))
                    labels.append(irrep.label)
    for D, other, conjugates, reverses in zip(
        exchanging[::2], exchanging[1::2], (False, True), (True, time_reverses_bond)
    ):
        if D is not None and other is not None:
            moved = (D @ (block.conj() if conjugates else block) @ other.conj().T for block in candidates)
            moved = [image.conj().T if reverses else image for image in moved]
            candidates = [(block + image) / 2 for block, image in zip(candidates, moved)]
    shape = (left.shape[1], right.shape[1])
    as_real = np.array(candidates, kind).reshape(-1, *shape).view(float)  # sums over real numbers alone
    basis, chosen = _orthonormal(as_real, np.eye(shape[0])[None])
    return BlockSpace(basis.view(kind), tuple(labels[i] for i in chosen), group)


def _with_signs(double: DoubleGroup, turn: np.ndarray, spinors: np.ndarray) -> list[Irrep]:
    """The double-valued irreps of operations whose spinors are ± those of the group, turned to their axes."""
    u = spinor_matrices(turn[None])[0]
    own = u @ double.spinors[: len(spinors)] @ u.conj().T
    signs = np.rint(np.einsum("gij,gij->g", own.conj(), spinors).real / 2)[:, None, None]
    return [Irrep(irrep.label, signs * irrep.matrices[: len(spinors)], irrep.type) for irrep in double.double_valued]


def _copies(irrep: Irrep, representation: np.ndarray) -> np.ndarray:
    """(copies, d, k) maps B with Γ(g) B = B ρ(g), B Bᴴ = 1, orthogonal modulo the commutant; ρ (N, k, k) unitary.

    Candidates are the means B_m of Γ(g) e_0 e_mᵀ ρ(g)ᴴ, as in `groups.intertwiners`. The axes of a crystal are any, and
    some of these means then nearly zero: those are passed over.
    """
    means = np.einsum("gd,gnm->mdn", irrep.matrices[:, :, 0], representation.conj()) * irrep.dim / len(representation)
    if np.isrealobj(means):
        copies, _ = _orthonormal(means, irrep.commutant)
        return copies * np.sqrt(irrep.dim)
    # over C: real parts above imaginary ones, modulo multiplication by i
    stacked = np.concatenate([np.real(means), np.imag(means)], axis=1)
    units = np.kron(np.stack([np.eye(2), [[0, -1], [1, 0]]]), np.eye(irrep.dim))
    copies, _ = _orthonormal(stacked, units)
    return (copies[:, : irrep.dim] + 1j * copies[:, irrep.dim :]) * np.sqrt(irrep.dim)


def _orthonormal(candidates: np.ndarray, commutant: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Gram–Schmidt over matrices (M, d, k) modulo a commutant (c, d, d), and which candidates were taken.

    The candidates are an orthonormal set projected on a space (up to a factor of 1 or more), so that the squares of the
    residuals add up to 1 at least while a dimension is missing: one of them is above the limit, and rounding never is.
    """
    limit = 0.3 / np.sqrt(max(1, len(candidates)))
    images = np.zeros((0, candidates[0].size if len(candidates) else 0))
    basis, chosen = [], []
    for number, block in enumerate(candidates):
        for _ in range(2):  # the second pass removes the rounding of the first
            block = block - (images.T @ (images @ block.ravel())).reshape(block.shape)
        norm = np.linalg.norm(block)
        if norm > limit:
            basis.append(block / norm)
            images = np.concatenate([images, (commutant @ basis[-1]).reshape(len(commutant), -1)])
            chosen.append(number)
    basis = np.array(basis).reshape(-1, *candidates.shape[1:])
    return basis, chosen


@dataclass(frozen=True, eq=False)
class BondOrbit:
    """A bond (or a site with itself) and all its images under the space group and under reversal."""

    sites: tuple[int, int]
    """a, in the home cell, and b."""
    R: tuple[int, int, int]
    """The cell of b."""
    distance: float
    """Å"""
    members: np.ndarray
    """(size, 5) int: a, b and the cell R of each image, the bond itself first."""
    operations: np.ndarray
    """(size,) the operation of the space group that makes each image."""
    reversed: np.ndarray
    """(size,) bool: whether the image is taken from b to a."""
    space: BlockSpace
    """Of the first member."""

    @property
    def is_onsite(self) -> bool:
        return self.distance == 0


def bond_orbits(act: Action, bonds: np.ndarray) -> tuple[BondOrbit, ...]:
    """The orbits of bonds (N, 5), rows a, b, R, with the space of blocks of each, by distance.

    Raises IrrepnetError if an operation is not represented by real matrices.
    """
    lattice, centres = act.basis.cell.lattice, act.basis.centres
    # From here to there in Å, for all; ties are broken by the numbers of the sites, then by the cell.
    vectors = (centres[bonds[:, 1]] + bonds[:, 2:] - centres[bonds[:, 0]]) @ lattice
    length = np.linalg.norm(vectors, axis=1)
    keys = (*bonds.T[2:][::-1], bonds[:, 1], bonds[:, 0], length.round(5))
    seen: set[tuple[int, ...]] = set()
    orbits = []
    for number in np.lexsort(keys).tolist():
        a, b, *R = bonds[number].tolist()
        if (a, b, *R) in seen:
            continue
        orbit = bond_orbit(act, a, b, np.array(R))
        seen.update(map(tuple, orbit.members.tolist()))
        orbits.append(orbit)
    return tuple(orbits)


def bond_orbit(act: Action, a: int, b: int, R: np.ndarray) -> BondOrbit:
    """The orbit of the bond from site a in the home cell to site b in the cell R (3,)."""
    group, basis = act.group, act.basis
    if not basis.spinful and any(np.iscomplexobj(matrices) for matrices in act.matrices):
        raise IrrepnetError("the allowed blocks are those of real orbitals; take another convention with in_convention")
    cells = np.einsum("gij,j->gi", group.rotations, R) + act.cells[:, b] - act.cells[:, a]
    forward = np.column_stack([act.permutation[:, a], act.permutation[:, b], cells])
    backward = np.column_stack([act.permutation[:, b], act.permutation[:, a], -cells])
    own = np.array([a, b, *R])
    unitary = ~group.reverses_time
    keeps, reverses = (forward == own).all(1), (backward == own).all(1)

    def first(found: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The representations of the first of these operations, if there is one."""
        return (left[found.argmax()], right[found.argmax()]) if found.any() else None

    left, right = act.matrices[a], act.matrices[b]
    reversing, time = first(reverses & unitary), first(keeps & ~unitary)
    time_reverses_bond = reversing is None and time is None
    time = first(reverses & ~unitary) if time_reverses_bond else time
    onsite = a == b and not R.any()
    keeps &= unitary
    spinors = group.spinors[keeps] if basis.spinful else None
    space = block_space(
        group.operations[keeps], left[keeps], right[keeps], reversing, spinors, time, time_reverses_bond
    )
    images = np.concatenate([forward, backward])
    # np.unique gives the first row of each image: one of `forward` wherever there is one
    members, place = np.unique(images, axis=0, return_index=True)
    order = np.argsort(place != np.flatnonzero((images == own).all(1))[0], kind="stable")
    place = place[order]
    return BondOrbit(
        (a, b),
        (int(R[0]), int(R[1]), int(R[2])),
        0.0 if onsite else float(np.linalg.norm((basis.centres[b] + R - basis.centres[a]) @ basis.cell.lattice)),
        members[order],
        place % len(group),
        place >= len(group),
        space,
    )


def orbit_blocks(act: Action, orbit: BondOrbit, block: np.ndarray) -> list[np.ndarray]:
    """The block of each member, from that of the first."""
    a, b = orbit.sites
    blocks = np.where(act.group.reverses_time[orbit.operations, None, None], block.conj(), block)
    moved = act.matrices[a][orbit.operations] @ blocks @ act.matrices[b][orbit.operations].conj().transpose(0, 2, 1)
    return [image.conj().T if is_reversed else image for image, is_reversed in zip(moved, orbit.reversed)]


def mean_block(act: Action, orbit: BondOrbit, blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The block of the first member, the mean of what each member's block says of it."""
    a, b = orbit.sites
    total = np.zeros(orbit.space.basis.shape[1:], orbit.space.basis.dtype)
    for block, g, is_reversed in zip(blocks, orbit.operations, orbit.reversed):
        total += act.moved_back(g, a, b, (block.conj().T if is_reversed else block)[..., None])[..., 0]
    return total / len(orbit.members)


@dataclass(frozen=True, eq=False)
class BlockCount:
    """Independent numbers of one orbit of bonds, under more and more symmetry."""

    orbit: BondOrbit
    full: int
    """Without symmetry, real numbers: all elements of a bond's block, the symmetric or Hermitian ones on site."""
    two_centre: int
    """Slater–Koster's two-centre approximation: C∞v for a bond, O(3) on site; with spin λ L·S on site."""
    allowed: int
    """Under the symmetry of the crystal."""


def count_blocks(basis: OrbitalBasis, cutoff: float, symprec: float = SYMPREC) -> tuple[BlockCount, ...]:
    """The independent numbers of all blocks between sites not farther apart than `cutoff` Å.

    Two bonds of equal length that no operation maps onto each other are two orbits, each with its own numbers.
    """
    if not 0 <= cutoff < np.inf:
        raise IrrepnetError(f"the cutoff is a distance in Å, got {cutoff}")
    act = action(basis, symprec)
    return tuple(_count(basis, orbit) for orbit in bond_orbits(act, bonds_within(basis, cutoff)))


def bonds_within(basis: OrbitalBasis, cutoff: float) -> np.ndarray:
    """(N, 5) int: all pairs of sites a (home cell), b (cell R) not farther apart than `cutoff` Å, and the sites."""
    points = basis.centres @ basis.cell.lattice
    receiver, sender, shift = close_pairs(points, basis.cell.lattice, max(cutoff + 1e-6, SEARCH))
    vectors = points[sender] - points[receiver] + shift @ basis.cell.lattice
    near = np.linalg.norm(vectors, axis=1) <= cutoff + 1e-6
    sites = np.arange(len(points))
    onsite = np.column_stack([sites, sites, np.zeros((len(sites), 3), int)])
    return np.concatenate([onsite, np.column_stack([receiver, sender, shift])[near].astype(int)])


def _count(basis: OrbitalBasis, orbit: BondOrbit) -> BlockCount:
    a, b = ([shell.l for shell in basis.shells_of(site)] for site in orbit.sites)
    n_a, n_b = (len(basis.orbitals[site]) for site in orbit.sites)
    if orbit.is_onsite:
        equal = sum(a.count(l) * (a.count(l) + 1) // 2 for l in set(a))
        if basis.spinful:  # a Hermitian matrix; λ L·S for each pair of shells that have an l
            coupled = sum(a.count(l) * (a.count(l) + 1) // 2 for l in set(a) if l)
            return BlockCount(orbit, n_a**2, equal + coupled, len(orbit.space))
        return BlockCount(orbit, n_a * (n_a + 1) // 2, equal, len(orbit.space))
    pairs = sum(min(l, m) + 1 for l in a for m in b)
    if basis.species[orbit.sites[0]] == basis.species[orbit.sites[1]] and a == b:  # V_ll'm = ± V_l'lm
        pairs = sum(min(l, m) + 1 for i, l in enumerate(a) for m in b[i:])
    return BlockCount(orbit, n_a * n_b * basis.spins, pairs, len(orbit.space))
