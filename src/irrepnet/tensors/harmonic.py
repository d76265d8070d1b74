"""Harmonic parts: how a space of Cartesian tensors splits into irreps of O(3), copy by copy.

Schur–Weyl duality gives the copies a meaning. Tensors of rank n split under GL(3) by Young diagrams of n boxes with at
most three rows; each of these splits under O(3) by traces. In components, every tensor of degree l and rank n is

    n − l even      H_i… δ_jk …           with (n − l)/2 factors δ
    n − l odd       ε_ijm H_mk… δ…        with (n − l − 1)/2 of them (for l = 0: ε_ijk δ…)

summed over placements of the indices, H symmetric and traceless (Spencer, Int. J. Eng. Sci. 8, 475 (1970); Jerphagnon,
Chemla and Bonneville, Adv. Phys. 27, 609 (1978)). The placements span the space of copies of l, on which the symmetric
group acts. It is split by the Jucys–Murphy elements, Σ_{j<k} (j k), whose joint eigenvectors belong to the standard
Young tableaux (Okounkov and Vershik, Selecta Math. 2, 581 (1996)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from irrepnet.groups import O3Irrep
from irrepnet.groups.harmonics import harmonic_coefficients
from irrepnet.groups.intertwiners import orthonormal_copies, with_positive_sign

if TYPE_CHECKING:
    from irrepnet.tensors.cartesian import CartesianTensor

_EPSILON = np.zeros((3, 3, 3))
_EPSILON[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
_EPSILON[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1


@dataclass(frozen=True, eq=False)
class HarmonicPart:
    """One irrep of O(3) in a space of tensors."""

    l: int
    parity: int
    """±1, under inversion."""
    young: tuple[int, ...]
    """Rows of the Young diagram whose GL(3) part it belongs to: (4,) is totally symmetric."""
    copy: int
    """0, 1, …: its number among those of equal l and young."""
    basis: np.ndarray
    """(2l+1, 3, …, 3) orthonormal, read-only; the order is that of real harmonics (l = 1: x, y, z)."""

    @property
    def irrep(self) -> O3Irrep:
        return O3Irrep(self.l, self.parity)

    @property
    def label(self) -> str:
        """ "2e (2,2)", with the copy's number where there are several."""
        diagram = ",".join(map(str, self.young))
        return f"{self.irrep} ({diagram}){f' #{self.copy}' if self.copy else ''}"


def harmonic_parts(tensor: CartesianTensor) -> tuple[HarmonicPart, ...]:
    """The irreps of O(3) in the space, sorted by l, then diagram ((n), (n−1, 1), …), then copy.

    The copies of one l and one diagram are the images, under the index symmetry, of the diagram's standard tableaux,
    123/4 before 124/3 before 134/2, orthonormalised in this order. The first non-zero component is positive.
    """
    parts = []
    for l in range(tensor.rank + 1):
        placed = orthonormal_copies(_placements(tensor.rank, l), np.eye(2 * l + 1)[None])
        if not len(placed):
            continue
        tableaux = _tableau_projectors(placed.reshape(-1, 2 * l + 1, *tensor.shape))
        inside = placed @ tensor.basis.reshape(tensor.dim, -1).T
        symmetriser = np.einsum("akx,bkx->ab", inside, inside) / (2 * l + 1)
        for diagram, projectors in tableaux.items():
            candidates = (column[None] for tableau in projectors for column in (symmetriser @ tableau).T)
            copies = orthonormal_copies(candidates, np.eye(1)[None])
            for copy, row in enumerate(copies.reshape(-1, len(placed))):
                basis = with_positive_sign(np.tensordot(row, placed, 1)).reshape(-1, *tensor.shape)
                basis.setflags(write=False)
                parts.append(HarmonicPart(l, tensor.parity, diagram, copy, basis))
    assert sum(2 * part.l + 1 for part in parts) == tensor.dim
    return tuple(parts)


