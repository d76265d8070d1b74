"""Positive definite tensors and their logarithms: symmetric of rank 2 (permittivity), or stiffnesses of rank 4.

As matrices, in Mandel's form, these tensors turn by orthogonal matrices. So the logarithm turns as the tensor does, is
allowed by the same point groups, and may be any symmetric matrix: what is learned as a logarithm stays positive
definite.
"""

from __future__ import annotations

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.tensors.cartesian import CartesianTensor


def is_matrix(tensor: CartesianTensor) -> bool:
    """Whether the tensors are symmetric matrices: ij=ji, ijkl=jikl=ijlk=klij."""
    half = tensor.rank // 2
    swap = (*range(half, 2 * half), *range(half))
    return tensor.slots in ((1, 1), (2, 2)) and tensor.permutations.get(swap) == 1 and not tensor.axial


def eigenvalues(tensor: CartesianTensor, values: np.ndarray) -> np.ndarray:
    """(…, 3) or (…, 6) rising, of tensors (…, 3, …, 3): of the matrices that they are in Mandel's form."""
    return np.linalg.eigvalsh(_matrices(tensor, values))


def logarithm(tensor: CartesianTensor, values: np.ndarray) -> np.ndarray:
    """log T, (…, 3, …, 3), of positive definite tensors: that of the matrix in Mandel's form.

    Raises IrrepnetError if one is not positive definite, or the tensors are no symmetric matrices.
    """
    found, vectors = np.linalg.eigh(_matrices(tensor, values))
    if (found <= 0).any():
        raise IrrepnetError(f"the tensor is not positive definite: its least eigenvalue is {found.min():.3g}")
    return tensor.from_mandel(vectors * np.log(found)[..., None, :] @ vectors.swapaxes(-1, -2))


def exponential(tensor: CartesianTensor, values: np.ndarray) -> np.ndarray:
    """exp T, (…, 3, …, 3), the inverse of `logarithm`: positive definite.

    Raises IrrepnetError if the tensors are no symmetric matrices.
    """
    found, vectors = np.linalg.eigh(_matrices(tensor, values))
    return tensor.from_mandel(vectors * np.exp(found)[..., None, :] @ vectors.swapaxes(-1, -2))


def _matrices(tensor: CartesianTensor, values: np.ndarray) -> np.ndarray:
    if not is_matrix(tensor):
        raise IrrepnetError(
            f"a tensor {tensor.formula} is not a symmetric matrix, so it cannot be positive definite; those of "
            "ij=ji and ijkl=jikl=ijlk=klij can"
        )
    return tensor.to_mandel(values)
