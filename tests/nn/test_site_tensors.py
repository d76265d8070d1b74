"""Vectors and tensors that all model groups share: the projector against the site's operations, the layer as a loop."""

import numpy as np
import pytest
import torch
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet import compiled
from irrepnet.crystals import NeighbourOptions, frame_rotation, model_group
from irrepnet.data.batch import union
from irrepnet.graphs import site_graph
from irrepnet.groups import PointGroup
from irrepnet.nn.edges import Edges
from irrepnet.nn.site import SiteConvolution
from irrepnet.nn.site_bonds import SiteBonds, coordinate_irreps
from irrepnet.nn.site_tensors import SiteTensors
from irrepnet.training.loop import threads


def tables_of(batch, group):
    unit = torch.nn.functional.normalize(batch.vector, dim=-1)
    coordinates = (torch.repeat_interleave(batch.fixed.sum(1)), coordinate_irreps(batch.fixed))
    return SiteTensors(group)(unit, batch.carrier, batch.basis, coordinates, len(batch)), coordinates


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_what_the_site_group_allows(name):
    """The projector is the mean over the operations of the site group."""
    crystal = crystal_of(name)
    group = model_group(crystal)
    tables, _ = tables_of(union([site_graph(crystal, group)], torch.float64), group)
    axes = frame_rotation(crystal)
    for site, own in zip(sorted(crystal.representatives), tables.allowed):
        turned = [axes @ crystal.point_group.operations[k] @ axes.T for k in crystal.site_groups[crystal.orbits[site]]]
        mean = np.zeros((12, 12))
        for g in turned:
            mean[:3, :3] += g / len(turned)
            mean[3:, 3:] += np.kron(g, g) / len(turned)
        assert np.abs(own.numpy() - mean).max() < 1e-10


@pytest.mark.parametrize(("structure", "name"), [("rutile", "m-3m"), ("wurtzite", "6/mmm"), ("pyrite", "m-3")])
def test_layer_against_a_plain_loop(structure, name):
    """The layer on all atoms, bond by bond, vectors and matrices as they are written."""
    group = PointGroup(name)
    graph = site_graph(crystal_of(structure), group, NeighbourOptions(n_max=4), np.zeros(1, int))
    batch = union([graph], torch.float64)
    torch.manual_seed(0)
    bonds = SiteBonds(group)
    n, channels, C = len(graph), 5, 2
    layer = SiteConvolution({group.name: bonds}, channels, 0, C, channels).double()
    own = layer.cartesian
    s, hidden = torch.randn(n, channels).double(), torch.randn(len(graph.receiver), channels).double()
    t = torch.randn(n, 12, C).double()
    share = torch.full((len(graph.receiver),), 0.25).double()
    edges = Edges(batch.receiver, batch.sender, torch.arange(len(share)), len(share), torch.ones(n, 1).double(), share)
    tables, coordinates = tables_of(batch, group)
    crystals = (batch.crystal, torch.full((n,), 1 / n, dtype=torch.float64))
    known = bonds(batch.vector, batch.receiver, batch.sender, batch.carrier, batch.fixed, batch.basis)
    x = torch.zeros(len(graph.basis), 0).double()
    eye = torch.eye(3).double()

    def parts(v, M):
        isotropic = torch.einsum("iic->c", M) / 3 * eye[:, :, None]
        antisymmetric = (M - M.transpose(0, 1)) / 2
        return v, isotropic, antisymmetric, M - isotropic - antisymmetric

    def mixed(mix, v, M):
        v, *rest = (part @ weight for part, weight in zip(parts(v, M), mix.weight))
        return v, sum(rest)

    with torch.no_grad():
        s_fast, _, t_fast = layer(s, x, t, hidden, known, tables, edges, coordinates, crystals)
        normed = layer.norm(s)
        vectors, matrices = t[:, :3], t[:, 3:].view(n, 3, 3, C)
        m = torch.zeros(n, channels).double()
        y_v, y_M = torch.zeros(n, 3, C).double(), torch.zeros(n, 3, 3, C).double()
        for e, (a, b) in enumerate(zip(graph.receiver, graph.sender)):
            r = batch.vector[e] / batch.vector[e].norm()
            seen = []
            for atom in (b, a):
                v, M = vectors[atom], matrices[atom]
                seen += [r @ v, torch.einsum("i,ijc,j->c", r, M, r), torch.einsum("iic->c", M)]
            pair = layer.receiver(normed[a]) + layer.sender(normed[b]) + layer.filter(hidden[e])
            pair = torch.nn.functional.silu(pair + own.projections(torch.cat(seen)))
            gate, value = layer.message(pair).chunk(2)
            m[a] += share[e] * torch.sigmoid(gate) * value
            phi = own.message(pair).view(7, C)
            v, M = vectors[b], matrices[b]
            y_v[a] += share[e] * (phi[0] * r[:, None] + phi[2] * v + phi[3] * torch.einsum("ijc,j->ic", M, r))
            y_M[a] += share[e] * (phi[1] * torch.outer(r, r)[:, :, None] + phi[4] * M)
            y_M[a] += share[e] * (phi[5] * torch.einsum("ic,j->ijc", v, r) + phi[6] * torch.einsum("i,jc->ijc", r, v))
        for a in range(n):
            v, isotropic, antisymmetric, traceless = parts(y_v[a], y_M[a])
            norms = [(v**2).sum(0), torch.einsum("iic->c", isotropic) / 3**0.5]
            norms += [(part**2).sum((0, 1)) for part in (antisymmetric, traceless)]
            update = layer.update(torch.cat([normed[a], m[a]])) + layer.context(normed.mean(0))
            update = torch.nn.functional.silu(update + own.norms(torch.cat(norms)))
            assert (s[a] + layer.invariant(update) - s_fast[a]).abs().max() < 1e-10
            (v, M), (w, N), (u, L) = (mixed(mix, y_v[a], y_M[a]) for mix in (own.left, own.right, own.mix))
            new_v = u + torch.einsum("ijc,jc->ic", M, w)
            new_M = L + torch.einsum("ijc,jkc->ikc", M, N) + torch.einsum("ic,jc->ijc", v, w)
            gates = own.gates(update).view(4, C)
            new_v, *rest = (part * gate for part, gate in zip(parts(new_v, new_M), gates))
            assert (vectors[a] + new_v - t_fast[a, :3]).abs().max() < 1e-10
            assert (matrices[a] + sum(rest) - t_fast[a, 3:].view(3, 3, C)).abs().max() < 1e-10


