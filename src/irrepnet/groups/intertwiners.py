"""Maps between representations that commute with a group: behind coupling, subduction, subgroups."""

from collections.abc import Iterable

import numpy as np

from irrepnet.groups.irreps import Irrep

_ZERO = 1e-9  # far above rounding, far below any algebraic number that occurs


def intertwiners(irrep: Irrep, representation: np.ndarray, first: Iterable[np.ndarray] = ()) -> np.ndarray:
    """Orthonormal copies of an irrep Γ in a representation ρ: maps B with Γ(g) B = B ρ(g).

    Averaging one matrix unit over the group, B_m = (d/N) Σ_g Γ(g) e_0 e_mᵀ ρ(g)ᴴ, gives a map for each m
    (for ρ = Γ^α ⊗ Γ^β this is Dirl's formula); the copies are the independent ones among B_0, B_1, …,
    orthonormalised in this order, each with its first non-zero element positive.

    representation: (N, n, n) orthogonal or unitary. first: maps (d, n) that are to come before B_0.
    Returns (copies, d, n) with B_c B_cᴴ = 1 and orthogonal copies.
    For a real irrep of complex type copies are counted modulo the commutant: {B_c, J B_c} spans all maps.
    """
    averages = np.einsum("gd,gnm->mdn", irrep.matrices[:, :, 0], representation.conj())
    return orthonormal_copies([*first, *averages * (irrep.dim / len(representation))], irrep.commutant)


def orthonormal_copies(candidates: Iterable[np.ndarray], commutant: np.ndarray) -> np.ndarray:
    """Gram–Schmidt over maps (d, n) modulo the commutant (c, d, d): (copies, d, n), with positive sign."""
    copies: list[np.ndarray] = []
    shape = (0, 0)
    for candidate in candidates:
        dim, _ = shape = candidate.shape
        for _ in range(2):  # the second pass removes the rounding of the first
            for copy in copies:
                for c in commutant @ copy:
                    candidate = candidate - (np.vdot(c, candidate) / dim) * c
        norm = np.sqrt(np.vdot(candidate, candidate) / dim)
        if norm > _ZERO:
            candidate = with_positive_sign(candidate / norm)
            copies.append(candidate)
    return np.array(copies).reshape(len(copies), *shape)


def with_positive_sign(array: np.ndarray) -> np.ndarray:
    """The array times a phase, ±1 if it is real: first non-zero element positive; residues of rounding become zeros."""
    if np.iscomplexobj(array):
        leading = array.flat[np.argmax(np.abs(array) > _ZERO)]
        array = array * (np.conj(leading) / abs(leading))
        parts = (np.where(np.abs(part) > _ZERO, part, 0.0) for part in (np.real(array), np.imag(array)))
        return next(parts) + 1j * next(parts)
    array = np.where(np.abs(array) > _ZERO, array, 0.0)
    leading = array.flat[np.argmax(array != 0)]
    return array if leading >= 0 else -array


def kronecker(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, n·m, n·m) tensor product of representations (N, n, n) and (N, m, m); the second runs fastest."""
    size = a.shape[1] * b.shape[1]
    return np.einsum("gij,gkl->gikjl", a, b).reshape(len(a), size, size)
