"""The three forms, and what the network must not depend on, on structures that people know and on random ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from irrepnet.crystals import NeighbourOptions, SymmetricCrystal, neighbour_shells
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FORMS, frame_graph
from irrepnet.graphs.frames import _full
from irrepnet.groups import PointGroup
from irrepnet.models import PointGroupConfig, PointGroupNet

OH = PointGroup("m-3m")
STRUCTURES = {
    "spinel": ("Fd-3m", 8.08, ["Mg", "Al", "O"], [[1 / 8] * 3, [1 / 2] * 3, [0.2624] * 3]),
    "perovskite": ("Pm-3m", 3.905, ["Sr", "Ti", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]),
    "fluorite": ("Fm-3m", 5.46, ["Ca", "F"], [[0] * 3, [0.25] * 3]),
    "rock salt": ("Fm-3m", 5.64, ["Na", "Cl"], [[0] * 3, [0.5] * 3]),
    "diamond": ("Fd-3m", 5.43, ["Si"], [[1 / 8] * 3]),
}


def structure(name):
    symbol, a, species, coords = STRUCTURES[name]
    if symbol == "Fd-3m":
        symbol = "Fd-3m:2"
    return Structure.from_spacegroup(symbol, Lattice.cubic(a), species, coords)


def network(**options):
    torch.manual_seed(0)
    net = PointGroupNet(PointGroupConfig(channels=12, layers=3, **options), outputs=2).double()
    for weights in net.parameters():  # what belongs to the group starts from zero: wake it
        if not weights.any():
            torch.nn.init.normal_(weights)
    return net


def outputs(net, crystals, form="one-frame", options=None):
    graphs = [frame_graph(c, OH, options, form) for c in crystals]
    return net(union(graphs, torch.float64)).detach()


def agree(net, crystal, reference=None, tolerance=1e-10):
    reference = outputs(net, [crystal]) if reference is None else reference
    for form in FORMS:
        assert (outputs(net, [crystal], form) - reference).abs().max() < tolerance, form


@pytest.mark.parametrize("name", STRUCTURES)
def test_three_forms_are_equal(name):
    agree(network(), SymmetricCrystal.from_structure(structure(name)))


@pytest.mark.parametrize("options", [{"mixing": "none"}, {"mixing": "trivial"}, {"directions": False}])
def test_three_forms_are_equal_for_every_option(options):
    agree(network(**options), SymmetricCrystal.from_structure(structure("spinel")))


def test_the_network_sees_what_it_should():
    """The options are not idle: each changes the answer on a crystal with non-trivial orbits."""
    crystal = SymmetricCrystal.from_structure(structure("spinel"))
    answers = [outputs(network(**o), [crystal]) for o in ({}, {"mixing": "none"}, {"directions": False})]
    full = network()
    with torch.no_grad():
        for convolution in full.convolutions:
            convolution.correlation.weight.zero_()
    assert (outputs(full, [crystal]) - answers[0]).abs().max() > 1e-4
    assert (answers[0] - answers[2]).abs().max() > 1e-4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["Pm-3m", "Fm-3m", "Im-3m", "Ia-3d", "Fd-3m:2"]))
def test_three_forms_are_equal_on_random_crystals(seed, symbol):
    rng = np.random.default_rng(seed)
    coords = [np.full(3, rng.choice([0, 0.5, 0.25])), rng.choice([[0.5, 0.5, 0], [0.25, 0.25, 0.25]])]
    coords.append(np.array([[x := rng.uniform(0.05, 0.45), x, x], [x, 0, 0], [x, x, 0]][rng.integers(3)]))
    kept = coords[: rng.integers(1, 4)]
    s = Structure.from_spacegroup(symbol, Lattice.cubic(rng.uniform(5, 9)), ["Mg", "Al", "O"][: len(kept)], kept)
    try:
        crystal = SymmetricCrystal.from_structure(s)
    except IrrepnetError:  # two orbits on one site
        return
    if crystal.point_group.name == "m-3m" and len(crystal) <= 24:
        agree(network(), crystal)


@pytest.mark.parametrize(
    ("symbol", "lattice", "coords"),
    [
        ("P4/mmm", Lattice.tetragonal(4.0, 5.1), [[0, 0, 0], [0.5, 0.5, 0.4]]),
        ("Fdd2", Lattice.orthorhombic(4.0, 5.1, 6.3), [[0, 0, 0.1], [0.13, 0.2, 0.4]]),
        ("P-43m", Lattice.cubic(5.0), [[0, 0, 0], [0.3, 0.3, 0.3]]),
        ("P2_13", Lattice.cubic(6.0), [[0.1, 0.1, 0.1], [0.4, 0.4, 0.4]]),
        ("P2/m", Lattice.monoclinic(4.0, 5.0, 6.0, 100), [[0, 0, 0], [0.1, 0.2, 0.4]]),
    ],
)
def test_lower_symmetry_runs_one_frame_a_coset(symbol, lattice, coords):
    crystal = SymmetricCrystal.from_structure(Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], coords))
    graph = frame_graph(crystal, OH)
    assert graph.frames == 48 // crystal.point_group.order
    assert len(graph) == graph.frames * len(crystal)
    agree(network(), crystal)


def test_full_form_features_are_equivariant():
    """Turning the crystal by q in G left-translates its features, v'_a(g) = v_a(q⁻¹g), and keeps its outputs."""
    crystal = SymmetricCrystal.from_structure(structure("perovskite"))
    net = network()
    features = []
    net.norm.register_forward_hook(lambda module, inputs, output: features.append(output))
    neighbours = neighbour_shells(crystal)

    def run(q):
        turned = neighbours._replace(vector=neighbours.vector @ OH.operations[q].T)
        output = net(union([_full(crystal, OH, turned)], torch.float64))
        return output, features.pop().unflatten(0, (OH.order, len(crystal)))

    output, v = run(0)
    assert v[:, 2].std(0).max() > 1e-4  # oxygen sites see directions: their features do depend on g
    for q in range(OH.order):
        turned, moved = run(q)
        assert (turned - output).abs().max() < 1e-10
        assert (moved - v[OH.multiplication[OH.inverse[q]].copy()]).abs().max() < 1e-10


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(sorted(STRUCTURES)))
def test_the_input_cell_does_not_matter(seed, name):
    """Supercell, origin, order of the atoms and orientation of the input."""
    rng = np.random.default_rng(seed)
    original = structure(name).get_primitive_structure()
    net = network()
    reference = outputs(net, [SymmetricCrystal.from_structure(original)])
    other = original.copy()
    other.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    other.translate_sites(range(len(other)), rng.uniform(size=3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = rng.permutation(len(other))
    other = Structure(other.lattice.matrix @ rotation.T, [other[i].specie for i in order], other.frac_coords[order])
    assert (outputs(net, [SymmetricCrystal.from_structure(other)]) - reference).abs().max() < 1e-6
    # to 1e-10 once the structures are equal to that precision: idealise twice
    crystal = SymmetricCrystal.from_structure(other)
    again = Structure(crystal.lattice, crystal.numbers, crystal.frac_coords)
    agree(net, SymmetricCrystal.from_structure(again), outputs(net, [crystal]))


def test_batching_changes_nothing():
    crystals = [SymmetricCrystal.from_structure(structure(n)) for n in STRUCTURES]
    net = network()
    together = outputs(net, crystals)
    for crystal, row in zip(crystals, together):
        assert (outputs(net, [crystal])[0] - row).abs().max() < 1e-10


def test_gradients_by_position():
    """The network is smooth in the edge vectors: autograd against finite differences along random directions."""
    crystal = SymmetricCrystal.from_structure(structure("perovskite"))
    net = network()
    batch = union([frame_graph(crystal, OH, NeighbourOptions(n_max=6), "full")], torch.float64)

    def output(vector):
        return net(replace(batch, vector=vector, class_vector=vector))[0, 0]

    vector = batch.vector.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(output(vector), vector)
    for _ in range(5):
        step = 1e-5 * torch.randn_like(batch.vector)
        with torch.no_grad():
            difference = output(batch.vector + step) - output(batch.vector - step)
        assert abs(difference - 2 * (gradient * step).sum()) < 1e-6 * difference.abs() + 1e-12


def test_hexagonal_crystals_are_refused_by_name():
    crystal = SymmetricCrystal.from_structure(
        Structure.from_spacegroup("P6/mmm", Lattice.hexagonal(3.0, 4.0), ["Mg"], [[0, 0, 0]])
    )
    with pytest.raises(IrrepnetError, match="6/mmm"):
        frame_graph(crystal, OH)
