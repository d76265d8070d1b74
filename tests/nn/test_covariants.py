"""The covariant readout over bonds: against a plain sum, and its equivariance."""

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.spatial.transform import Rotation

from irrepnet.errors import IrrepnetError
from irrepnet.groups import crystallographic_operations, harmonic_matrices
from irrepnet.nn.covariants import BondCovariants, FrameCovariants
from irrepnet.nn.moments import Harmonics
from irrepnet.nn.o3 import FixedMean

COPIES = {"0e": 1, "1o": 2, "2e": 2, "2o": 1, "3o": 1, "4e": 1, "1e": 1}
L_MAX = 3


@pytest.fixture
def layer() -> BondCovariants:
    torch.manual_seed(0)
    return BondCovariants(5, L_MAX, 3, COPIES).double()


def inputs(seed: int = 1, nodes: int = 4, edges: int = 13):
    generator = torch.Generator().manual_seed(seed)
    make = {"generator": generator, "dtype": torch.float64}
    receiver = torch.randint(nodes, (edges,), generator=generator).sort().values
    count = torch.bincount(receiver, minlength=nodes).clamp(min=1)
    vectors = torch.nn.functional.normalize(torch.randn(edges, 3, **make), dim=-1)
    return torch.randn(nodes, 5, **make), torch.randn(edges, 5, **make), vectors, receiver, 1 / count[:, None]


def test_it_turns_with_the_bonds(layer):
    """By any rotation, and under inversion."""
    x, pair, vectors, receiver, inverse = inputs()
    harmonics = Harmonics(L_MAX)
    found = layer(x, pair, harmonics(vectors), receiver, inverse)
    assert {irrep: part.shape for irrep, part in found.items()} == {
        irrep: (4, 2 * int(irrep[0]) + 1, copies) for irrep, copies in COPIES.items()
    }
    q = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    for g in (q, -q):
        turned = layer(x, pair, harmonics(vectors @ torch.from_numpy(g.T)), receiver, inverse)
        for irrep, part in found.items():
            d = torch.from_numpy(harmonic_matrices(g[None], int(irrep[0]), 1 if irrep[1] == "e" else -1)[0])
            assert torch.allclose(turned[irrep], d @ part, atol=1e-10)


def test_against_a_plain_sum(layer):
    """One node, one irrep at a time, with e3nn's harmonics and 3j symbols."""
    x, pair, vectors, receiver, inverse = inputs()
    found = layer(x, pair, Harmonics(L_MAX)(vectors), receiver, inverse)
    gates = dict(zip(layer.copies, layer.gate(x).split(layer.gates, -1)))
    for node in range(len(x)):
        moments = {}
        for l in range(1, L_MAX + 1):
            weights = layer.weight(pair).unflatten(-1, (L_MAX, 3))[:, l - 1]
            y = o3.spherical_harmonics(l, vectors, normalize=True, normalization="component")
            own = receiver == node
            moments[l] = torch.einsum("em,ek->mk", y[own], weights[own]) * inverse[node]
        for irrep, part in found.items():
            l, rows = int(irrep[0]), []
            if l in moments and irrep[1] == "eo"[l % 2]:
                rows.append(moments[l])
            for a, b in layer.products[irrep]:
                assert (-1) ** (a + b) == (1 if irrep[1] == "e" else -1)
                second = moments[b] @ layer.mix[b - 1].weight.T
                symbol = o3.wigner_3j(a, b, l, dtype=torch.float64)
                rows.append((2 * l + 1) ** 0.5 * torch.einsum("ak,bk,abc->ck", moments[a], second, symbol))
            plain = torch.cat(rows, -1) * gates[irrep][node] @ layer.readout[irrep].weight.T
            assert torch.allclose(part[node], plain, atol=1e-12)


def test_the_order_of_bonds_does_not_matter_and_gradients_are_right(layer):
    x, pair, vectors, receiver, inverse = inputs()
    harmonics = Harmonics(L_MAX)(vectors)
    order = torch.randperm(len(pair), generator=torch.Generator().manual_seed(0))
    found = layer(x, pair, harmonics, receiver, inverse)
    shuffled = layer(x, pair[order], harmonics[order], receiver[order], inverse)
    assert all(torch.allclose(found[irrep], shuffled[irrep], atol=1e-13) for irrep in found)

    def output(x, pair, harmonics):
        return torch.cat([part.flatten() for part in layer(x, pair, harmonics, receiver, inverse).values()])

    leaves = [t.clone().requires_grad_() for t in (x, pair, harmonics)]
    assert torch.autograd.gradcheck(output, leaves)


def test_what_cannot_be_reached_is_refused():
    with pytest.raises(IrrepnetError, match="leads to 0o, 2o; take a larger l_max than 1"):
        BondCovariants(5, 1, 2, {"0o": 1, "2o": 1, "2e": 1, "1o": 1})
    with pytest.raises(IrrepnetError, match="leads to 0o; take"):
        BondCovariants(5, 2, 2, {"0o": 1, "2o": 1})
    assert BondCovariants(5, 2, 2, {})(torch.zeros(1, 5), torch.zeros(0, 5), torch.zeros(0, 8), *2 * [None]) == {}


def test_frames_turn_what_they_carry():
    """Components along the axes (the identity) are turned by D(axes), whatever the parity and the determinant."""
    copies = {"1o": 2, "2e": 1, "2o": 1, "4e": 2, "0o": 1}
    layer = FrameCovariants(5, copies).double()
    v = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    axes = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    assert not any(part.any() for part in layer(v, axes).values())
    for weights in layer.parameters():
        torch.nn.init.normal_(weights)
    plain = layer(v, axes)
    q = Rotation.random(4, rng=np.random.default_rng(0)).as_matrix() * np.array([1, -1, 1, -1])[:, None, None]
    for irrep, part in layer(v, torch.from_numpy(q)).items():
        d = torch.from_numpy(harmonic_matrices(q, int(irrep[0]), 1 if irrep[1] == "e" else -1))
        assert part.shape == (4, 2 * int(irrep[0]) + 1, copies[irrep])
        assert torch.allclose(part, d @ plain[irrep], atol=1e-12)


def test_what_the_group_forbids_is_zero_in_float32():
    """Two crystals: {1, −1} leaves no 1o and all of 2e, {1} leaves both as they are."""
    inversion = int(np.flatnonzero((crystallographic_operations() == -np.eye(3)).all((1, 2)))[0])
    symmetry = torch.zeros(2, 64)
    symmetry[0, [0, inversion]] = 0.5
    symmetry[1, 0] = 1
    x = {"1o": torch.randn(3, 3, 2), "2e": torch.randn(3, 5, 1)}
    mean = FixedMean(x)(x, symmetry, torch.tensor([0, 0, 1]), 2, torch.tensor([1.0, 3, 1]))
    assert mean["1o"].shape == (2, 3, 2)
    assert mean["1o"].dtype == torch.float64
    assert mean["1o"][0].abs().max() < 1e-16
    assert torch.allclose(mean["2e"][0], (x["2e"][0] + 3 * x["2e"][1]).double() / 4, atol=1e-6)
    assert torch.allclose(mean["1o"][1], x["1o"][2].double(), atol=1e-6)
