"""Polynomial maps of a vector that commute with a group: primary invariants and covariant generators.

Polynomial maps F: R³ → Γ with F(g r) = Γ(g) F(r) form a free module over the ring of the three primary
invariants I. Its generators, taken orthogonal to the ideal of the I, are the polynomials that every
I(∂/∂x, ∂/∂y, ∂/∂z) annihilates. r² is in the ideal, so they are harmonic, and are found among the subduced
spherical harmonics, degree by degree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import perm
from typing import TYPE_CHECKING

import numpy as np

from irrepnet.groups.harmonics import harmonic_coefficients
from irrepnet.groups.intertwiners import intertwiners, orthonormal_copies, with_positive_sign
from irrepnet.groups.irreps import Irrep
from irrepnet.groups.operations import read_only

if TYPE_CHECKING:
    from irrepnet.groups.point_group import PointGroup

Polynomial = dict[tuple[int, int, int], float]
"""{(a, b, c): coefficient of x^a y^b z^c}."""


@dataclass(frozen=True, eq=False)
class Polynomials:
    """Homogeneous polynomials of a vector, evaluated together."""

    degrees: tuple[int, ...]
    """Degree of each, rising."""
    exponents: np.ndarray
    """(M, 3) exponents of the monomials x^a y^b z^c."""
    coefficients: np.ndarray
    """(n, M), or (n, d, M) for maps with d components."""

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Values (…, n) or (…, n, d) at vectors (…, 3)."""
        vectors = np.asarray(vectors, float)
        powers = vectors[..., None] ** np.arange(self.exponents.max(initial=0) + 1)
        monomials = np.prod([powers[..., axis, self.exponents[:, axis]] for axis in range(3)], axis=0)
        return np.tensordot(monomials, self.coefficients, axes=([-1], [-1]))


def primary_invariants(group: PointGroup) -> Polynomials:
    """Three invariants of lowest degree over which all polynomials are a module of finite rank.

    Each is the first of a list that the group leaves alone: a coordinate or its square; about an n-fold axis
    z or z², x² + y², Re or Im (x + iy)^n; cubic r², then xyz and x⁴ + y⁴ + z⁴, or x⁴ + y⁴ + z⁴ and x²y²z².
    """
    x, y, z = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    choices: list[list[Polynomial]]
    if group.system == "cubic":
        square, quartic = _powers(2), _powers(4)
        xyz: Polynomial = {(1, 1, 1): 1.0}
        choices = [[square], [xyz, quartic], [quartic, {(2, 2, 2): 1.0}]]
        if not _is_invariant(xyz, group):
            choices[2] = choices[2][1:]
    elif group.system in ("tetragonal", "trigonal", "hexagonal"):
        angular = [part for n in (3, 4, 6) for part in _complex_power(n)]
        choices = [_coordinate(z), [{(2, 0, 0): 1.0, (0, 2, 0): 1.0}], angular]
    else:
        choices = [_coordinate(x), _coordinate(y), _coordinate(z)]
    chosen = [next(p for p in choice if _is_invariant(p, group)) for choice in choices]
    chosen.sort(key=_degree)
    exponents = sorted({e for p in chosen for e in p}, key=_monomial_order)
    coefficients = np.array([[p.get(e, 0.0) for e in exponents] for p in chosen])
    return Polynomials(tuple(map(_degree, chosen)), read_only(np.array(exponents)), read_only(coefficients))


