"""The regular representation, its Fourier transform, and projectors."""

import numpy as np
import pytest

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.groups.intertwiners import intertwiners


@pytest.mark.parametrize("name", SETTINGS)
def test_transform_block_diagonalises_left_translation(name):
    group = PointGroup(name)
    f, n = group.fourier, group.order
    assert f.shape == (n, n)
    assert len(group.fourier_rows) == n
    assert np.abs(f @ f.T - np.eye(n)).max() < 1e-14  # Parseval
    expected = np.zeros((n, n, n))
    start = 0
    for label, _, component in group.fourier_rows:
        if component == 0:
            block = group.irrep(label).matrices
            stop = start + block.shape[1]
            expected[:, start:stop, start:stop] = block
            start = stop
    assert np.abs(f @ group.regular @ f.T - expected).max() < 1e-14


@pytest.mark.parametrize("name", SETTINGS)
def test_regular_representation_translates(name):
    group = PointGroup(name)
    v = np.random.default_rng(0).normal(size=group.order)
    for k in range(group.order):
        expected = v[group.multiplication[group.inverse[k]]]  # v(k⁻¹ g)
        assert np.array_equal(group.regular[k] @ v, expected)


@pytest.mark.parametrize("name", ["Oh", "T", "C6h", "D3"])
def test_right_translation_acts_between_copies(name):
    """v(g) → v(g k) commutes with left translation: it mixes copies of one irrep and no more."""
    group = PointGroup(name)
    for k in range(group.order):
        right = np.eye(group.order)[group.multiplication[:, k]]
        assert np.array_equal(right @ group.regular, group.regular @ right)
        transformed = group.fourier @ right @ group.fourier.T
        for i, (label, _, _) in enumerate(group.fourier_rows):
            for j, (other, _, _) in enumerate(group.fourier_rows):
                assert label == other or abs(transformed[i, j]) < 1e-14


@pytest.mark.parametrize("name", ["Oh", "D6h", "T", "C4h", "C3v", "-4m2"])
def test_projectors(name):
    """Idempotent, orthogonal, complete; rank = multiplicity (complex type: the whole isotypic part)."""
    group = PointGroup(name)
    total = np.zeros((group.order, group.order))
    for irrep in group.irreps:
        if irrep.type == "complex":
            p = group.projector(irrep.label, 0, group.regular)
            assert np.allclose(p, group.projector(irrep.label, 1, group.regular))
            assert round(np.trace(p)) == 2
            total += p
            continue
        for k in range(irrep.dim):
            p = group.projector(irrep.label, k, group.regular)
            assert np.abs(p @ p - p).max() < 1e-14
            assert round(np.trace(p)) == irrep.dim
            total += p
    assert np.abs(total - np.eye(group.order)).max() < 1e-13


def test_projector_errors():
    group = PointGroup("Oh")
    with pytest.raises(IrrepnetError, match="components 0 to 2"):
        group.projector("T1u", 3, group.regular)
    with pytest.raises(IrrepnetError, match=r"\(48, n, n\)"):
        group.projector("T1u", 0, np.eye(3))


@pytest.mark.parametrize("name", ["Oh", "T", "C6", "D3h"])
def test_intertwiners_of_a_random_representation(name):
    """A representation hidden by a random basis change is taken apart completely."""
    group = PointGroup(name)
    rng = np.random.default_rng(5)
    parts = [group.irreps[k] for k in rng.integers(len(group.irreps), size=6)]
    size = sum(p.dim for p in parts)
    hidden = np.zeros((group.order, size, size))
    start = 0
    for p in parts:
        hidden[:, start : start + p.dim, start : start + p.dim] = p.matrices
        start += p.dim
    q, _ = np.linalg.qr(rng.normal(size=(size, size)))
    representation = q @ hidden @ q.T
    rows = []
    for irrep in group.irreps:
        copies = intertwiners(irrep, representation)
        assert len(copies) == sum(p is irrep for p in parts)
        for copy in copies:
            assert np.abs(copy @ representation - irrep.matrices @ copy).max() < 1e-12
            rows.extend(copy)
    assert np.abs(np.array(rows) @ np.array(rows).T - np.eye(size)).max() < 1e-12
