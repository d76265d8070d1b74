"""Moments against loops, and layers of two groups against layers of one."""

from functools import partial

import numpy as np
import pytest
import torch

from irrepnet.groups import PointGroup, harmonic_matrices
from irrepnet.nn import Filter, GroupCorrelation, Harmonics, Moments
from irrepnet.nn.group import Orbits
from irrepnet.nn.moments import moment_map


def unit_vectors(n):
    return torch.nn.functional.normalize(torch.randn(n, 3, dtype=torch.float64), dim=1)


def moments(size=3, l_max=3):
    torch.manual_seed(0)
    layer = Moments(5, l_max, size).double()
    receiver = torch.tensor([0, 0, 0, 0, 1, 1, 3])
    pair, directions = torch.randn(7, 5, dtype=torch.float64), unit_vectors(7)
    count = torch.tensor([[0.25], [0.5], [1.0], [1.0]], dtype=torch.float64)
    return layer, pair, directions, receiver, count


def found(layer, pair, harmonics, receiver, count):
    return layer(pair, moment_map(harmonics * count[receiver], receiver, len(count)))


def test_moments_against_a_loop():
    layer, pair, directions, receiver, count = moments()
    lengths = found(layer, pair, Harmonics(3)(directions), receiver, count)
    weights = layer.weight(pair).reshape(7, 3, 3)
    for a in range(4):
        for l in (1, 2, 3):
            y = Harmonics(l)(directions)[:, l * l - 1 :]
            for k in range(3):
                moment = torch.zeros(2 * l + 1, dtype=torch.float64)
                for e in range(7):
                    if receiver[e] == a:
                        moment = moment + count[a] * weights[e, l - 1, k] * y[e]
                length = (moment**2).sum() / (2 * l + 1)
                assert abs(lengths[a, (l - 1) * 3 + k] - (length + 1e-3).sqrt()) < 1e-12


@pytest.mark.parametrize("seed", range(4))
def test_moments_are_invariant_under_rotations_and_reflections(seed):
    layer, pair, directions, receiver, count = moments(l_max=5)
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0])
    harmonics = Harmonics(5)
    before, after = (found(layer, pair, harmonics(d), receiver, count) for d in (directions, directions @ turn.T))
    torch.testing.assert_close(after, before, atol=1e-12, rtol=0)
    matrices = torch.block_diag(
        *(torch.from_numpy(harmonic_matrices(turn.numpy()[None], l, (-1) ** l)[0]) for l in range(1, 6))
    )
    torch.testing.assert_close(harmonics(directions @ turn.T), harmonics(directions) @ matrices.T, atol=1e-10, rtol=0)


def test_gradients():
    layer, pair, directions, receiver, count = moments()
    harmonics = Harmonics(3)(directions)
    inputs = (pair.requires_grad_(), harmonics.requires_grad_())
    lengths = partial(found, layer, receiver=receiver, count=count)
    assert torch.autograd.gradcheck(lengths, inputs)
    assert torch.autograd.gradgradcheck(lengths, inputs)


def test_group_correlation_of_two_groups():
    """Crystals of two groups side by side get what each group's own layer gives."""
    groups = [PointGroup("m-3m"), PointGroup("6/mmm")]
    both = GroupCorrelation(groups, 4).double()
    torch.nn.init.normal_(both.weight)
    rows = [len(group.fourier_rows) for group in groups]
    orders = [group.order for group in groups]
    v = torch.randn(10, 4, dtype=torch.float64)
    receiver, sender = torch.arange(10), torch.randint(5, (10,)) + torch.arange(10) // 5 * 5
    sets = [torch.randint(2, (5, order)).double() for order in orders]
    found = both(v, Orbits(receiver, sender, torch.arange(10), torch.block_diag(*sets), 10))
    for k, (group, weight) in enumerate(zip(groups, both.weight.split(rows))):
        alone = GroupCorrelation(group, 4).double()
        alone.weight.data = weight.detach()
        own = slice(5 * k, 5 * k + 5)
        expected = alone(v[own], Orbits(torch.arange(5), sender[own] - 5 * k, torch.arange(5), sets[k], 5))
        torch.testing.assert_close(found[own], expected, atol=1e-12, rtol=0)


def test_a_filter_of_which_some_edges_see_no_direction():
    torch.manual_seed(0)
    layer = Filter(6, 4, 5).double()
    hidden, covariants = torch.randn(3, 6, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)
    edge_class = torch.tensor([0, 2, 2, 0, 1, 1, 2])
    full = layer(hidden, [(slice(None), covariants)], edge_class)
    plain = layer.scalar(hidden)[edge_class]
    torch.testing.assert_close(full, plain + layer.scale(hidden)[edge_class] * layer.direction(covariants))
    part = layer(hidden, [(slice(None), covariants[:4])], edge_class)
    torch.testing.assert_close(part[:4], full[:4], atol=1e-12, rtol=0)
    torch.testing.assert_close(part[4:], plain[4:], atol=1e-12, rtol=0)
    torch.testing.assert_close(layer(hidden, [], edge_class), plain)


def test_a_filter_of_which_edges_see_components_of_two_groups():
    """The components of one group are zero where those of the other are."""
    torch.manual_seed(0)
    layer = Filter(6, 4, 5).double()
    hidden, covariants = torch.randn(2, 6, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    edge_class = torch.tensor([0, 0, 1, 1, 0])
    blocks = [(slice(0, 3), covariants[:2, :3]), (slice(3, 4), covariants[2:, 3:])]
    covariants[:2, 3:], covariants[2:, :3] = 0, 0
    side_by_side = [(slice(None), covariants)]
    torch.testing.assert_close(layer(hidden, blocks, edge_class), layer(hidden, side_by_side, edge_class))
