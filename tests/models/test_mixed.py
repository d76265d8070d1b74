"""One network for crystals of all groups: frames where they are few, the O(3) part alone on the others."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import SymmetricCrystal, model_group, neighbour_shells, plain_supercell
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FORMS, FrameOptions, frame_graph, network_graph, orbit_graph
from irrepnet.groups import POINT_GROUPS, PointGroup
from irrepnet.models import PointGroupConfig, PointGroupNet

LATTICES = {
    "triclinic": Lattice.from_parameters(6.1, 7.3, 8.7, 83, 102, 97),
    "monoclinic": Lattice.monoclinic(6.1, 7.3, 8.7, 102),
    "orthorhombic": Lattice.orthorhombic(6.1, 7.3, 8.7),
    "tetragonal": Lattice.tetragonal(6.1, 8.7),
    "trigonal": Lattice.hexagonal(6.1, 8.7),
    "hexagonal": Lattice.hexagonal(6.1, 8.7),
    "cubic": Lattice.cubic(8.7),
}


@cache
def crystal(name):
    """A crystal of that point group, from one special position and a general one."""
    coords = [[0, 0, 0], [0.13, 0.42, 0.37]]
    lattice = LATTICES[PointGroup(name).system]
    return SymmetricCrystal.from_structure(Structure.from_spacegroup("P" + name, lattice, ["Ti", "O"], coords))


def network(awake=True, **options):
    torch.manual_seed(0)
    net = PointGroupNet(PointGroupConfig(channels=8, layers=2, **options), outputs=2).double()
    for weights in net.parameters():
        if awake and not weights.any():
            torch.nn.init.normal_(weights)
    return net


def outputs(net, graphs):
    with torch.no_grad():
        return net(union(graphs, torch.float64))


def difference(a, b):
    return (a - b).abs().max()


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_a_new_network_is_invariant_under_rotations(name):
    """Group-specific parts start from zero: frames and orbit graph agree, whatever the axes are."""
    net, found = network(awake=False), crystal(name)
    orbits = orbit_graph(found)
    reference = outputs(net, [orbits])
    assert difference(outputs(net, [frame_graph(found, model_group(found))]), reference) < 1e-10
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = replace(orbits, vector=orbits.vector @ turn, class_vector=orbits.class_vector @ turn)
    assert difference(outputs(net, [turned]), reference) < 1e-10
    frames = frame_graph(found, model_group(found))
    awake = network()
    assert difference(outputs(awake, [frames]), outputs(awake, [orbits])) > 1e-6


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_one_node_an_orbit_is_one_node_an_atom(name):
    net, found = network(), crystal(name)
    assert difference(outputs(net, [orbit_graph(found)]), outputs(net, [orbit_graph(plain_supercell(found))])) < 1e-10


def test_edges_of_the_orbit_graph_against_a_plain_loop():
    found = crystal("4/mmm")
    graph, neighbours = orbit_graph(found), neighbour_shells(found)
    assert graph.numbers.tolist() == [22, 8]
    assert graph.multiplicity.tolist() == [1, 16]
    expected = {}
    for a, b, d, r in zip(neighbours.receiver, neighbours.sender, neighbours.distance, neighbours.vector):
        if a in found.representatives:
            key = (found.orbits[a], found.orbits[b], round(d, 6))
            expected.setdefault(key, []).append(r)
    edges = {}
    for e, (a, b) in enumerate(zip(graph.receiver, graph.sender)):
        length = round(float(np.linalg.norm(graph.class_vector[graph.edge_class[e]])), 6)
        edges[a, b, length] = graph.vector[graph.edge == e]
    assert edges.keys() == expected.keys()
    for key, vectors in edges.items():
        np.testing.assert_allclose(sorted(vectors.tolist()), sorted(np.array(expected[key]).tolist()), atol=1e-12)
    for node in range(2):
        nearest = min(d for a, d in zip(neighbours.receiver, neighbours.distance) if found.orbits[a] == node)
        np.testing.assert_allclose(graph.class_nearest[graph.receiver == node], nearest)


def test_few_frames_or_none():
    for name in POINT_GROUPS:
        found = crystal(name)
        frames = model_group(found).order // found.point_group.order
        graph = network_graph(found, FrameOptions(max_frames=3))
        assert (graph.frames, graph.group) == ((frames, model_group(found).name) if frames <= 3 else (1, ""))
        assert len(graph) == (frames * len(found) if frames <= 3 else 2)
    assert network_graph(crystal("mmm"), FrameOptions(group="mmm", max_frames=1)).group == "mmm"
    with pytest.raises(IrrepnetError, match="no subgroup of the model's group m-3m"):
        network_graph(crystal("6/mmm"), FrameOptions(group="m-3m"))


def test_crystals_of_all_groups_in_one_batch():
    """In any order, and in the order in which they were given."""
    net = network()
    graphs = [network_graph(crystal(name)) for name in POINT_GROUPS]
    alone = torch.cat([outputs(net, [graph]) for graph in graphs])
    order = np.random.default_rng(0).permutation(len(graphs))
    assert difference(outputs(net, [graphs[k] for k in order]), alone[order.copy()]) < 1e-10
    assert alone.std(0).min() > 1e-3


@pytest.mark.parametrize("options", [{"moments": 0}, {"mixing": "trivial"}, {"directions": False}, {"one_hot": True}])
def test_forms_are_equal_for_every_option(options):
    net = network(**options)
    for name in ("m-3m", "6/mmm", "4/mmm", "-6m2"):
        found = crystal(name)
        one, *others = (outputs(net, [frame_graph(found, model_group(found), form=form)]) for form in FORMS)
        assert max(difference(one, other) for other in others) < 1e-10


def test_each_group_has_its_own_weights():
    """Turning off what belongs to 6/mmm changes hexagonal crystals alone."""
    net = network()
    graphs = [network_graph(crystal(name)) for name in ("m-3m", "6/mmm", "1")]
    before = outputs(net, graphs)
    n_invariants, n_covariants = net.n_invariants["6/mmm"], net.n_covariants["6/mmm"]
    rows = len(PointGroup("6/mmm").fourier_rows)
    for name, weight in net.named_parameters():
        with torch.no_grad():
            if name == "angular.weight":
                weight[:, -n_invariants:] = 0
            elif name.endswith("filter.direction.weight"):
                weight[:, -n_covariants:] = 0
            elif name.endswith("correlation.weight"):
                weight[-rows:] = 0
    changed = (outputs(net, graphs) - before).abs().max(1).values
    assert changed[1] > 1e-4
    assert (changed[[0, 2]] == 0).all()
    assert difference(outputs(net, graphs[1:2]), outputs(net, [orbit_graph(crystal("6/mmm"))])) < 1e-10


def test_the_point_group_as_an_input():
    net = network(one_hot=True, directions=False, mixing="none")
    graph = orbit_graph(crystal("mmm"))
    other = replace(graph, point_group_number=np.array([POINT_GROUPS.index("222")]))
    assert difference(outputs(net, [graph]), outputs(net, [other])) > 1e-4


def test_a_network_of_another_group_refuses_the_graph():
    with pytest.raises(IrrepnetError, match="model group is 6/mmm, and these graphs are for m-3m"):
        outputs(network(group="6/mmm"), [network_graph(crystal("m-3m"))])


def test_gradients_by_position():
    """On an orbit graph and on frames: autograd against finite differences along random directions."""
    net = network()
    batch = union([network_graph(crystal(name)) for name in ("4/mmm", "2/m")], torch.float64)

    def output(vector, class_vector):
        return net(replace(batch, vector=vector, class_vector=class_vector)).sum()

    vectors = [batch.vector.clone().requires_grad_(), batch.class_vector.clone().requires_grad_()]
    gradients = torch.autograd.grad(output(*vectors), vectors)
    for _ in range(3):
        steps = [1e-5 * torch.randn_like(v) for v in vectors]
        with torch.no_grad():
            moved = [output(*(v + sign * step for v, step in zip(vectors, steps))) for sign in (1, -1)]
        expected = 2 * sum((gradient * step).sum() for gradient, step in zip(gradients, steps))
        assert abs(moved[0] - moved[1] - expected) < 1e-6 * abs(expected) + 1e-10