@pytest.mark.skipif(compiled.state() != "compiled", reason=f"kernels are {compiled.state()}")
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_in_both_forms(first, dtype):
    """Compiled and of PyTorch's operations: outputs and gradients; and the same bits again."""
    group = PointGroup("m-3m")
    batch = union([site_graph(crystal_of(name), group) for name in ("rutile", "pyrite")], dtype)
    torch.manual_seed(0)
    n, E, channels, C = len(batch.numbers), len(batch.receiver), 5, 3
    layer = SiteConvolution({group.name: SiteBonds(group)}, channels, 0, C, channels, first).to(dtype)
    edges = Edges(batch.receiver, batch.sender, torch.arange(E), E, torch.full((n, 1), 0.25).to(dtype), batch.weight)
    tables, coordinates = tables_of(batch, group)
    crystals = (batch.crystal, torch.full((n,), 0.5, dtype=dtype))
    inputs = [torch.randn(size, dtype=dtype) for size in ((n, channels), (n, 12, C), (E, channels))]
    leaves = [*(x.requires_grad_() for x in inputs), *layer.parameters()]
    x = torch.zeros(len(batch.basis), 0, dtype=dtype)
    directions = [torch.randn(one.shape, dtype=dtype) for one in inputs[:2]]

    def work():
        s, t, hidden = inputs
        s, _, t = layer(s, x, t, hidden, None, tables, edges, coordinates, crystals)
        loss = sum((one * other).sum() for one, other in zip((s, t), directions))
        return [s, t, *torch.autograd.grad(loss, leaves, allow_unused=True)]

    with threads(1):
        found, again = work(), work()
    with compiled.switched_off():
        expected = work()
    for one, other, same in zip(found, expected, again):
        assert (one is None) == (other is None)
        if one is not None:
            assert torch.equal(one, same)
            scale = max(1.0, other.detach().abs().max().item())
            torch.testing.assert_close(
                one / scale, other / scale, rtol=0, atol=1e-10 if dtype == torch.float64 else 2e-5
            )
