"""O(3) in the basis of J_z: complex harmonics, their change to real ones and to x, y, z, Clebsch–Gordan coefficients.

Three bases of the irrep l, components numbered m = −l … l unless said:

* J_z: Y_lm about z with the Condon–Shortley phase, orthonormal on the sphere; J_z Y_lm = m Y_lm, and for l = 1 they
  are √(3/4π) times ((x − iy)/√2, z, −(x + iy)/√2).
* Racah: C_lm real, about z, without that phase, with Σ_m C_lm² = r^(2l); for l = 1 they are y, z, x. That is
  C_lm = √(4π/(2l+1)) S_lm with S_lm the usual real harmonics.
* `real_harmonics`, those of e3nn: √(2l+1) times the Racah harmonics with the axes y, z, x in place of x, y, z; for
  l = 1 they are √3 times x, y, z.

Sources: Varshalovich, Moskalev & Khersonskii, Quantum Theory of Angular Momentum (1988), chapters 5 and 8; Racah,
Phys. Rev. 62, 438 (1942).
"""

from functools import cache
from math import comb, pi, sqrt
from typing import Literal

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups.harmonics import check_angular_momentum, harmonic_matrices, real_harmonics
from irrepnet.groups.operations import read_only

_CYCLE = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # x, y, z → y, z, x


def racah_harmonics(l: int, vectors: np.ndarray) -> np.ndarray:
    """(…, 2l+1) the real C_lm at vectors (…, 3), homogeneous of degree l in the vector."""
    check_angular_momentum(l, 1)
    return real_harmonics(l, np.asarray(vectors, float) @ _CYCLE.T) / sqrt(2 * l + 1)


def complex_harmonics(l: int, vectors: np.ndarray) -> np.ndarray:
    """(…, 2l+1) complex Y_lm in the direction of vectors (…, 3); none may be zero unless l is."""
    vectors = np.asarray(vectors, float)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if l > 0 and not length.all():
        raise IrrepnetError("the zero vector has no direction, and no harmonics of l > 0")
    unit = vectors / np.where(length > 0, length, 1)
    return sqrt((2 * l + 1) / (4 * pi)) * racah_harmonics(l, unit) @ jz_to_racah(l).conj()


@cache
def jz_to_racah(l: int) -> np.ndarray:
    """(2l+1, 2l+1) unitary U with S = U Y: S_lm = √((2l+1)/4π) C_lm from the complex Y_lm.

    S_lm = ((−1)^m Y_lm + Y_l−m)/√2 and S_l−m = ((−1)^m Y_lm − Y_l−m)/(i√2) for m > 0.
    """
    check_angular_momentum(l, 1)
    change = np.zeros((2 * l + 1, 2 * l + 1), complex)
    change[l, l] = 1
    for m in range(1, l + 1):
        change[l + m, [l + m, l - m]] = (-1) ** m / sqrt(2), 1 / sqrt(2)
        change[l - m, [l + m, l - m]] = -1j * (-1) ** m / sqrt(2), 1j / sqrt(2)
    return read_only(change)


@cache
def racah_to_real(l: int) -> np.ndarray:
    """(2l+1, 2l+1) orthogonal A with `real_harmonics` = √(2l+1) A C_l; for l = 1 it takes (y, z, x) to (x, y, z)."""
    return read_only(harmonic_matrices(_CYCLE.T[None], l, (-1) ** l)[0])


@cache
def jz_to_real(l: int) -> np.ndarray:
    """(2l+1, 2l+1) unitary: components in the J_z basis → components in that of `real_harmonics`, x, y, z for l = 1.

    `real_harmonics` = √(4π) `jz_to_real` Y_l, in unit directions.
    """
    return read_only(racah_to_real(l) @ jz_to_racah(l))


def angular_momentum(l: int) -> np.ndarray:
    """(3, 2l+1, 2l+1) J_x, J_y, J_z in units of ħ in the J_z basis; exp(−iθ n·J) is the rotation by θ about n."""
    check_angular_momentum(l, 1)
    m = np.arange(-l, l)
    raising = np.diag(np.sqrt(l * (l + 1) - m * (m + 1.0)), -1)
    return np.stack([(raising + raising.T) / 2, (raising - raising.T) / 2j, np.diag(np.arange(-l, l + 1.0))])


