"""Outputs along paths that break the symmetry: known jumps are found, and continuous networks have none."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from irrepnet.checks.path import Path, follow, follow_model, predictor
from irrepnet.checks.verify import random_network, verify
from irrepnet.cli.main import app
from irrepnet.crystals import SymmetricCrystal, parents, smooth_neighbours
from irrepnet.crystals.neighbours import fading_weight
from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Blend, FrameOptions, blend, network_graph, orbit_graph
from irrepnet.groups import POINT_GROUPS
from irrepnet.models import PointGroupConfig
from irrepnet.training.config import load_config

SYMPREC = 1e-4
OPTIONS = FrameOptions(continuous=True)
SMALL = {"channels": 8, "layers": 2, "moment_channels": 2}


def blended(crystal):
    return blend(crystal, OPTIONS)


def perovskite(c=4.0, off=0.0, shear=0.0, stretch=0.0):
    """Cubic SrTiO3; c Å along z, Ti off centre by so much of it, β off 90°, stretched along [111]."""
    deformation = np.eye(3) + stretch / 3
    deformation[0, 2] += shear
    deformation[2, 0] += shear
    lattice = np.diag([4.0, 4.0, c]) @ deformation.T
    sites = [[0, 0, 0], [0.5, 0.5, 0.5 + off], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice(lattice), ["Sr", "Ti", "O", "O", "O"], sites)


def orthorhombic(beta=90.0):
    return Structure(Lattice.from_parameters(4.0, 4.6, 5.3, 90, beta, 90), ["Sr", "O"], [[0, 0, 0], [0.5, 0.5, 0.4]])


BREAKING = {
    "cubic to tetragonal, polar": (perovskite(), perovskite(4.15, 0.03)),
    "cubic to rhombohedral": (perovskite(), perovskite(stretch=0.03)),
    "tetragonal to monoclinic": (perovskite(4.05), perovskite(4.05, shear=0.03)),
    "monoclinic angle through 90": (orthorhombic(88.0), orthorhombic(92.0)),
}


@pytest.fixture(scope="module")
def network():
    return random_network(PointGroupConfig(**SMALL, continuous=True))


SLOW = ("cubic to rhombohedral", "tetragonal to monoclinic")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in BREAKING])
def test_continuous_networks_do_not_jump(network, name):
    report = follow(predictor(network), blended, Path.between(*BREAKING[name]), SYMPREC, 5)
    assert any(change["cause"] == "symmetry" for change in report["changes"])
    assert report["range"] > 1e-8
    assert report["largest_jump"] < 1e-6


def test_what_is_left_of_a_jump_shrinks_with_symprec(network):
    """Idealisation moves atoms by less than symprec, so the jump at 90° is about proportional to it."""
    path = Path.between(orthorhombic(90.0), orthorhombic(91.0))
    jumps = [follow(predictor(network), blended, path, s, 2)["largest_jump"] for s in (1e-2, 1e-3, 1e-4)]
    for wide, narrow in pairwise(jumps):
        assert 3 < wide / narrow < 30


def test_the_group_specific_part_jumps_by_as_much_as_it_gives(network):
    """Polar tetragonal crystals need six frames, and m-3m ones one: the preset drops that part at the first step."""
    cubic, polar = BREAKING["cubic to tetragonal, polar"]
    predict = predictor(network)
    report = follow(predict, network_graph, Path.between(cubic, polar), SYMPREC, 5)
    found = SymmetricCrystal.from_structure(cubic)
    expected = predict(orbit_graph(found)) - predict(network_graph(found))
    jumps = [c["jump"] for c in report["changes"] if c["before"]["spacegroup"] == "Pm-3m"]
    assert jumps == [pytest.approx(expected, rel=1e-4)]
    assert abs(expected) > 1e-5


def test_a_known_jump_is_found():
    path = Path.between(perovskite(), perovskite(4.15))
    report = follow(
        lambda graph: float(POINT_GROUPS[graph.point_group_number[0]] == "m-3m"), orbit_graph, path, SYMPREC, 3
    )
    (change,) = report["changes"]
    assert change["jump"] == -1
    assert change["x"] < 0.01
    assert report["slope"] == 0


def test_weights_of_smooth_neighbours_add_up():
    crystal = SymmetricCrystal.from_structure(perovskite(4.1, 0.02))
    for n_max in (4, 12):
        found = smooth_neighbours(crystal, n_max=n_max)
        np.testing.assert_allclose(np.bincount(found.receiver, found.weight), n_max, rtol=1e-10)
    # within too small a cutoff the weights are those of the envelope at twice the nearest distance or the cutoff
    found = smooth_neighbours(crystal, cutoff=2.5, n_max=50)
    for a in range(len(crystal)):
        d = found.distance[found.receiver == a]
        np.testing.assert_allclose(found.weight[found.receiver == a], fading_weight(d / max(2.5, 2 * d[0])))
    with pytest.raises(IrrepnetError, match="positive cutoff"):
        smooth_neighbours(crystal, n_max=0)


def test_parents_of_a_distorted_perovskite():
    crystal = SymmetricCrystal.from_structure(perovskite(4.002, 0.005), SYMPREC)
    assert crystal.spacegroup_symbol == "P4mm"
    weights, near = zip(*parents(crystal, least_order=16))
    # the tetragonal parents along x, y and z
    assert [parent.spacegroup_symbol for parent in near] == ["Pm-3m", "P4/mmm", "P4/mmm", "P4/mmm"]
    moved = 0.005 * 4.002 * 4 / 5  # Ti against the mean of five atoms; strain adds a little
    assert weights[0] == pytest.approx(float(fading_weight(moved / 0.05)), abs=0.02)
    assert sum(weights) == pytest.approx(1, abs=0.02)
    symmetric = SymmetricCrystal.from_structure(perovskite(), SYMPREC)
    assert parents(symmetric) == [(1.0, symmetric)]
    assert not parents(SymmetricCrystal.from_structure(perovskite(4.4, 0.05), SYMPREC), least_order=16)


def test_blends_follow_their_formula(network):
    """y_O(X) + Σ w (y(Y) − y_O(Y)) with each graph run alone."""
    crystal = SymmetricCrystal.from_structure(perovskite(4.05, 0.005), SYMPREC)
    predict = predictor(network)
    expected = predict(orbit_graph(crystal, OPTIONS))
    for weight, parent in parents(crystal, least_order=8):
        if network_graph(parent, OPTIONS).group:  # at most three frames
            expected += weight * (predict(network_graph(parent, OPTIONS)) - predict(orbit_graph(parent, OPTIONS)))
    made = blend(crystal, OPTIONS)
    assert made.weights.sum() == pytest.approx(1)
    assert predict(made) == pytest.approx(expected, abs=1e-14)
    symmetric = SymmetricCrystal.from_structure(perovskite(), SYMPREC)
    assert predict(blend(symmetric, OPTIONS)) == pytest.approx(predict(network_graph(symmetric, OPTIONS)), abs=1e-15)
    # side by side as alone
    with torch.no_grad():
        both = network.double()(union([made, blend(symmetric, OPTIONS)], torch.float64))[:, 0]
    assert both[0].item() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("structure", [perovskite(), perovskite(4.05, 0.005), perovskite(stretch=0.01)])
def test_forms_and_descriptions_agree(network, structure):
    assert verify(network, structure, OPTIONS)["largest"] < 1e-10


def test_gradients_pass_through_a_blend(network):
    batch = union([blend(SymmetricCrystal.from_structure(perovskite(4.05, 0.005), SYMPREC), OPTIONS)])
    network.float()(batch).sum().backward()
    assert all(torch.isfinite(weights.grad).all() for weights in network.parameters() if weights.grad is not None)
    network.zero_grad()


def test_configuration():
    keys = {"data.source": "none", "data.targets": "none", "model.continuous": True}
    assert isinstance(
        load_config("point-group", keys).graph.graph(SymmetricCrystal.from_structure(perovskite())), Blend
    )
    with pytest.raises(IrrepnetError, match="one_hot"):
        load_config("point-group", keys | {"model.one_hot": True})


def test_paths_turn_and_match_the_end():
    """Another orientation, origin and order of the atoms is the same end."""
    start, end = BREAKING["cubic to tetragonal, polar"]
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned *= np.linalg.det(turned)
    order = rng.permutation(len(end))
    other = Structure(
        end.lattice.matrix @ turned.T, [end.species[i] for i in order], end.frac_coords[order] + rng.uniform(size=3)
    )
    middles = [Path.between(start, e).at(0.5) for e in (end, other)]
    np.testing.assert_allclose(middles[0].lattice.matrix, middles[1].lattice.matrix, atol=1e-12)
    np.testing.assert_allclose(middles[0].distance_matrix, middles[1].distance_matrix, atol=1e-10)
    strains = [np.linalg.inv(start.lattice.matrix) @ m.lattice.matrix for m in middles]
    assert all(np.allclose(a, a.T) for a in strains)
    ends = [Path.between(start, end).at(x) for x in (0.0, 0.5, 1.0)]
    assert all(a.volume < b.volume for a, b in pairwise(ends))


def test_refusals(network):
    with pytest.raises(IrrepnetError, match="same atoms"):
        Path.between(perovskite(), orthorhombic())
    with pytest.raises(IrrepnetError, match="at least 2 steps"):
        follow(predictor(network), network_graph, Path.between(perovskite(), perovskite(4.1)), steps=1)


def test_command(tmp_path):
    start, end = BREAKING["cubic to tetragonal, polar"]
    files = [str(tmp_path / name) for name in ("a.cif", "b.cif")]
    for structure, file in zip((start, end), files):
        structure.to(filename=file)
    picture = tmp_path / "path.png"
    arguments = ["path", "point-group", *files, "--steps", "2", "--symprec", "1e-3,1e-2"]
    result = CliRunner().invoke(app, [*arguments, "--picture", str(picture), "--json"])
    report = json.loads(result.stdout)
    assert [found["symprec"] for found in report["paths"]] == [1e-3, 1e-2]
    assert all(found["largest_jump"] > 1e-5 for found in report["paths"])
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("preset", ["site-symmetry", "energy", "hamiltonian"])
def test_presets_that_predict_no_number_are_refused(preset):
    with pytest.raises(IrrepnetError, match="predicts no number of a crystal"):
        follow_model(preset, perovskite(), perovskite(4.1))
