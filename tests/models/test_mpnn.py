"""The parts of the message-passing network against plain loops, and parts of one's own."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.functional import silu

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data.batch import union
from irrepnet.graphs import HypergraphOptions, hypergraph
from irrepnet.models import MPNN, MPNNConfig
from irrepnet.models.mpnn import MESSAGES, READOUTS, UPDATES

OPTIONS = HypergraphOptions()


@pytest.fixture(scope="module")
def batch(examples):
    crystals = [SymmetricCrystal.from_structure(examples[name]) for name in ("SrTiO3", "MgAl2O4")]
    return union([hypergraph(c, OPTIONS) for c in crystals], torch.float64)


def plain_message(message, name, v, w, e):
    if name == "mlp":
        return message.dense(silu(message.receiver(v) + message.sender(w) + message.edge(e)))
    if name == "filter":
        return message.sender(w) * message.filter(e)
    # a matrix for every edge, as in the paper
    h = torch.cat([silu(message.network(e)), torch.ones(1).double()])
    matrix = torch.einsum("k,ikj->ij", h, message.matrices.weight.unflatten(1, (17, len(w))))
    return matrix @ w


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(batch, name):
    torch.manual_seed(0)
    net = MPNN(MPNNConfig(channels=6, message=name), 1, OPTIONS).double()
    bonds = batch.types["bonds"]
    e, v, message = net.bonds(bonds.features), net.embedding(batch.numbers), net.messages[0]
    got = message(v, e, bonds.node, bonds.other, bonds.edge)
    triples = zip(bonds.node, bonds.other, bonds.edge)
    wanted = torch.stack([plain_message(message, name, v[a], v[b], e[c]) for a, b, c in triples])
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


def atoms_of(batch, v, c):
    """Features of every atom of crystal c, one row an atom."""
    rows = batch.crystal == c
    return v[rows].repeat_interleave(batch.multiplicity[rows].long(), 0)


def plain_readout(readout, name, atoms):
    if name == "mean":
        return atoms.mean(0)
    if name == "attention":
        return readout.score(atoms).softmax(0)[:, 0] @ readout.value(atoms)
    zero = torch.zeros(1, atoms.shape[1]).double()
    state, both = (zero, zero), torch.cat([zero, zero], 1)
    for _ in range(3):
        state = readout.cell(both, state)
        share = (atoms @ state[0][0]).softmax(0)
        both = torch.cat([state[0], (share @ atoms)[None]], 1)
    return both[0]


@pytest.mark.parametrize("name", READOUTS)
def test_readouts_count_atoms(batch, name):
    torch.manual_seed(0)
    readout = READOUTS[name](6).double()
    v = torch.randn(len(batch.numbers), 6).double()
    got = readout(v, batch.crystal, batch.size, batch.multiplicity)
    assert got.shape == (batch.size, readout.width)
    wanted = torch.stack([plain_readout(readout, name, atoms_of(batch, v, c)) for c in range(batch.size)])
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("message", "update", "readout"), product(MESSAGES, UPDATES, READOUTS))
def test_every_choice_learns(batch, message, update, readout):
    torch.manual_seed(0)
    config = MPNNConfig(channels=6, layers=2, message=message, update=update, readout=readout)
    net = MPNN(config, 3, OPTIONS).double()
    outputs = net(batch)
    assert outputs.shape == (2, 3)
    outputs.square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        if name != "readout.score.2.bias":  # a softmax does not see what is added to all scores
            assert parameter.grad.abs().max() > 0, name


def test_parts_of_ones_own(batch):
    class Difference(nn.Module):
        def __init__(self, channels, edge_channels):
            super().__init__()
            self.gate = nn.Linear(edge_channels, channels)

        def forward(self, v, e, receiver, sender, edge):
            return (v[sender] - v[receiver]) * torch.sigmoid(self.gate(e))[edge]

    class Add(nn.Module):
        def __init__(self, channels):
            super().__init__()

        def forward(self, v, m):
            return v + m

    class First(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.width = 2

        def forward(self, v, crystal, size, multiplicity):
            return torch.stack([atoms_mean(v, crystal, multiplicity, c) for c in range(size)])

    def atoms_mean(v, crystal, multiplicity, c):
        share = multiplicity * (crystal == c)
        return share @ v[:, :2] / share.sum()

    config = MPNNConfig(channels=6, layers=2)
    net = MPNN(config, 1, OPTIONS, message=Difference, update=Add, readout=First).double()
    assert sum(isinstance(m, Difference) for m in net.modules()) == 2
    assert torch.isfinite(net(batch)).all()
