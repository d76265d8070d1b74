import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.models import PointGroupConfig
from irrepnet.training.verify import random_network, verify

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RESIDUALS = ("equivariance", "rotation", "translation", "permutation", "supercell")


@pytest.mark.parametrize("name", ["MgAl2O4", "SrTiO3", "CaF2", "NaCl", "Si", "TiO2"])
def test_examples(name):
    """All residuals vanish; rutile, 4/mmm, runs three frames."""
    report = verify(random_network(PointGroupConfig(channels=16, layers=2)), EXAMPLES / f"{name}.cif")
    assert report["largest"] < 1e-10
    assert report["frames"]["one-frame"] == (3 if name == "TiO2" else 1)
    assert report["frames"]["full"] == 48


def test_a_network_that_breaks_the_symmetry_is_found_out():
    class Broken(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = random_network(PointGroupConfig(channels=16, layers=2))
            self.group = self.net.group

        def forward(self, batch):
            return self.net(batch) + batch.vector[:, 0].clamp(min=0).sum()  # looks along x

    report = verify(Broken(), EXAMPLES / "SrTiO3.cif")  # type: ignore[arg-type]
    assert report["forms"]["one-frame"] > 1e-3
    assert report["largest"] > 1e-3


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


@pytest.mark.parametrize("model", ["preset", "run"])
def test_command(model, request):
    name = "point-group" if model == "preset" else str(request.getfixturevalue("small_run"))
    result = CliRunner().invoke(app, ["verify", name, str(EXAMPLES / "SrTiO3.cif"), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["largest"] < 1e-8
    assert {*RESIDUALS, "forms", "nodes", "frames", "largest"} <= set(report)
    assert set(report["forms"]) == {"one-frame", "asymmetric-unit"}
