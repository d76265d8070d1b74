"""The network against a plain evaluation: loops over g, atoms and neighbours, straight from the formulas."""

import pytest
import torch
from torch.nn.functional import normalize, silu

from irrepnet.crystals import FORMS, GraphOptions, SymmetricCrystal, frame_graph, neighbour_shells
from irrepnet.data.batch import collate
from irrepnet.models import PointGroupConfig
from irrepnet.training.verify import random_network

OPTIONS = GraphOptions(n_max=6)


def plain(net, crystal):
    """v_a(g) for every atom and element, by the definition of each layer; nothing of the crystal's symmetry is used."""
    group = net.group
    edges = neighbour_shells(crystal, OPTIONS.cutoff, OPTIONS.n_max, OPTIONS.tolerance)
    operations = torch.from_numpy(group.operations.copy())
    n, order = len(crystal), group.order
    numbers = torch.from_numpy(crystal.numbers.astype(int))
    v = net.embedding(numbers)[:, None].repeat(1, order, 1)  # [a, g]

    def seen(e, g):
        """Invariants and covariants of edge e in frame g."""
        r = operations[g].T @ torch.from_numpy(edges.vector[e].copy())
        nearest = edges.distance[edges.receiver == edges.receiver[e]].min()
        parts = [net.distance(r.norm()[None])[0], net.relative(3 * r.norm()[None] / nearest)[0]]
        covariants = None
        if net.direction is not None:
            angular, covariants = net.direction(normalize(r, dim=0)[None])
            parts.append(angular[0])
        return silu(net.edge(torch.cat(parts))), covariants

    for layer in net.convolutions:
        x = layer.norm(v)
        m = torch.zeros_like(v)
        for a in range(n):
            own = [e for e in range(len(edges.receiver)) if edges.receiver[e] == a]
            for g in range(order):
                for e in own:
                    hidden, covariants = seen(e, g)
                    pair = layer.receiver(x[a, g]) + layer.sender(x[edges.sender[e], g]) + layer.filter.scalar(hidden)
                    if covariants is not None:
                        pair = pair + layer.filter.scale(hidden) * layer.filter.direction(covariants[0])
                    gate, value = layer.message(silu(pair)).chunk(2)
                    m[a, g] += torch.sigmoid(gate) * value / len(own)
        if layer.correlation is not None:
            kernel = layer.correlation.get_buffer("basis") @ layer.correlation.weight
            mixed = torch.zeros_like(m)
            for g in range(order):
                for h in range(order):  # (W m)(g) = Σ_h W(g⁻¹h) m(h)
                    mixed[:, g] += kernel[group.multiplication[group.inverse[g], h]] * m[:, h]
            m = m + layer.dense(mixed)
        v = v + layer.update(torch.cat([x, m], -1))
    v = net.norm(v).flatten(0, 1)
    pooled = torch.cat([v.mean(0), (v.var(0, unbiased=False) + 1e-6).sqrt()])
    return net.readout(pooled)


@pytest.mark.parametrize("options", [{}, {"directions": False, "mixing": "trivial"}, {"mixing": "none"}])
def test_forms_against_the_plain_evaluation(options):
    crystal = SymmetricCrystal.from_structure(
        {"species": ["Sr", "Ti", "O", "O", "O"], "cell": [3.9, 3.9, 3.9, 90, 90, 90],
         "frac_coords": [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]}
    )  # fmt: skip
    net = random_network(PointGroupConfig(channels=8, layers=2, **options)).double()
    with torch.no_grad():
        expected = plain(net, crystal)
        for form in FORMS:
            output = net(collate([frame_graph(crystal, net.group, OPTIONS, form)], torch.float64))[0]
            assert (output - expected).abs().max() < 1e-10, form
