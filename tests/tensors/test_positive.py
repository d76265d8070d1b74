"""Logarithms of positive definite tensors."""

import numpy as np
import pytest
from scipy.linalg import logm
from scipy.spatial.transform import Rotation

from irrepnet.errors import IrrepnetError
from irrepnet.tensors import STIFFNESS, CartesianTensor
from irrepnet.tensors.positive import eigenvalues, exponential, is_matrix, logarithm

PERMITTIVITY = CartesianTensor("ij=ji")


def random(tensor: CartesianTensor, seed: int = 0) -> np.ndarray:
    """(5, 3, …, 3) positive definite."""
    size = tensor.voigt_shape[0]
    a = np.random.default_rng(seed).standard_normal((5, size, size))
    return tensor.from_mandel(a @ a.swapaxes(-1, -2) + 0.1 * np.eye(size))


@pytest.mark.parametrize("tensor", [PERMITTIVITY, STIFFNESS], ids=["ε", "C"])
def test_logarithm_and_exponential(tensor):
    values = random(tensor)
    logs = logarithm(tensor, values)
    assert np.allclose(exponential(tensor, logs), values, atol=1e-10 * abs(values).max())
    for log, value in zip(logs, values):
        assert np.allclose(tensor.to_mandel(log), logm(tensor.to_mandel(value)), atol=1e-9)


@pytest.mark.parametrize("tensor", [PERMITTIVITY, STIFFNESS], ids=["ε", "C"])
def test_it_turns_as_the_tensor_does_and_has_its_form(tensor):
    values = random(tensor)
    g = -Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    assert np.allclose(logarithm(tensor, tensor.rotate(values, g)), tensor.rotate(logarithm(tensor, values), g))
    for group in ("-3", "4/m", "32", "m-3"):
        form = tensor.allowed(group)
        assert form.residual(logarithm(tensor, form.project(values))).max() < 1e-12


def test_any_exponential_is_positive_definite():
    logs = STIFFNESS.from_irreps(np.random.default_rng(2).standard_normal((100, 21)))
    assert eigenvalues(STIFFNESS, exponential(STIFFNESS, logs)).min() > 0


def test_what_has_no_logarithm():
    assert [is_matrix(CartesianTensor(f)) for f in ("ij=ji", "ij", "i", "ijk=ikj", "ijkl=jikl=ijlk")] == [True] + 4 * [
        False
    ]
    assert not is_matrix(CartesianTensor("ij=ji", axial=True))
    with pytest.raises(IrrepnetError, match="least eigenvalue is -1"):
        logarithm(PERMITTIVITY, np.diag([1.0, 2, -1]))
    with pytest.raises(IrrepnetError, match="not a symmetric matrix"):
        exponential(CartesianTensor("ijk=ikj"), np.zeros((3, 3, 3)))
