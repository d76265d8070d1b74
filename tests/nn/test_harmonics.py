"""Harmonics of torch and their matrices: against e3nn and NumPy, in both precisions, and their gradients."""

import numpy as np
import pytest
import torch

from irrepnet.groups import harmonic_matrices, real_harmonics
from irrepnet.nn import HarmonicMatrices, Harmonics

o3 = pytest.importorskip("e3nn.o3")


def unit_vectors(n):
    vectors = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return torch.nn.functional.normalize(vectors, dim=1)


@pytest.mark.parametrize("l_max", range(1, 12))
def test_harmonics_are_those_of_e3nn(l_max):
    """And of NumPy; in float32 they are about as near to the exact ones as e3nn's, or nearer."""
    directions = unit_vectors(50)
    layer, degrees = Harmonics(l_max), list(range(1, l_max + 1))
    found = layer(directions)
    assert found.shape == (50, (l_max + 1) ** 2 - 1)
    expected = o3.spherical_harmonics(degrees, directions, True, normalization="component")
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    numpy = np.concatenate([real_harmonics(l, directions.numpy()) for l in degrees], 1)
    assert np.abs(found.numpy() - numpy).max() < 1e-12
    single = directions.float()
    exact = layer(single.double())
    theirs = o3.spherical_harmonics(degrees, single, False, normalization="component")
    assert (layer(single) - exact).abs().max() < max(1.5 * (theirs - exact).abs().max(), 1e-6)


def test_they_are_homogeneous_with_the_sum_of_unsoeld():
    directions = unit_vectors(20)
    values = Harmonics(4)(directions)
    degree = torch.tensor([l for l in range(1, 5) for _ in range(2 * l + 1)])
    sums = torch.stack([(values[:, degree == l] ** 2).sum(1) for l in range(1, 5)], 1)
    assert torch.allclose(sums, torch.tensor([3.0, 5, 7, 9], dtype=torch.float64).expand_as(sums), atol=1e-12)
    assert torch.allclose(Harmonics(4)(2.5 * directions), values * 2.5**degree, rtol=1e-12)


def test_gradients_of_first_and_second_order():
    layer, vectors = Harmonics(5), torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, vectors)
    assert torch.autograd.gradgradcheck(layer, vectors)


@pytest.mark.parametrize("l_max", [0, 1, 4, 8])
def test_matrices_are_those_of_the_groups(l_max):
    q = np.linalg.qr(np.random.default_rng(l_max).normal(size=(10, 3, 3)))[0]
    q[::2] *= -np.linalg.det(q[::2])[:, None, None]  # half of them are improper
    found = HarmonicMatrices(l_max)(torch.from_numpy(q))
    assert len(found) == l_max + 1
    for l, matrices in enumerate(found):
        assert np.abs(matrices.numpy() - harmonic_matrices(q, l, (-1) ** l)).max() < 1e-12


def test_matrices_turn_harmonics():
    q = torch.from_numpy(np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0])
    directions, harmonics = unit_vectors(20), Harmonics(6)
    d = torch.block_diag(*(matrices[0] for matrices in HarmonicMatrices(6)(q[None])[1:]))
    assert torch.allclose(harmonics(directions @ q.T), harmonics(directions) @ d.T, atol=1e-12)


def test_no_vectors_and_no_degrees():
    assert Harmonics(3)(torch.zeros(0, 3)).shape == (0, 15)
    assert Harmonics(0)(torch.ones(4, 3)).shape == (4, 0)
    assert [m.shape for m in HarmonicMatrices(1)(torch.zeros(0, 3, 3))] == [(0, 1, 1), (0, 3, 3)]
