import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from typer.testing import CliRunner

from irrepnet.checks.verify import DESCRIPTIONS, random_network, verify
from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import HypergraphOptions, motifs
from irrepnet.models import CGCNNConfig, CHGCNNConfig, MPNNConfig, PointGroupConfig

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RESIDUALS = ("equivariance", *DESCRIPTIONS)


@pytest.mark.parametrize("name", ["MgAl2O4", "SrTiO3", "CaF2", "NaCl", "Si", "TiO2"])
def test_examples(name):
    """All residuals vanish; rutile, 4/mmm, runs three frames."""
    report = verify(random_network(PointGroupConfig(channels=16, layers=2)), EXAMPLES / f"{name}.cif")
    assert report["largest"] < 1e-10
    assert report["frames"]["one-frame"] == (3 if name == "TiO2" else 1)
    assert report["frames"]["full"] == 48


@pytest.mark.parametrize(
    ("symbol", "lattice", "found"),
    [
        ("P6_3/mmc", Lattice.hexagonal(6.2, 8.2), {"group": "6/mmm", "frames": {"one-frame": 1}}),
        ("P-3m1", Lattice.hexagonal(6.2, 8.2), {"group": "6/mmm", "frames": {"one-frame": 2}}),
        ("Pnma", Lattice.orthorhombic(5.4, 7.6, 5.2), {"group": "m-3m", "frames": {"needed": 6, "at most": 3}}),
        ("P2_1", Lattice.monoclinic(5.4, 7.6, 5.2, 99), {"group": "m-3m", "frames": {"needed": 24, "at most": 3}}),
    ],
)
def test_other_crystals(symbol, lattice, found):
    """Hexagonal ones in their own group; beyond ``max_frames`` frames the O(3) part alone."""
    structure = Structure.from_spacegroup(symbol, lattice, ["Ti", "O"], [[1 / 3, 2 / 3, 0.25], [0.03, 0.47, 0.61]])
    report = verify(random_network(PointGroupConfig(channels=8, layers=2, one_hot=True)), structure)
    assert report["group"] == found["group"]
    assert found["frames"].items() <= report["frames"].items()
    kept = (*DESCRIPTIONS, "orbits") if "needed" in found["frames"] else RESIDUALS
    assert report["largest"] >= max(report[key] for key in kept)
    assert report["largest"] < 1e-10


def test_a_network_that_breaks_the_symmetry_is_found_out():
    class Broken(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = random_network(PointGroupConfig(channels=16, layers=2))

        def forward(self, batch):
            return self.net(batch) + batch.vector[:, 0].clamp(min=0).sum()  # looks along x

    report = verify(Broken(), EXAMPLES / "SrTiO3.cif")  # type: ignore[arg-type]
    assert report["forms"]["one-frame"] > 1e-3
    assert report["largest"] > 1e-3


@pytest.mark.parametrize("name", ["MgAl2O4", "TiO2"])
@pytest.mark.parametrize(
    "config", [CGCNNConfig(), MPNNConfig(), CHGCNNConfig(hyperedges=("bonds", "triplets", "cell"))]
)
def test_networks_on_hypergraphs(name, config):
    options = HypergraphOptions(**config.graph_fields)
    report = verify(random_network(config, options), EXAMPLES / f"{name}.cif", options)
    assert report["largest"] == max(report[key] for key in (*DESCRIPTIONS, "orbits")) < 1e-10
    assert report["nodes"] == {"MgAl2O4": {"orbits": 3, "atoms": 14}, "TiO2": {"orbits": 2, "atoms": 6}}[name]


def test_a_network_that_counts_nodes_instead_of_atoms_is_found_out():
    class Broken(torch.nn.Module):
        def forward(self, batch):
            return batch.numbers.double().mean().expand(1, 1)

    report = verify(Broken(), EXAMPLES / "MgAl2O4.cif", HypergraphOptions())
    assert report["rotation"] == 0
    assert report["orbits"] == report["largest"] > 0.1


def test_a_network_that_gives_no_number_is_found_out():
    class Broken(torch.nn.Module):
        def forward(self, batch):
            return torch.full((1, 1), torch.nan)

    with pytest.raises(IrrepnetError, match="not finite"):
        verify(Broken(), EXAMPLES / "MgAl2O4.cif", HypergraphOptions())


def test_the_model_is_left_as_it_was():
    net = random_network(PointGroupConfig(channels=8, layers=1))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    verify(net, EXAMPLES / "NaCl.cif")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert next(net.parameters()).dtype == torch.float32


def test_unusable_structures_are_refused(tmp_path):
    hexagonal = tmp_path / "Mg.json"
    hexagonal.write_text("{}")
    with pytest.raises(IrrepnetError):
        verify(random_network(PointGroupConfig(channels=8, layers=1)), hexagonal)


@pytest.mark.parametrize("model", [pytest.param("preset", marks=pytest.mark.slow), "run"])
def test_command(model, request):
    name = "point-group" if model == "preset" else str(request.getfixturevalue("small_run"))
    result = CliRunner().invoke(app, ["verify", name, str(EXAMPLES / "SrTiO3.cif"), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["largest"] < 1e-8
    assert {*RESIDUALS, "forms", "nodes", "frames", "largest"} <= set(report)
    assert set(report["forms"]) == {"one-frame", "asymmetric-unit"}


def test_descriptors_that_depend_on_the_orientation_are_found(monkeypatch, tmp_path):
    """The cache would hide them: it has one value for shells of one shape."""
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))
    options = HypergraphOptions(
        hyperedges=("bonds", "motifs"), motif_features=("lsop",), motif_shell="minimum-distance"
    )
    network = random_network(CHGCNNConfig(hyperedges=("bonds", "motifs")), options)
    assert verify(network, EXAMPLES / "SrTiO3.cif", options)["largest"] < 1e-10
    monkeypatch.setitem(motifs._DESCRIPTORS, "lsop", lambda vectors: np.full(35, vectors[0] @ [0.3, 0.5, 0.7]))
    assert verify(network, EXAMPLES / "SrTiO3.cif", options)["largest"] > 1e-6


@pytest.mark.parametrize("preset", ["cgcnn", "mpnn", "chgcnn"])
def test_command_for_networks_on_hypergraphs(preset, tmp_path, monkeypatch):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path))
    arguments = ["verify", preset, str(EXAMPLES / "SrTiO3.cif")]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["largest"] < 1e-8
    assert {*DESCRIPTIONS, "orbits", "nodes"} <= set(report)
    table = CliRunner().invoke(app, arguments).stdout
    assert "one node an orbit" in table
    assert "forms" not in table
