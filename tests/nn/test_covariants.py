"""The covariant readout over bonds: against a plain sum, and its equivariance."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.spatial.transform import Rotation

from irrepnet.errors import IrrepnetError
from irrepnet.groups import O3Irrep, O3Irreps, crystallographic_operations, harmonic_matrices
from irrepnet.nn.covariants import BondCovariants, FrameCovariants
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.o3 import FixedMean

IRREPS = O3Irreps("0e+2x1o+2x2e+2o+3o+4e+1e")
L_MAX = 3


@pytest.fixture
def layer() -> BondCovariants:
    torch.manual_seed(0)
    return BondCovariants(5, L_MAX, 3, IRREPS).double()


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
    assert {name: part.shape for name, part in found.items()} == {
        str(irrep): (4, irrep.dim, copies) for irrep, copies in IRREPS.items()
    }
    q = Rotation.random(rng=np.random.default_rng(0)).as_matrix()
    for g in (q, -q):
        turned = layer(x, pair, harmonics(vectors @ torch.from_numpy(g.T)), receiver, inverse)
        for irrep in IRREPS:
            d = torch.from_numpy(harmonic_matrices(g[None], irrep.l, irrep.parity)[0])
            assert torch.allclose(turned[str(irrep)], d @ found[str(irrep)], atol=1e-10)


def test_against_a_plain_sum(layer):
    """One node, one irrep at a time, with e3nn's harmonics and 3j symbols."""
    x, pair, vectors, receiver, inverse = inputs()
    found = layer(x, pair, Harmonics(L_MAX)(vectors), receiver, inverse)
    gates = dict(zip(IRREPS, layer.gate(x).split(layer.gates, -1)))
    for node in range(len(x)):
        moments = {}
        for l in range(1, L_MAX + 1):
            weights = layer.weight(pair).unflatten(-1, (L_MAX, 3))[:, l - 1]
            y = o3.spherical_harmonics(l, vectors, normalize=True, normalization="component")
            own = receiver == node
            moments[l] = torch.einsum("em,ek->mk", y[own], weights[own]) * inverse[node]
        for irrep in IRREPS:
            l, rows = irrep.l, []
            if l in moments and irrep.parity == (-1) ** l:
                rows.append(moments[l])
            for a, b in combinations_with_replacement(moments, 2):
                if (-1) ** (a + b) != irrep.parity or not b - a <= l <= a + b:
                    continue
                second = moments[b] @ layer.mix[b - 1].weight.T
                symbol = o3.wigner_3j(a, b, l, dtype=torch.float64)
                rows.append((2 * l + 1) ** 0.5 * torch.einsum("ak,bk,abc->ck", moments[a], second, symbol))
            plain = torch.cat(rows, -1) * gates[irrep][node] @ layer.readout[str(irrep)].weight.T
            assert torch.allclose(found[str(irrep)][node], plain, atol=1e-12)


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
        BondCovariants(5, 1, 2, O3Irreps("0o+2o+2e+1o"))
    with pytest.raises(IrrepnetError, match="leads to 0o; take"):
        BondCovariants(5, 2, 2, O3Irreps("0o+2o"))
    nothing = BondCovariants(5, 2, 2, O3Irreps())
    assert nothing(torch.zeros(1, 5), torch.zeros(0, 5), torch.zeros(0, 8), *2 * [None]) == {}


def test_frames_turn_what_they_carry():
    """Components along the axes (the identity) are turned by D(axes), whatever the parity and the determinant."""
    irreps = O3Irreps("2x1o+2e+2o+2x4e+0o+6o")
    layer = FrameCovariants(5, irreps).double()
    v = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    axes = torch.eye(3, dtype=torch.float64).repeat(4, 1, 1)
    assert not any(part.any() for part in layer(v, axes).values())
    for weights in layer.parameters():
        torch.nn.init.normal_(weights)
    plain = layer(v, axes)
    q = Rotation.random(4, rng=np.random.default_rng(0)).as_matrix() * np.array([1, -1, 1, -1])[:, None, None]
    turned = layer(v, torch.from_numpy(q))
    assert turned.keys() == {str(irrep) for irrep in irreps}
    for irrep, copies in irreps.items():
        d = torch.from_numpy(harmonic_matrices(q, irrep.l, irrep.parity))
        assert turned[str(irrep)].shape == (4, irrep.dim, copies)
        assert torch.allclose(turned[str(irrep)], d @ plain[str(irrep)], atol=1e-12)


def test_what_the_group_forbids_is_zero_in_float32():
    """Two crystals: {1, −1} leaves no 1o and all of 2e, {1} leaves both as they are."""
    inversion = int(np.flatnonzero((crystallographic_operations() == -np.eye(3)).all((1, 2)))[0])
    symmetry = torch.zeros(2, 64)
    symmetry[0, [0, inversion]] = 0.5
    symmetry[1, 0] = 1
    x = {"1o": torch.randn(3, 3, 2), "2e": torch.randn(3, 5, 1)}
    mean = FixedMean(map(O3Irrep.parse, x))(x, symmetry, torch.tensor([0, 0, 1]), 2, torch.tensor([1.0, 3, 1]))
    assert mean["1o"].shape == (2, 3, 2)
    assert mean["1o"].dtype == torch.float64
    assert mean["1o"][0].abs().max() < 1e-16
    assert torch.allclose(mean["2e"][0], (x["2e"][0] + 3 * x["2e"][1]).double() / 4, atol=1e-6)
    assert torch.allclose(mean["1o"][1], x["1o"][2].double(), atol=1e-6)
