"""Filters and messages against loops over e3nn's coefficients, and under rotations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from e3nn import o3

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data.batch import union
from irrepnet.graphs import VectorGraphOptions, vector_graph
from irrepnet.groups import O3Irrep, PointGroup, crystallographic_operations, harmonic_matrices, real_harmonics
from irrepnet.nn.o3 import GroupMean, Messages, O3Filters, representation
from irrepnet.nn.sets import shares

RUTILE = {
    "species": ["Ti", "Ti", "O", "O", "O", "O"],
    "cell": [4.594, 4.594, 2.959, 90, 90, 90],
    "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5], [0.3, 0.3, 0], [0.7, 0.7, 0], [0.8, 0.2, 0.5], [0.2, 0.8, 0.5]],
}
IRREPS = [O3Irrep.parse(name) for name in ("0e", "1o", "2e", "0o", "1e", "2o")]


def irrep_of(name):
    return next(irrep for _, irrep in o3.Irreps(str(name)))


def atoms():
    crystal = SymmetricCrystal.from_structure(RUTILE)
    return union([vector_graph(crystal, VectorGraphOptions(form="atoms", n_max=6))], torch.float64)


def made(filters, batch):
    return filters(
        batch.vector, batch.weight, batch.receiver, batch.operation, batch.site_group, shares(batch.sets, torch.float64)
    )


def test_components_are_those_of_the_groups():
    """e3nn's harmonics, real_harmonics, and for l = 1 x, y, z: no change of basis lies between them."""
    r = torch.randn(20, 3, dtype=torch.float64)
    r = r / r.norm(dim=1, keepdim=True)
    for l in range(5):
        theirs = o3.spherical_harmonics(l, r, normalize=False, normalization="component").numpy()
        assert np.allclose(theirs, real_harmonics(l, r.numpy()), atol=1e-12)
    assert torch.allclose(o3.spherical_harmonics(1, r, normalize=False, normalization="norm"), r)


@pytest.mark.parametrize("name", ["m-3m", "6/mmm"])
def test_representation(name):
    """Block diagonal, and D(g) D(h) = D(gh)."""
    group = PointGroup(name)
    known = crystallographic_operations()
    where = [int(np.abs(known - g).max((1, 2)).argmin()) for g in group.operations]
    matrices = representation(IRREPS)[where]
    rng = np.random.default_rng(0)
    for g, h in rng.integers(group.order, size=(20, 2)):
        assert (matrices[g] @ matrices[h] - matrices[group.multiplication[g, h]]).abs().max() < 1e-12
    assert torch.equal(matrices[:, 0, 0], torch.ones(group.order, dtype=torch.float64))


def test_group_mean_is_the_projector_onto_what_the_group_fixes():
    sets = torch.zeros(2, 64, dtype=torch.float64)
    sets[0, 0] = 1
    sets[1, :48] = 1 / 48
    means = GroupMean(O3Irrep.parse(name) for name in ("0e", "2e", "4e", "1o"))(sets)
    assert torch.allclose(means[0], torch.eye(18, dtype=torch.float64))
    assert torch.allclose(means[1] @ means[1], means[1])
    assert torch.allclose(means[1], means[1].T)
    assert torch.linalg.matrix_rank(means[1]) == 2  # m-3m fixes one vector of l = 0 and one of l = 4


@pytest.mark.parametrize("irrep", IRREPS, ids=str)
def test_messages_are_those_of_a_tensor_product_of_e3nn(irrep):
    """Up to the sign that e3nn's 3j symbols give a whole path."""
    torch.manual_seed(0)
    batch, copies = atoms(), 3
    filters = O3Filters(IRREPS, IRREPS, 2).double()
    f = filters.filters[str(irrep)]
    messages = Messages(f, IRREPS, copies)  # type: ignore[arg-type]
    x = torch.randn(len(batch.numbers), irrep_of(irrep).dim, copies, dtype=torch.float64)
    radial = torch.randn(len(batch.receiver), messages.n_weights, dtype=torch.float64)
    found = messages(x, radial, made(filters, batch)[str(irrep)], (batch.receiver, batch.sender))

    harmonics = o3.Irreps.spherical_harmonics(2)
    y = o3.spherical_harmonics(harmonics, batch.vector, normalize=True, normalization="component")
    neighbours = torch.bincount(batch.receiver)
    start = 0
    for k, (path, rows) in enumerate(messages.paths):
        # the l of Y: paths to one irrep come in the order of l
        degrees = [h for _, h in harmonics if irrep_of(path) in h * irrep_of(irrep)]
        h = degrees[[p for p, _ in messages.paths][:k].count(path)]
        symbol = o3.wigner_3j(irrep_of(irrep).l, h.l, irrep_of(path).l, dtype=torch.float64)
        expected = torch.zeros_like(found[:, rows])
        for e in range(len(batch.receiver)):
            a, b = batch.receiver[e], batch.sender[e]
            coupled = torch.einsum("ijk,ic,j->kc", symbol, x[b], y[e, h.l**2 : (h.l + 1) ** 2])
            coupled = coupled * irrep_of(path).dim ** 0.5 * radial[e, start : start + copies]
            expected[a] += coupled / (1 + neighbours[a])
        sign = torch.sign((expected * found[:, rows]).sum())
        assert (found[:, rows] - sign * expected).abs().max() < 1e-12
        start += copies


@pytest.mark.parametrize("irrep", IRREPS, ids=str)
def test_filters_are_equivariant(irrep):
    """K(Q r) = D(Q) K(r) D(Q)ᵀ for a random Q, proper or not."""
    batch = atoms()
    f = O3Filters(IRREPS, IRREPS, 2)
    for seed in range(4):
        q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
        turned = replace(batch, vector=batch.vector @ torch.from_numpy(q).T)
        d = [torch.from_numpy(harmonic_matrices(q[None], i.l, i.parity)[0]) for i in [irrep, *IRREPS]]
        before, after = made(f, batch)[str(irrep)], made(f, turned)[str(irrep)]
        matrix = dict(zip(IRREPS, d[1:]))
        for path, rows in f.filters[str(irrep)].paths:  # type: ignore[union-attr]
            assert (after[:, rows] - matrix[path] @ before[:, rows] @ d[0].T).abs().max() < 1e-12
