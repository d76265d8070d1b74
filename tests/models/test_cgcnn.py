"""CGCNN against the published equations, written out over all atoms and all their neighbours."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from irrepnet.crystals import SymmetricCrystal, find_neighbours
from irrepnet.data.batch import union
from irrepnet.graphs import HypergraphOptions, hypergraph
from irrepnet.models import CGCNN, CGCNNConfig

OPTIONS = HypergraphOptions()


class Plain(nn.Module):
    """Every atom and every bond, torch's batch normalisation, one linear map of the concatenation [v, w, u]."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.full, self.inner, self.outer = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for layer in net.convolutions:
            weight = torch.cat([layer.receiver.weight, layer.sender.weight, layer.bond.weight], 1)
            full = nn.Linear(weight.shape[1], weight.shape[0]).double()
            with torch.no_grad():
                full.weight.copy_(weight)
                full.bias.copy_(layer.receiver.bias)
            self.full.append(full)
            for norms, own in ((self.inner, layer.inner_norm), (self.outer, layer.outer_norm)):
                norm = nn.BatchNorm1d(len(own.bias)).double()
                norm.weight, norm.bias = own.weight, own.bias
                norms.append(norm)

    def forward(self, crystals):
        numbers = np.concatenate([c.numbers for c in crystals]).astype(int)
        v = self.net.embedding(torch.from_numpy(numbers))
        pairs, start = [], 0
        for c in crystals:
            found = find_neighbours(c, OPTIONS)
            pairs += [(start + a, start + b, d) for a, b, d in zip(found.receiver, found.sender, found.distance)]
            start += len(c)
        centres = np.arange(0, 8.01, 0.2)
        for full, inner, outer in zip(self.full, self.inner, self.outer):
            rows = [
                torch.cat([v[a], v[b], torch.from_numpy(np.exp(-(((d - centres) / 0.2) ** 2)))]) for a, b, d in pairs
            ]
            gate, core = inner(full(torch.stack(rows))).chunk(2, 1)
            messages = torch.sigmoid(gate) * softplus(core)
            sums = torch.stack([sum(m for m, (a, _, _) in zip(messages, pairs) if a == atom) for atom in range(len(v))])
            v = softplus(v + outer(sums))
        means, start = [], 0
        for c in crystals:
            means.append(v[start : start + len(c)].mean(0))
            start += len(c)
        u = softplus(torch.stack(means))
        for dense in self.net.dense:
            u = softplus(dense(u))
        return self.net.output(u)


@pytest.fixture(scope="module")
def crystals(examples):
    return [SymmetricCrystal.from_structure(examples[name]) for name in ("SrTiO3", "TiO2", "MgAl2O4", "NaCl")]


def test_it_is_the_published_network(crystals):
    torch.manual_seed(0)
    net = CGCNN(CGCNNConfig(channels=6, layers=2, hidden=5), 2, OPTIONS).double()
    plain = Plain(net)
    batch = union([hypergraph(c, OPTIONS) for c in crystals], torch.float64)
    for _ in range(2):
        torch.testing.assert_close(net(batch), plain(crystals), rtol=0, atol=1e-10)
    for layer, inner, outer in zip(net.convolutions, plain.inner, plain.outer):
        for own, norm in ((layer.inner_norm, inner), (layer.outer_norm, outer)):
            torch.testing.assert_close(own.running_mean, norm.running_mean, rtol=0, atol=1e-12)
            torch.testing.assert_close(own.running_var, norm.running_var, rtol=0, atol=1e-10)
    net.eval()
    torch.testing.assert_close(net(batch), plain.eval()(crystals), rtol=0, atol=1e-10)


def test_published_sizes():
    net = CGCNN(CGCNNConfig(), 1, OPTIONS)
    assert net.bonds.width == 41
    assert [m.receiver.weight.shape for m in net.convolutions] == [(128, 64)] * 3
    assert [m.weight.shape for m in net.dense] == [(128, 64)]


def test_initial_weights_are_those_of_one_linear_map():
    torch.manual_seed(0)
    layer = CGCNN(CGCNNConfig(), 1, OPTIONS).convolutions[0]
    bound = (2 * 64 + 41) ** -0.5
    for parameter in (layer.receiver.weight, layer.sender.weight, layer.bond.weight, layer.receiver.bias):
        assert 0.95 * bound < parameter.abs().max() <= bound
