"""`irrepnet symmetry`: the table, the JSON document, refusals."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from irrepnet.cli.symmetry import symmetry
from irrepnet.errors import IrrepnetError

app = typer.Typer()
app.command()(symmetry)


def run(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "120"})


def test_table(examples):
    result = run(examples["MgAl2O4"])
    assert result.exit_code == 0
    for text in (
        "Fd-3m (227)",
        "m-3m (Oh)",
        "O 32e",
        ".3m (C3v)",
        "1.924 Å: 4 O",
        "frames for m-3m 1",
        "splits",
    ):
        assert text in " ".join(result.output.replace("│", " ").split()), text


def test_json(examples):
    result = run(examples["TiO2"], "--json")
    report = json.loads(result.stdout)
    assert report["spacegroup"]["number"] == 136
    assert report["point_group"]["name"] == "4/mmm"
    assert report["point_group"]["order"] == len(report["point_group"]["operations"]) == 16
    assert report["frame"]["independent_frames"] == {"m-3m": 3}
    assert report["frame"]["fixed_by_lattice"] is True
    titanium, oxygen = report["orbits"]
    assert (titanium["element"], titanium["multiplicity"], titanium["wyckoff"]) == ("Ti", 2, "a")
    assert titanium["site_group"]["schoenflies"] == "D2h"
    assert len(titanium["site_group"]["operations"]) == 8
    assert [(shell["count"], shell["elements"]) for shell in titanium["shells"]] == [
        (4, {"O": 4}),
        (2, {"O": 2}),
        (2, {"Ti": 2}),
        (4, {"O": 4}),
    ]
    assert not titanium["cut_splits_shell"]
    assert oxygen["site_symmetry"] == "m.2m"
    # the site group fixes the representative
    lattice, position = np.array(report["lattice"]), np.array(oxygen["frac_coords"])
    matched = 0
    for rotation, translation in zip(report["rotations"], report["translations"], strict=True):
        moved = np.array(rotation) @ position + translation - position
        if abs((moved - np.round(moved)) @ lattice).max() < 1e-9:
            matched += 1
    assert matched == oxygen["site_group"]["order"]


def test_frames_of_a_hexagonal_and_a_triclinic_crystal(tmp_path):
    record = {"species": ["Mg", "Mg"], "frac_coords": [[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]]}
    file = tmp_path / "mg.json"
    file.write_text(json.dumps(record | {"cell": [3.209, 3.209, 5.211, 90, 90, 120]}))
    report = json.loads(run(file, "--json").stdout)
    assert report["frame"]["independent_frames"] == {"6/mmm": 1}
    assert [orbit["neighbours"] for orbit in report["orbits"]] == [12]
    file.write_text(json.dumps(record | {"cell": [3.2, 4.1, 5.2, 80, 95, 107], "species": ["Mg", "O"]}))
    report = json.loads(run(file, "--json").stdout)
    assert report["frame"]["independent_frames"] == {"m-3m": 48, "6/mmm": 24}
    assert report["frame"]["fixed_by_lattice"] is False
    assert "does not fix the axes" in run(file).output


def test_symprec(tmp_path):
    file = tmp_path / "a.json"
    record = {
        "species": ["Cs", "Cl"],
        "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.51]],
        "lattice": (4.1 * np.eye(3)).tolist(),
    }
    file.write_text(json.dumps(record))
    assert json.loads(run(file, "--json").stdout)["point_group"]["name"] == "4mm"
    assert json.loads(run(file, "--json", "--symprec", "0.1").stdout)["point_group"]["name"] == "m-3m"


def test_bad_file_raises_with_its_name(tmp_path):
    result = run(tmp_path / "none.cif")
    assert isinstance(result.exception, IrrepnetError)
    assert "none.cif: no such file" in str(result.exception)


@pytest.mark.parametrize("formula", ["SrTiO3", "NaCl", "CaF2", "Si"])
def test_every_example_is_shown(examples, formula):
    assert run(examples[formula]).exit_code == 0
