"""The network against a plain evaluation: loops over g, atoms and neighbours, straight from the formulas."""

import pytest
import torch
from torch.nn.functional import normalize, silu

from irrepnet.checks.verify import random_network
from irrepnet.crystals import NeighbourOptions, SymmetricCrystal, neighbour_shells
from irrepnet.data.batch import union
from irrepnet.graphs import FORMS, frame_graph
from irrepnet.groups import PointGroup
from irrepnet.models import PointGroupConfig

OPTIONS = NeighbourOptions(n_max=6)


def plain(net, crystal):
    """v_a(g) for every atom and element, by the definition of each layer; nothing of the crystal's symmetry is used."""
    (group,) = net.groups.values()
    basis = net.directions[group.name] if net.angular is not None else None
    edges = neighbour_shells(crystal, OPTIONS.cutoff, OPTIONS.n_max, OPTIONS.tolerance)
    operations = torch.from_numpy(group.operations.copy())
    n, order = len(crystal), group.order
    numbers = torch.from_numpy(crystal.numbers.astype(int))
    v = net.embedding(numbers)[:, None].repeat(1, order, 1)  # [a, g]

    def seen(e, g):
        """Invariants, covariants and spherical harmonics of edge e in frame g."""
        r = operations[g].T @ torch.from_numpy(edges.vector[e].copy())
        nearest = edges.distance[edges.receiver == edges.receiver[e]].min()
        unit = normalize(r, dim=0)[None]
        z = net.radial(torch.cat([net.distance(r.norm()[None])[0], net.relative(3 * r.norm()[None] / nearest)[0]]))
        covariants = None
        if basis is not None:
            angular, covariants = basis(unit)
            z = z + net.angular(angular[0])
        harmonics = net.harmonics(unit)[0] if net.harmonics is not None else None
        return silu(net.edge(silu(z))), covariants, harmonics

    def lengths(layer, pairs, harmonics):
        """s^{lk} of the moments Σ_b w_b^{lk} Y_l(r̂_b) / n, l by l."""
        invariants, start, width = [], 0, layer.moments.size
        for l in range(1, layer.moments.width // width + 1):
            rows = layer.moments.weight.weight[(l - 1) * width : l * width]
            moment = sum(torch.outer(y[start : start + 2 * l + 1], rows @ pair) for pair, y in zip(pairs, harmonics))
            invariants.append(((moment / len(pairs)).square().sum(0) / (2 * l + 1) + 1e-3).sqrt())
            start += 2 * l + 1
        return torch.cat(invariants)

    for layer in net.convolutions:
        x = layer.norm(v)
        m = torch.zeros_like(v)
        s = v.new_zeros(n, order, layer.moments.width if layer.moments else 0)
        for a in range(n):
            own = [e for e in range(len(edges.receiver)) if edges.receiver[e] == a]
            for g in range(order):
                pairs, directions = [], []
                for e in own:
                    hidden, covariants, harmonics = seen(e, g)
                    pair = layer.receiver(x[a, g]) + layer.sender(x[edges.sender[e], g]) + layer.filter.scalar(hidden)
                    if covariants is not None:
                        pair = pair + layer.filter.scale(hidden) * layer.filter.direction(covariants[0])
                    pairs.append(silu(pair))
                    directions.append(harmonics)
                    gate, value = layer.message(pairs[-1]).chunk(2)
                    m[a, g] += torch.sigmoid(gate) * value / len(own)
                if layer.moments is not None:
                    s[a, g] = lengths(layer, pairs, directions)
        if layer.correlation is not None:
            kernel = layer.correlation.get_buffer("basis") @ layer.correlation.weight
            mixed = torch.zeros_like(m)
            for g in range(order):
                for h in range(order):  # (W m)(g) = Σ_h W(g⁻¹h) m(h)
                    mixed[:, g] += kernel[group.multiplication[group.inverse[g], h]] * m[:, h]
            m = m + layer.dense(mixed)
        v = v + layer.update(torch.cat([x, m, s], -1))
    v = net.norm(v).flatten(0, 1)
    pooled = torch.cat([v.mean(0), (v.var(0, unbiased=False) + 1e-6).sqrt()])
    return net.readout(pooled)


@pytest.mark.parametrize("options", [{}, {"directions": False, "mixing": "trivial"}, {"mixing": "none", "moments": 0}])
def test_forms_against_the_plain_evaluation(options):
    crystal = SymmetricCrystal.from_structure(
        {"species": ["Sr", "Ti", "O", "O", "O"], "cell": [3.9, 3.9, 3.9, 90, 90, 90],
         "frac_coords": [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]}
    )  # fmt: skip
    net = random_network(PointGroupConfig(group="m-3m", channels=8, layers=2, **options)).double()
    with torch.no_grad():
        expected = plain(net, crystal)
        for form in FORMS:
            output = net(union([frame_graph(crystal, PointGroup("m-3m"), OPTIONS, form)], torch.float64))[0]
            assert (output - expected).abs().max() < 1e-10, form