def _placements(rank: int, l: int) -> Iterator[np.ndarray]:
    """(2l+1, 3^rank) the tensors H δ…δ or ε H δ…δ for every placement of their indices."""
    harmonic, odd = _harmonic_tensors(l), (rank - l) % 2
    if odd and l:
        head, width = np.tensordot(harmonic, _EPSILON, (1, 2)), l - 1  # (m, k…, i, j)
    elif odd:
        head, width = _EPSILON[None], 0
    else:
        head, width = harmonic, l
    epsilon = head.ndim - 1 - width
    pairs, left_over = divmod(rank - width - epsilon, 2)
    if pairs < 0 or left_over:
        return
    for _ in range(pairs):
        head = np.multiply.outer(head, np.eye(3))
    for places in combinations(range(rank), width):
        rest = [k for k in range(rank) if k not in places]
        for antisymmetric in combinations(rest, epsilon):
            for matching in _matchings([k for k in rest if k not in antisymmetric]):
                axes = [*places, *antisymmetric, *matching]
                order = [axes.index(k) + 1 for k in range(rank)]
                yield head.transpose(0, *order).reshape(2 * l + 1, -1)


def _harmonic_tensors(l: int) -> np.ndarray:
    """(2l+1, 3, …, 3) symmetric traceless tensors: component [i, j, …] contracted with r_i r_j … is the harmonic."""
    coefficients = harmonic_coefficients(l)
    tensors = np.empty((2 * l + 1, *(3,) * l))
    for index in np.ndindex(tensors.shape[1:]):
        a, b, c = (index.count(k) for k in range(3))
        weight = factorial(a) * factorial(b) * factorial(c) / factorial(l)
        tensors[(slice(None), *index)] = coefficients[:, a, b, c] * weight
    return tensors


def _matchings(items: list[int]) -> Iterator[list[int]]:
    """All ways to pair the items, each as a flat list."""
    if not items:
        yield []
    for k in range(1, len(items)):
        for rest in _matchings(items[1:k] + items[k + 1 :]):
            yield [items[0], items[k], *rest]


def _tableau_projectors(placed: np.ndarray) -> dict[tuple[int, ...], list[np.ndarray]]:
    """{diagram: [(m, m) projector for each standard tableau]} on a space of m orthonormal copies (m, 2l+1, 3, …, 3)."""
    rank, (count, dim) = placed.ndim - 2, placed.shape[:2]
    base = 2 * rank  # contents lie between 1 − rank and rank − 1, so that the sum below tells all of them
    flat = placed.reshape(count, -1)
    total = np.zeros((count, count))
    for k in range(1, rank):
        for j in range(k):
            total += base**k * flat @ placed.swapaxes(j + 2, k + 2).reshape(count, -1).T / dim
    values, vectors = np.linalg.eigh(total)
    projectors = {}
    for diagram in _diagrams(rank):
        for contents in _contents(diagram):
            mine = vectors[:, abs(values - sum(c * base**k for k, c in enumerate(contents))) < 0.5]
            if mine.size:
                projectors.setdefault(diagram, []).append(mine @ mine.T)
    return projectors


def _diagrams(boxes: int) -> list[tuple[int, ...]]:
    """Young diagrams with at most three rows, (n), (n−1, 1), (n−2, 2), …."""
    rows = [(a, b, boxes - a - b) for a in range(boxes, 0, -1) for b in range(min(a, boxes - a), -1, -1)]
    rows = [row for row in rows if 0 <= row[2] <= row[1]]
    return [tuple(r for r in row if r) for row in rows]


def _contents(diagram: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Contents (column − row) of the boxes of 1, 2, …, n for each standard tableau, 123/4 before 124/3 before 134/2."""

    def fill(rows: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if sum(rows) == sum(diagram):
            yield ()
        for r in range(len(diagram)):
            if rows[r] < diagram[r] and (r == 0 or rows[r] < rows[r - 1]):
                for rest in fill((*rows[:r], rows[r] + 1, *rows[r + 1 :])):
                    yield (rows[r] - r, *rest)

    return list(fill((0,) * len(diagram)))