def covariant_generators(
    group: PointGroup,
    irrep: Irrep,
    harmonics: Callable[[int], np.ndarray],
    annihilated: Callable[[int], np.ndarray],
) -> Polynomials:
    """Generators for one irrep.

    `harmonics(l)` are the group's matrices on the harmonics of degree l, `annihilated(l)` what the group's primary
    invariants make of these, see `annihilation`.
    """
    commutant = irrep.commutant
    count = irrep.dim * int(np.prod(group.invariants.degrees)) // (group.order * len(commutant))
    degrees: list[int] = []
    maps: list[np.ndarray] = []  # (d, l+1, l+1, l+1)
    l = 0
    while len(maps) < count:
        copies = intertwiners(irrep, harmonics(l))
        if len(copies):
            solid = harmonic_coefficients(l)
            every_map = np.concatenate([commutant_element @ copies for commutant_element in commutant])
            # Equivariance carries the condition from the first component to the others.
            conditions = (every_map[:, 0] @ annihilated(l)).T
            conditions[np.abs(conditions) < 1e-9] = 0  # rounding alone must not look like a rank
            kernel = np.eye(len(every_map)) - np.linalg.pinv(conditions, rcond=1e-9) @ conditions
            candidates = np.tensordot(kernel[: len(copies)], every_map, axes=1)
            for basis in orthonormal_copies(candidates, commutant):
                maps.append(np.tensordot(basis, solid, axes=1) / np.sqrt(irrep.dim))
                degrees.append(l)
        l += 1
    occurring = {tuple(map(int, e)) for m in maps for e in np.argwhere(np.abs(m).max(0) > 1e-9)}
    exponents = np.array(sorted(occurring, key=_monomial_order))
    coefficients = np.zeros((len(maps), irrep.dim, len(exponents)))
    for k, m in enumerate(maps):
        inside = exponents.max(1) < m.shape[1]
        coefficients[k][:, inside] = m[(slice(None), *exponents[inside].T)]
        coefficients[k] = with_positive_sign(coefficients[k])
    return Polynomials(tuple(degrees), read_only(exponents), read_only(coefficients))


def annihilation(primaries: Polynomials, l: int) -> np.ndarray:
    """(2l+1, M) coefficients of I(∂) Y (l−n)!/l! for every primary invariant I, of degree n, and harmonic Y.

    Those that vanish for all Y are left out.
    """
    harmonics = harmonic_coefficients(l)
    results = np.zeros((len(primaries.degrees), *harmonics.shape))
    for k, row in enumerate(primaries.coefficients):
        for weight, exponent in zip(row, primaries.exponents.tolist()):
            degree = sum(exponent)
            if weight and degree <= l:
                # ∂^n x^i = i!/(i−n)! x^(i−n) along each axis
                of = tuple(slice(n, None) for n in exponent)
                to = tuple(slice(None, l + 1 - n) for n in exponent)
                x, y, z = ([perm(i, n) for i in range(n, l + 1)] for n in exponent)
                factor = np.multiply.outer(np.multiply.outer(x, y), z) * (weight / perm(l, degree))
                results[k, :, *to] += harmonics[:, *of] * factor
    joined = np.moveaxis(results, 1, 0).reshape(2 * l + 1, -1)
    return joined[:, abs(joined).max(0) > 1e-9]


def _coordinate(exponent: tuple[int, int, int]) -> list[Polynomial]:
    a, b, c = exponent
    return [{exponent: 1.0}, {(2 * a, 2 * b, 2 * c): 1.0}]


def _powers(n: int) -> Polynomial:
    """x^n + y^n + z^n."""
    return {(n, 0, 0): 1.0, (0, n, 0): 1.0, (0, 0, n): 1.0}


def _complex_power(n: int) -> tuple[Polynomial, Polynomial]:
    """Real and imaginary part of (x + iy)^n."""
    binomial = np.polynomial.polynomial.polypow([1, 1j], n)
    real = {(n - k, k, 0): float(c.real) for k, c in enumerate(binomial) if c.real}
    imaginary = {(n - k, k, 0): float(c.imag) for k, c in enumerate(binomial) if c.imag}
    return real, imaginary


def _degree(polynomial: Polynomial) -> int:
    return sum(next(iter(polynomial)))


def _monomial_order(exponent: tuple[int, ...]) -> tuple[int, ...]:
    """By degree, then powers of x before y before z."""
    return (sum(exponent), *(-e for e in exponent))


def _is_invariant(polynomial: Polynomial, group: PointGroup) -> bool:
    """Whether the group leaves the polynomial alone, decided at one generic point."""
    point = np.array([0.31, -0.47, 0.83])
    exponents = np.array(list(polynomial))
    monomials = np.prod((group.operations @ point)[:, None] ** exponents, axis=-1)
    values = monomials @ np.array(list(polynomial.values()))
    return bool(np.allclose(values, values[0], atol=1e-9))
