"""Restriction of O(3), with e3nn as the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS, PointGroup, harmonic_matrices, real_harmonics

o3 = pytest.importorskip("e3nn.o3")
torch = pytest.importorskip("torch")


def e3nn_harmonics(l: int, vectors: np.ndarray) -> np.ndarray:
    vectors = torch.tensor(vectors, dtype=torch.float64)
    return o3.spherical_harmonics(l, vectors, normalize=False, normalization="component").numpy()


def e3nn_matrices(l: int, parity: int, operations: np.ndarray) -> np.ndarray:
    """Y(g r) = D(g) Y(r) solved for D with e3nn's harmonics (its Wigner D is good to 1e-6 only)."""
    determinants = np.linalg.det(operations).round()[:, None, None]
    r = np.random.default_rng(l).normal(size=(40, 3))
    r /= np.linalg.norm(r, axis=1, keepdims=True)
    moved = e3nn_harmonics(l, np.einsum("gij,pj->gpi", operations * determinants, r))
    matrices = np.einsum("np,gpm->gmn", np.linalg.pinv(e3nn_harmonics(l, r)), moved)
    return matrices * np.where(determinants > 0, 1, parity)


@pytest.mark.parametrize("l", range(9))
def test_harmonics_are_those_of_e3nn(l):
    vectors = np.random.default_rng(l).normal(size=(50, 3))
    assert np.allclose(real_harmonics(l, vectors), e3nn_harmonics(l, vectors), rtol=1e-11, atol=1e-11)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8), st.sampled_from([1, -1]))
def test_matrices_of_any_orthogonal_matrix(seed, l, parity):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(2, 3, 3)))
    found = harmonic_matrices(q, l, parity)
    assert np.abs(found - e3nn_matrices(l, parity, q)).max() < 1e-12
    wigner = o3.Irrep(l, parity).D_from_matrix(torch.tensor(q)).numpy()
    assert np.abs(found - wigner).max() < 1e-5


@pytest.mark.parametrize("name", SETTINGS)
def test_subduction(name):
    """basis D(g) = Γ(g) basis, orthonormal and complete, for all l ≤ 8 and both parities."""
    group = PointGroup(name)
    for l in range(9):
        for parity in (1, -1):
            matrices = e3nn_matrices(l, parity, group.operations)
            bases = group.subduce(l, parity)
            characters = np.trace(matrices, axis1=1, axis2=2)
            for irrep in group.irreps:
                expected = np.mean(characters * irrep.characters) / len(irrep.commutant)
                assert len(bases.get(irrep.label, ())) == round(expected)
            rows = np.concatenate([basis.reshape(-1, 2 * l + 1) for basis in bases.values()])
            assert np.abs(rows @ rows.T - np.eye(2 * l + 1)).max() < 1e-13
            for label, basis in bases.items():
                left = np.einsum("cdm,gmn->gcdn", basis, matrices)
                right = np.einsum("gde,cen->gcdn", group.irrep(label).matrices, basis)
                assert np.abs(left - right).max() < 1e-12
            own = harmonic_matrices(group.operations, l, parity)
            for label, basis in bases.items():
                left = np.einsum("cdm,gmn->gcdn", basis, own)
                right = np.einsum("gde,cen->gcdn", group.irrep(label).matrices, basis)
                assert np.abs(left - right).max() < 2e-14


def counts(name: str, l: int, parity: int) -> dict[str, int]:
    return {label: len(basis) for label, basis in PointGroup(name).subduce(l, parity).items()}


def test_published_splittings():
    assert counts("Oh", 1, -1) == {"T1u": 1}
    assert counts("Oh", 2, 1) == {"Eg": 1, "T2g": 1}
    assert counts("Oh", 3, -1) == {"A2u": 1, "T1u": 1, "T2u": 1}
    assert counts("Oh", 4, 1) == {"A1g": 1, "Eg": 1, "T1g": 1, "T2g": 1}
    assert counts("Td", 2, 1) == {"E": 1, "T2": 1}
    assert counts("D4h", 2, 1) == {"A1g": 1, "B1g": 1, "B2g": 1, "Eg": 1}
    assert counts("D3h", 2, 1) == {"A1'": 1, "E'": 1, "E''": 1}
    assert counts("C3v", 2, 1) == {"A1": 1, "E": 2}
    assert counts("C3", 2, 1) == {"A": 1, "E": 2}
    assert np.array_equal(PointGroup("Oh").subduce(1, -1)["T1u"][0], np.eye(3))


def test_bad_angular_momentum():
    with pytest.raises(IrrepnetError, match="integer"):
        PointGroup("Oh").subduce(-1, 1)
    with pytest.raises(IrrepnetError, match="parity"):
        PointGroup("Oh").subduce(1, 0)
