"""`irrepnet symmetry`: the table, the JSON document, refusals."""

import json

import numpy as np
import pytest
import typer
from pymatgen.core import Structure
from typer.testing import CliRunner

from irrepnet.cli.symmetry import symmetry
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup

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


def test_irreps_table(examples):
    output = " ".join(run(examples["TiO2"], "--irreps").output.replace("│", " ").split())
    for text in (
        "mmm (D2h) s: Ag 0 a b 0 a b 0",
        "x ∥ [1 -1 0] p: B1u + B2u + B3u 0 b a 0 b a 0",
        "y ∥ [1 1 0] d: 2Ag + B1g + B2g + B3g 0 0 0 -2a 0 0 c",
        "z ∥ [0 0 1] f: Au + 2B1u + 2B2u + 2B3u",
        "irreps of 4/mmm in the standard frame",
        "of Ti 2a A2u + B1u + 2Eu",
        "acoustic A2u + Eu",
        "infrared active A2u + 3Eu",
        "Raman active A1g + B1g + B2g + Eg",
        "silent A2g + 2B1u",
    ):
        assert text in output, text
    assert "infrared active none" in " ".join(run(examples["Si"], "--irreps").output.split())


def test_irreps_json(examples):
    report = json.loads(run(examples["TiO2"], "--irreps", "--json").stdout)
    assert report["vibrations"]["infrared"] == {"A2u": 1, "Eu": 3}
    titanium, oxygen = report["orbits"]
    assert titanium["vibrations"] == {"A2u": 1, "B1u": 1, "Eu": 2}
    assert oxygen["orbitals"]["p"] == {"A1": 1, "B1": 1, "B2": 1}
    assert oxygen["tensors"]["vector"] == {
        "independent": 1,
        "pattern": ["a", "a", "0"],
        "basis": [[1.0, 1.0, 0.0]],
    }
    assert titanium["tensors"]["field_gradient"]["pattern"] == [
        ["a", "b", "0"],
        ["b", "a", "0"],
        ["0", "0", "-2a"],
    ]
    # the rotation takes the group's operations to those of the site
    for orbit in report["orbits"]:
        rotation, group = np.array(orbit["site_group"]["rotation"]), PointGroup(orbit["site_group"]["name"])
        found = group.indices(rotation.T @ np.array(orbit["site_group"]["operations"]) @ rotation)
        assert sorted(found) == list(range(group.order))
    assert json.loads(run(examples["TiO2"], "--json").stdout).keys() == report.keys() - {"vibrations"}


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


def test_notes(tmp_path, examples):
    """A tolerance that was lowered is said."""
    assert json.loads(run(examples["NaCl"], "--json").stdout)["notes"] == []
    assert "note" not in run(examples["NaCl"]).stdout
    structure = Structure.from_file(examples["NaCl"])
    moves = np.random.default_rng(0).uniform(-0.006, 0.006, size=(len(structure), 3))
    for number, move in enumerate(moves):
        structure.translate_sites([number], move, frac_coords=False)
    structure.to(str(tmp_path / "POSCAR"), fmt="poscar")
    (note,) = json.loads(run(tmp_path / "POSCAR", "--json").stdout)["notes"]
    assert "asked for are no group" in note
    assert "are no group" in run(tmp_path / "POSCAR").stdout


def test_bad_file_raises_with_its_name(tmp_path):
    result = run(tmp_path / "none.cif")
    assert isinstance(result.exception, IrrepnetError)
    assert "none.cif: no such file" in str(result.exception)


@pytest.mark.parametrize("formula", ["SrTiO3", "NaCl", "CaF2", "Si"])
def test_every_example_is_shown(examples, formula):
    assert run(examples[formula]).exit_code == 0
    assert run(examples[formula], "--irreps").exit_code == 0
