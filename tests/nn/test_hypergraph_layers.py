"""Layers for hypergraphs, against plain loops and repeated rows."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import silu, softplus

from irrepnet.errors import IrrepnetError
from irrepnet.nn import (
    BesselBasis,
    Expansion,
    GaussianBasis,
    HyperedgeUpdate,
    HypergraphConvolution,
    WeightedBatchNorm,
    atom_embedding,
    envelope,
)
from irrepnet.nn import hypergraph as layers
from irrepnet.nn.elements import BINS, HEAVIEST, binned_properties

KINDS = ("mean", "max", "min", "std", "attention")
ROUTES = [("relatives", ("mean",)), ("exchange", ("mean",)), ("aggregation", KINDS)]
ROUTES += [("aggregation", (kind,)) for kind in KINDS]


@dataclass
class Tensors:
    node: torch.Tensor
    edge: torch.Tensor
    weight: torch.Tensor
    other: torch.Tensor
    incidence: torch.Tensor
    other_weight: torch.Tensor


def random_incidences(seed, n_nodes=4, n_edges=3, n_incidences=6):
    """Every incidence but the last has others; every hyperedge has a node; the last node has no hyperedge."""
    rng = np.random.default_rng(seed)
    node = np.sort(rng.integers(n_nodes - 1, size=n_incidences))
    edge = np.concatenate([np.arange(n_edges), rng.integers(n_edges, size=n_incidences - n_edges)])
    sizes = [*rng.integers(1, 4, size=n_incidences - 1), 0]
    incidence = np.repeat(np.arange(n_incidences), sizes)
    return Tensors(
        torch.from_numpy(node),
        torch.from_numpy(edge),
        torch.from_numpy(rng.uniform(0.2, 3, n_incidences)),
        torch.from_numpy(rng.integers(n_nodes, size=len(incidence))),
        torch.from_numpy(incidence),
        torch.from_numpy(rng.uniform(0.3, 3, len(incidence))),
    )


def random_input(seed, channels=3):
    torch.manual_seed(seed)
    return random_incidences(seed), torch.randn(4, channels).double(), torch.randn(3, channels).double()


def others(at, i):
    """[(node, weight)] at incidence i."""
    return [(int(at.other[k]), at.other_weight[k]) for k in range(len(at.other)) if at.incidence[k] == i]


def reduced(kind, rows, counts, scores):
    """One row from the rows of a segment, of which each counts so often."""
    if len(rows) == 0:
        return torch.zeros(rows.shape[1]).double()
    counts = counts[:, None]
    mean = (counts * rows).sum(0) / counts.sum()
    if kind == "std":
        return ((counts * (rows - mean) ** 2).sum(0) / counts.sum() + 1e-6).sqrt() - 1e-3
    if kind == "attention":
        share = counts * scores[:, None].exp()
        return (share * rows).sum(0) / share.sum()
    return {"mean": mean, "max": rows.max(0).values, "min": rows.min(0).values}[kind]


@given(st.integers(0, 10**6), st.integers(0, 12))
def test_segment_reductions(seed, n):
    rng = np.random.default_rng(seed)
    values, counts = torch.from_numpy(rng.normal(size=(n, 2))), torch.from_numpy(rng.uniform(0.1, 4, n))
    segment, scores = torch.from_numpy(rng.integers(3, size=n)), torch.from_numpy(rng.normal(0, 30, n))
    share = layers.segment_softmax(scores, segment, 3, counts)
    got = {
        "mean": layers.segment_mean(values, segment, 3, counts),
        "max": layers.segment_max(values, segment, 3),
        "min": -layers.segment_max(-values, segment, 3),
        "std": layers.segment_std(values, segment, 3, counts),
        "attention": layers.segment_sum(values * share[:, None], segment, 3),
    }
    for s in range(3):
        rows = segment == s
        for kind, value in got.items():
            wanted = reduced(kind, values[rows], counts[rows], scores[rows])
            if kind == "std" and not rows.any():
                wanted = wanted * 0
            torch.testing.assert_close(value[s], wanted, rtol=1e-9, atol=1e-9)


def plain_convolution(layer, x, h, at):
    """The formulas of HypergraphConvolution, term by term."""
    message = layer.message
    zero = torch.zeros(x.shape[1]).double()

    def gated(v, e, heard):
        z = message.receiver(x[v]) + message.hyperedge(h[e]) + (message.sender(heard) if message.sender else 0)
        gate, core = z.chunk(2)
        return torch.sigmoid(gate) * softplus(core)

    def heard(i, v, e):
        rows = torch.stack([x[w] for w, _ in others(at, i)] or [zero])[: len(others(at, i))]
        counts = torch.stack([c for _, c in others(at, i)] or [torch.tensor(1.0)])[: len(rows)]
        a = layer.aggregate
        scores = counts
        if "attention" in a.kinds:
            scores = a.score(silu(a.receiver(x[v]) + a.hyperedge(h[e]) + a.sender(rows)))[:, 0]
        return torch.cat([reduced(kind, rows, counts, scores) for kind in a.kinds])

    result = []
    for v in range(len(x)):
        total, number = zero, 1.0
        for i in range(len(at.node)):
            if at.node[i] != v:
                continue
            e = int(at.edge[i])
            if layer.strategy == "exchange":
                for w, count in others(at, i):
                    total = total + at.weight[i] * count * gated(v, e, x[w])
                    number = number + at.weight[i] * count
            else:
                seen = None if layer.strategy == "relatives" else heard(i, v, e)
                total = total + at.weight[i] * gated(v, e, seen)
                number = number + at.weight[i]
        result.append(total / number)
    return torch.stack(result)


@pytest.mark.parametrize(("strategy", "aggregation"), ROUTES)
@pytest.mark.parametrize("seed", range(3))
def test_convolution_against_loops(strategy, aggregation, seed):
    at, x, h = random_input(seed)
    layer = HypergraphConvolution(3, strategy, aggregation).double()
    torch.testing.assert_close(layer(x, h, at), plain_convolution(layer, x, h, at), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_hyperedge_update_against_loops(seed):
    at, x, h = random_input(seed)
    layer = HyperedgeUpdate(3).double()
    multiplicity = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    means = []
    for e in range(len(h)):
        total, number = torch.zeros(3).double(), 0.0
        for i in np.flatnonzero(at.edge == e):
            rows = [(int(at.node[i]), 1.0), *others(at, i)]
            share = at.weight[i] * multiplicity[at.node[i]]
            members = sum(c * layer.members_norm(x[w]) for w, c in rows) / sum(c for _, c in rows)
            total, number = total + share * members, number + share
        means.append(total / number)
    wanted = h + layer.update(torch.cat([layer.norm(h), torch.stack(means)], -1))
    torch.testing.assert_close(layer(x, h, at, multiplicity), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("strategy", "aggregation"), ROUTES)
def test_gradients(strategy, aggregation):
    at, x, h = random_input(7)
    layer = HypergraphConvolution(3, strategy, aggregation).double()
    assert torch.autograd.gradcheck(lambda x, h: layer(x, h, at), (x.requires_grad_(), h.requires_grad_()))
    layer(x, h, at).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_gradients_of_update_and_norm():
    at, x, h = random_input(8)
    update, norm = HyperedgeUpdate(3).double(), WeightedBatchNorm(3).double()
    multiplicity = torch.tensor([1.0, 2.0, 3.0, 4.0]).double()
    inputs = (x.requires_grad_(), h.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, h: update(x, h, at, multiplicity), inputs)
    assert torch.autograd.gradcheck(lambda x: norm(x, multiplicity), (x,))


@pytest.mark.parametrize(("strategy", "aggregation"), ROUTES)
def test_no_hyperedges_at_all(strategy, aggregation):
    """As when a descriptor failed on every site: nothing is heard, and gradients are finite."""
    empty = torch.zeros(0, dtype=torch.int64)
    at = Tensors(empty, empty, torch.zeros(0), empty, empty, torch.zeros(0))
    x, h = torch.randn(4, 3, requires_grad=True), torch.zeros(0, 3)
    layer, update = HypergraphConvolution(3, strategy, aggregation), HyperedgeUpdate(3)
    messages = layer(x, h, at)
    assert torch.equal(messages, torch.zeros(4, 3))
    assert update(x, h, at, torch.ones(4)).shape == (0, 3)
    messages.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_equal_others_have_a_finite_gradient():
    values = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    layers.segment_std(values, torch.zeros(4, dtype=torch.int64), 1, torch.ones(4).double()).sum().backward()
    assert torch.isfinite(values.grad).all()


def test_unknown_strategy_and_aggregation_are_named():
    with pytest.raises(IrrepnetError, match="relatives, exchange, aggregation"):
        HypergraphConvolution(3, "sum")
    with pytest.raises(IrrepnetError, match="median"):
        HypergraphConvolution(3, "aggregation", ("mean", "median"))


@given(st.integers(0, 10**6))
def test_weighted_batch_norm_is_batch_norm_of_repeated_rows(seed):
    torch.manual_seed(seed)
    repeats = torch.randint(1, 5, (6,))
    ours, theirs = WeightedBatchNorm(3).double(), nn.BatchNorm1d(3).double()
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
            norm.bias.copy_(torch.tensor([0.0, -1.0, 3.0]))
    for _ in range(3):
        x = (2 * torch.randn(6, 3, dtype=torch.float64) + 1).requires_grad_()
        y, wanted = ours(x, repeats.double()).repeat_interleave(repeats, 0), theirs(x.repeat_interleave(repeats, 0))
        torch.testing.assert_close(y, wanted, rtol=0, atol=1e-12)
        target = torch.randn_like(y)
        gradients = [torch.autograd.grad((value * target).sum(), x)[0] for value in (y, wanted)]
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=0, atol=1e-12)
    x = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(ours.eval()(x, repeats.double()), theirs.eval()(x), rtol=0, atol=1e-12)


def test_batch_norm_of_a_single_row_is_finite():
    norm = WeightedBatchNorm(3)
    assert torch.isfinite(norm(torch.randn(1, 3), torch.ones(1))).all()
    assert torch.isfinite(norm.running_var).all()
    assert norm(torch.zeros(0, 3), torch.zeros(0)).shape == (0, 3)


def test_envelope_fades_with_zero_slope_and_curvature():
    x = torch.tensor([0.0, 0.3, 1 - 1e-9, 1.0, 1.7], dtype=torch.float64, requires_grad=True)
    u = envelope(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    assert u[0] == 1
    for value in (u, slope, curvature):
        assert value[2:].abs().max() < 1e-6
    assert 0 < u[1] < 1


def test_gaussians_have_no_subnormal_numbers():
    """On these exponentials take ten times longer, and products of matrices fifty times."""
    values = GaussianBasis(0.5, 8.0, 32)(torch.linspace(0.5, 8.0, 1000))
    assert 1e-20 < values.min() < 2e-20
    assert values.amax(1).min() > 0.5
    assert GaussianBasis(0.5, 8.0, 32)(torch.tensor([torch.nan])).isnan().all()


def test_bessel_basis():
    d = torch.tensor([0.0, 1e-9, 0.7, 3.9, 4.0, 6.0], dtype=torch.float64)
    values = BesselBasis(4.0, 5)(d)
    assert torch.isfinite(values).all()
    for k in range(1, 6):
        wanted = envelope(d[2:] / 4) * np.sqrt(2 / 4) * torch.sin(k * np.pi * d[2:] / 4) / d[2:]
        torch.testing.assert_close(values[2:, k - 1], wanted, rtol=0, atol=1e-12)
        assert abs(values[0, k - 1] - np.sqrt(2 / 4) * k * np.pi / 4) < 1e-12  # the limit at 0
    assert (values[4:] == 0).all()


def test_expansion_takes_columns_as_they_are_declared():
    columns = [("angle", -1.0, 1.0, 5), ("order", 0.0, 4.0, 1), ("distance", 0.0, 8.0, 41)]
    features = torch.tensor([[0.3, 1.0, 2.5], [-1.0, 4.0, 8.0]], dtype=torch.float64)
    expansion = Expansion(columns)
    wanted = [GaussianBasis(-1.0, 1.0, 5)(features[:, 0]), GaussianBasis(0.0, 8.0, 41)(features[:, 2])]
    wanted.append(torch.tensor([[-0.5], [1.0]], dtype=torch.float64))
    assert torch.equal(expansion(features), torch.cat(wanted, 1))
    assert expansion.width == 47
    wanted[1] = BesselBasis(8.0, 41)(features[:, 2])
    assert torch.equal(Expansion(columns, "bessel")(features), torch.cat(wanted, 1))
    with pytest.raises(IrrepnetError, match="empty"):
        Expansion([("empty", 1.0, 1.0, 5)])


def test_bins_of_elements():
    bins = {z: dict(zip((name for name, *_ in BINS), row)) for z, row in enumerate(binned_properties().tolist())}
    # iron: group 8, period 4, 1.83, 140 pm, 4s2 3d6, ln 7.90 eV = 2.07, 0.15 eV, d, ln 7.09 = 1.96
    assert list(bins[26].values()) == [7, 3, 3, 5, 7, 3, 4, 2, 1]
    # oxygen: group 16, period 2, 3.44, 60 pm, 2s2 2p4, ln 13.62 eV = 2.61, 1.46 eV, p, ln 17.36 = 2.85
    assert list(bins[8].values()) == [15, 1, 8, 1, 5, 6, 6, 1, 4]
    assert bins[18]["electronegativity"] == -1  # argon has none
    electrons = {1: 1, 2: 2, 13: 3, 30: 12, 35: 7, 46: 10, 79: 11, 58: 3, 82: 4}
    for z, n in electrons.items():
        assert bins[z]["valence electrons"] == n - 1, z
    sizes = np.array([size for *_, size in BINS])
    table = binned_properties()
    assert (table[1:] < sizes).all()
    assert (table[0] == -1).all()
    assert (table[1:95, [0, 1, 4, 5, 7]] >= 0).all()


@pytest.mark.parametrize("kind", ["bins", "embedding", "properties"])
def test_atoms(kind):
    torch.manual_seed(0)
    atoms = atom_embedding(kind, 16)
    vectors = atoms(torch.arange(1, HEAVIEST + 1))
    assert vectors.shape == (HEAVIEST, 16)
    assert torch.isfinite(vectors).all()
    torch.testing.assert_close(atoms(torch.tensor([8, 26])), vectors[[7, 25]])
    vectors.square().sum().backward()
    assert all(p.grad is not None for p in atoms.parameters())


def test_unknown_atoms_are_named():
    with pytest.raises(IrrepnetError, match="bins, embedding, properties"):
        atom_embedding("magpie", 4)