@cache
def clebsch_gordan(l1: int, l2: int, l: int) -> np.ndarray:
    """(2l1+1, 2l2+1, 2l+1) ⟨l1 m1 l2 m2 | l m⟩ with the Condon–Shortley phase; zero if l is not in l1 ⊗ l2.

    Racah's sum, written with binomials: one of integers, times a square root. So what vanishes is exactly zero.
    """
    for each in (l1, l2, l):
        check_angular_momentum(each, 1)
    result = np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l + 1))
    if not abs(l1 - l2) <= l <= l1 + l2:
        return read_only(result)
    n = l1 + l2 - l
    common = comb(2 * l1, n) * comb(2 * l2, n)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l - m1), min(l2, l - m1) + 1):
            total = sum(
                (-1) ** k * comb(n, k) * comb(2 * l1 - n, l1 - m1 - k) * comb(2 * l2 - n, l2 + m2 - k)
                for k in range(min(n, l1 - m1, l2 + m2) + 1)
            )
            norm = comb(2 * l1, l1 - m1) * comb(2 * l2, l2 - m2) * comb(2 * l, l - m1 - m2) * comb(l1 + l2 + l + 1, n)
            result[l1 + m1, l2 + m2, l + m1 + m2] = sqrt(common / norm) * total
    return read_only(result)


@cache
def wigner_3j(l1: int, l2: int, l3: int) -> np.ndarray:
    """(2l1+1, 2l2+1, 2l3+1) the invariant of l1 ⊗ l2 ⊗ l3 in the basis of `real_harmonics`, of norm 1; read-only.

    Σ_abc D(l1)_ai D(l2)_bj D(l3)_ck w_abc = w_ijk for rotations. The sign is that of e3nn, which weights of saved
    networks depend on: i^(l1 + l2 − l3) times the Clebsch–Gordan coefficients in the real basis over √(2 l3 + 1).
    What is zero by symmetry is zero exactly.

    Raises:
        IrrepnetError: l3 is not in l1 ⊗ l2.
    """
    coupling = clebsch_gordan(l1, l2, l3)
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise IrrepnetError(f"l = {l3} is not in {l1} ⊗ {l2}")
    coupling = _in_racah_basis(coupling) * 1j ** (l1 + l2 - l3)
    return read_only(coupling.real / sqrt(2 * l3 + 1))


def _in_racah_basis(coupling: np.ndarray) -> np.ndarray:
    """Clebsch–Gordan coefficients in the Racah basis, and in the real one: a rotation of the axes, under which they
    are invariant, leads from one to the other."""
    l1, l2, l = (size // 2 for size in coupling.shape)
    changes = jz_to_racah(l1), jz_to_racah(l2), jz_to_racah(l).conj()
    return np.einsum("ai,bj,ck,ijk->abc", *changes, coupling, optimize=True)


def harmonic_product(l1: int, l2: int, l: int, basis: Literal["jz", "racah", "real"] = "jz") -> np.ndarray:
    """(2l1+1, 2l2+1, 2l+1) coefficients G of a product of harmonics at one point of the unit sphere.

    H_l1,i H_l2,j = Σ_l Σ_k G_ijk H_l,k, with H = Y_lm ("jz"), C_lm ("racah") or `real_harmonics` ("real"). They are
    zero unless l1 + l2 + l is even: ⟨l1 0 l2 0 | l 0⟩ is a factor of all.
    """
    coupling = clebsch_gordan(l1, l2, l)
    coupling = coupling[l1, l2, l] * coupling
    if basis == "jz":
        return sqrt((2 * l1 + 1) * (2 * l2 + 1) / (4 * pi * (2 * l + 1))) * coupling
    if basis not in ("racah", "real"):
        raise IrrepnetError(f"unknown basis {basis!r}; choose one of jz, racah, real")
    coupling = np.real(_in_racah_basis(coupling))
    return coupling if basis == "racah" else sqrt((2 * l1 + 1) * (2 * l2 + 1) / (2 * l + 1)) * coupling
