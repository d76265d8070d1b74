"""The network of irreps: one atom an orbit against all atoms, equivariance, descriptions, what it is made of."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Structure
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

import irrepnet
from irrepnet.checks import verify
from irrepnet.checks.verify import random_network
from irrepnet.crystals import NeighbourOptions, model_group
from irrepnet.data import embedded
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import GroupedSiteOptions, grouped_sites, site_graph
from irrepnet.groups import PointGroup, harmonic_matrices
from irrepnet.groups.o3_irreps import O3Irreps
from irrepnet.models import IrrepConfig, IrrepNet, build_model
from irrepnet.tensors import CartesianTensor
from irrepnet.training import load_config, load_run, predict, train

SMALL = IrrepConfig(channels=5, covariants=2, functions=2, layers=2)
IRREPS = O3Irreps("2x2e+1x1o+1x2o+1x3o+1x4e")
NONE = np.zeros(1, int)  # the identity alone


def network(config=SMALL, outputs=2):
    torch.manual_seed(0)
    return IrrepNet(config, outputs, IRREPS).double().eval()


def sites(crystal, group=None, symmetry=None):
    return grouped_sites(site_graph(crystal, group or model_group(crystal), symmetry=symmetry), crystal, symmetry)


def run(net, *graphs):
    batch = union(graphs, torch.float64)
    with torch.no_grad():
        x = net.features(batch)
        return {"0e": net.invariants(x, batch)[..., None], **net.covariants(x, batch)}


def differ(a, b):
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_one_atom_an_orbit_equals_all_atoms(name):
    crystal = crystal_of(name)
    net = network()
    few, all_atoms = run(net, sites(crystal)), run(net, sites(crystal, symmetry=NONE))
    assert differ(few, all_atoms) < 1e-10
    assert few["0e"].abs().max() > 1e-3
    for irrep in IRREPS:  # in Fix_P, and exactly
        for matrix in torch.from_numpy(harmonic_matrices(crystal.point_group.operations, irrep.l, irrep.parity)):
            assert (matrix @ few[str(irrep)] - few[str(irrep)]).abs().max() < 1e-12


@pytest.mark.parametrize("name", ["scheelite", "pyrite", "PbTiO3", "zinc blende", "alpha-quartz"])
def test_the_point_group_itself_as_model_group(name):
    """Of complex type some of them, not with the inversion others."""
    crystal = crystal_of(name)
    group = crystal.point_group
    net = network(SMALL.model_copy(update={"group": group.name}))
    assert differ(run(net, sites(crystal, group)), run(net, sites(crystal, group, NONE))) < 1e-10


@pytest.mark.parametrize(("name", "group"), [("rutile", "m-3m"), ("LiNbO3", "6/mmm"), ("pyrite", "m-3")])
def test_equivariance_under_every_element_of_the_group(name, group):
    group = PointGroup(group)
    net = network(SMALL.model_copy(update={"group": group.name}))
    crystal = crystal_of(name)
    graph = site_graph(crystal, group, symmetry=NONE)
    original = run(net, grouped_sites(graph, crystal, NONE))
    assert original["3o"].abs().max() > 1e-6 or name == "pyrite" or name == "rutile"
    for q in group.operations:
        turned = run(net, grouped_sites(replace(graph, vector=graph.vector @ q.T), crystal, NONE))
        expected = {"0e": original["0e"]}
        for irrep in IRREPS:
            matrix = torch.from_numpy(harmonic_matrices(q[None], irrep.l, irrep.parity)[0])
            expected[str(irrep)] = matrix @ original[str(irrep)]
        assert differ(turned, expected) < 1e-10


@pytest.mark.parametrize("name", ["perovskite", "wurtzite", "GdFeO3", "LiNbO3", "PbTiO3", "P2", "P1", "P-6"])
def test_the_description_of_the_crystal_does_not_matter(name):
    crystal = crystal_of(name)
    structure = Structure(crystal.lattice, crystal.species, crystal.frac_coords)
    net = random_network(SMALL, tensors=[CartesianTensor("ij=ji"), CartesianTensor("ijk=ikj")])
    assert verify(net, structure, GroupedSiteOptions())["largest"] < 1e-10


@pytest.mark.parametrize("name", ["alpha-quartz", "P1", "P222", "P4"])
def test_mirror_images(name):
    """Numbers of a crystal and its mirror image are equal: both model groups hold the inversion."""
    crystal = crystal_of(name)
    net = network()
    mirrored = Structure(crystal.lattice @ np.diag([1, 1, -1.0]), crystal.species, crystal.frac_coords)
    other = type(crystal).from_structure(mirrored)
    assert (run(net, sites(crystal))["0e"] - run(net, sites(other))["0e"]).abs().max() < 1e-10


def test_crystals_of_both_groups_in_one_batch():
    crystals = [crystal_of(name) for name in ("wurtzite", "spinel", "LiNbO3", "rutile", "perovskite")]
    net = network()
    together = run(net, *(GroupedSiteOptions().graph(crystal) for crystal in crystals))
    alone = [run(net, sites(crystal)) for crystal in crystals]
    assert differ(together, {name: torch.cat([one[name] for one in alone]) for name in together}) < 1e-12


def test_gradients():
    """By the bond vectors as finite differences say, where no symmetry is used; every weight has a gradient."""
    crystal = crystal_of("P222")
    net = network(SMALL.model_copy(update={"group": "m-3m"}))
    graph = site_graph(crystal, PointGroup("m-3m"), NeighbourOptions(n_max=4), NONE)
    batch = union([grouped_sites(graph, crystal, NONE)], torch.float64)
    (own,) = batch.groups.values()

    def total(vector):
        moved = replace(batch, groups={"m-3m": replace(own, vector=vector)})
        x = net.features(moved)
        found = [net.invariants(x, moved), *net.covariants(x, moved).values()]
        return sum((value * torch.arange(1, value.numel() + 1).view_as(value)).sum() for value in found)

    vector = own.vector.clone().requires_grad_()
    total(vector).backward()
    for _ in range(3):
        step = 1e-5 * torch.randn_like(own.vector)
        with torch.no_grad():
            difference = total(own.vector + step) - total(own.vector - step)
        assert abs(difference - 2 * (vector.grad * step).sum()) < 1e-6 * abs(difference) + 1e-11
    idle = {name for name, weight in net.named_parameters() if weight.grad is None or not weight.grad.any()}
    # in the last layer, those that make A2g and A1u, which are in none of the tensors
    assert idle <= {f"bodies.m-3m.layers.1.from_group.weights.{k}" for k in (1, 5)}


def test_every_irrep_has_its_own_multiplicity():
    config = SMALL.model_copy(update={"irreps": {"m-3m": "8xA1g + 1xEg + 3xT1u + 2xT2g"}})
    net = network(config)
    assert str(config.features(PointGroup("m-3m"))) == "8xA1g + 1xEg + 3xT1u + 2xT2g"
    assert config.features(PointGroup("6/mmm")).multiplicity("E1u") == 2
    crystal = crystal_of("PbTiO3")
    assert differ(run(net, sites(crystal)), run(net, sites(crystal, symmetry=NONE))) < 1e-10
    assert not run(net, sites(crystal))["2o"].any()  # Eu and T2u are not among the features, and 4mm allows no 2o


def test_errors_say_what_is_wrong():
    with pytest.raises(IrrepnetError, match="has the model group m-3m, the batch 6/mmm"):
        run(network(SMALL.model_copy(update={"group": "m-3m"})), sites(crystal_of("wurtzite")))
    with pytest.raises(IrrepnetError, match=r"model.irreps.*no irrep 'T9'"):
        load_config("irreps", {"data.source": "a", "data.targets": "b", "model.irreps": {"m-3m": "2xT9"}})


@pytest.mark.slow
def test_a_run(tmp_path):
    """The preset on numbers and tensors, from training to prediction."""
    settings = {"data.source": "dielectric_constant", "data.targets": "n,e_total", "training.epochs": 1}
    small = {"model.channels": 4, "model.covariants": 1, "model.layers": 2, "model.functions": 1}
    crystals = embedded("dielectric_constant")[:24]
    run_ = train(load_config("irreps", settings | small), tmp_path / "run", data=crystals, quiet=True)
    (row,) = predict(run_, ["examples/SrTiO3.cif"])
    again = predict(load_run(tmp_path / "run"), ["examples/SrTiO3.cif"])[0]
    assert row["n"] == again["n"]
    tensor = np.array(row["e_total"])
    np.testing.assert_allclose(tensor, tensor[0, 0] * np.eye(3), atol=1e-12)
    with pytest.raises(IrrepnetError, match=r"model\.l_max is 6"):
        build_model(IrrepConfig(), 0, GroupedSiteOptions(), [CartesianTensor("ijklmnp")])


def test_every_layer_in_irreps_is_in_a_shipped_network():
    """By imports: a layer that no network uses, directly or by another layer, would be dead."""
    root = Path(irrepnet.__file__).parent
    paths = [path for room in ("nn", "models", "hamiltonians") for path in (root / room).glob("*.py")]
    trees = [ast.parse(path.read_text()) for path in paths if path.name not in ("__init__.py", "testing.py")]
    calls = [node.func for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    layers = {name for name in irrepnet.nn.__all__ if isinstance(getattr(irrepnet.nn, name), type)}
    assert layers <= called
