"""Real spherical harmonics and the representations of O(3) that they carry.

Order and sign of the components are those of e3nn: for l = 1 they are x, y, z; for l = 2
√15·(xz, xy, (2y² − x² − z²)/(2√3), yz, (z² − x²)/2), that is m = −l … l about the y axis without the
Condon–Shortley phase. The mean square of every component over the unit sphere is 1.
"""

from collections.abc import Callable
from functools import cache
from math import factorial

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups.operations import read_only

Multiply = Callable[[np.ndarray], np.ndarray]


def solid_harmonics(l: int, one: np.ndarray, x: Multiply, y: Multiply, z: Multiply) -> np.ndarray:
    """(2l+1, …) harmonic polynomials of degree l, built from `one` by multiplication with the coordinates.

    x, y, z multiply by a coordinate whatever `one` is: values at points or coefficients of monomials.
    With Π the associated Legendre functions made homogeneous and (z + i x)^m = A_m + i B_m, the components
    are Π_l^m A_m and Π_l^m B_m; (l − m + 1) Π_{l+1}^m = (2l + 1) y Π_l^m − (l + m) r² Π_{l−1}^m.
    """

    def times_r2(p: np.ndarray) -> np.ndarray:
        return x(x(p)) + y(y(p)) + z(z(p))

    components = [one] * (2 * l + 1)
    cosine, sine = one, np.zeros_like(one)  # A_m, B_m, times Π_m^m = (2m − 1)!!
    for m in range(l + 1):
        harmonics = []
        for part in (cosine, sine):
            previous, current = np.zeros_like(part), part
            for k in range(m, l):
                following = ((2 * k + 1) * y(current) - (k + m) * times_r2(previous)) / (k - m + 1)
                previous, current = current, following
            harmonics.append(current)
        norm = np.sqrt((2 * l + 1) * (2 if m else 1) * factorial(l - m) / factorial(l + m))
        components[l + m] = norm * harmonics[0]
        if m:
            components[l - m] = norm * harmonics[1]
        cosine, sine = (2 * m + 1) * (z(cosine) - x(sine)), (2 * m + 1) * (x(cosine) + z(sine))
    return np.stack(components)


def real_harmonics(l: int, vectors: np.ndarray) -> np.ndarray:
    """(…, 2l+1) real harmonics at vectors (…, 3), homogeneous of degree l in the vector."""
    coordinates = np.moveaxis(np.asarray(vectors, float), -1, 0)
    x, y, z = (lambda p, c=c: c * p for c in coordinates)
    return np.moveaxis(solid_harmonics(l, np.ones(coordinates.shape[1:]), x, y, z), 0, -1)


@cache
def harmonic_coefficients(l: int) -> np.ndarray:
    """(2l+1, l+1, l+1, l+1), read-only: coefficient of x^a y^b z^c in each component."""
    one = np.zeros((l + 1,) * 3)
    one[0, 0, 0] = 1
    x, y, z = (lambda p, axis=axis: np.roll(p, 1, axis) for axis in range(3))
    return read_only(solid_harmonics(l, one, x, y, z))


def harmonic_matrices(operations: np.ndarray, l: int, parity: int) -> np.ndarray:
    """(N, 2l+1, 2l+1) orthogonal matrices D of the irrep l± of O(3): Y(g r) = D(g) Y(r).

    operations: (N, 3, 3) orthogonal. An improper operation −R is represented by parity · D(R), parity = ±1
    ((−1)^l for the harmonics themselves).
    """
    check_angular_momentum(l, parity)
    operations = np.asarray(operations, float)
    determinants = np.round(np.linalg.det(operations))
    rotations = operations * determinants[:, None, None]
    # D_mn(R) = mean over the sphere of Y_m(R r) Y_n(r)
    points, weights, values = _quadrature(l)
    rotated = real_harmonics(l, np.einsum("gij,pj->gpi", rotations, points))
    matrices = np.einsum("p,gpm,pn->gmn", weights, rotated, values, optimize=True)
    return matrices * np.where(determinants > 0, 1, parity)[:, None, None]


@cache
def _quadrature(l: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (P, 3) on the sphere with weights (P,), exact to degree 2l, and the harmonics (P, 2l+1) of degree l."""
    nodes, weights = np.polynomial.legendre.leggauss(l + 1)
    azimuth = 2 * np.pi * np.arange(2 * l + 1) / (2 * l + 1)
    radius = np.sqrt(1 - nodes**2)[:, None]
    points = np.stack(
        [radius * np.cos(azimuth), radius * np.sin(azimuth), nodes[:, None] + 0 * azimuth], axis=-1
    ).reshape(-1, 3)
    weights = np.repeat(weights, len(azimuth)) / (2 * len(azimuth))
    return points, weights, real_harmonics(l, points)


def check_angular_momentum(l: int, parity: int) -> None:
    if not isinstance(l, int | np.integer) or l < 0:
        raise IrrepnetError(f"l = {l}: the angular momentum is an integer ≥ 0")
    if parity not in (1, -1):
        raise IrrepnetError(f"parity = {parity}: it is +1 (even, g) or −1 (odd, u)")
