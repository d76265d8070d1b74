"""What is noted of a crystal's file reaches whoever asks: symmetry, data show, predict, training. Exit codes."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.crystals import SymmetricCrystal, read_structures
from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.report import write_report
from irrepnet.training import predict, train

SHARED = Path(__file__).resolve().parents[2] / "shared" / "cases"
CELL = """data_{name}
_chemical_formula_sum '{formula}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{first}1 0 0 0
{second}1 0.5 0.5 0.5
"""
ELEMENTS = [(first, second) for first in ("Cs", "Rb", "K", "Na") for second in ("Cl", "Br", "I", "F")]
MISSING = "hydrogen is missing: the formula is "


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def folder(path: Path, *formulas: str) -> Path:
    path.mkdir()
    for number, formula in enumerate(formulas):
        first, second = ELEMENTS[number]
        text = CELL.format(name=number, formula=formula, a=4 + number / 50, first=first, second=second)
        (path / f"{number:02}.cif").write_text(text)
    lines = [f"{number:02},{number / 10}" for number in range(len(formulas))]
    (path / "id_prop.csv").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def noted(tmp_path_factory) -> Path:
    """Twelve crystals, two of them with notes, two refused."""
    formulas = [" ".join(pair) for pair in ELEMENTS[:12]] + ["Cs Br", "Na2 Br"]
    for number in (1, 10):
        formulas[number] += " H2"
    return folder(tmp_path_factory.mktemp("noted") / "data", *formulas)


def test_records_and_crystals_carry_notes(noted):
    records, rejections = read_records(noted)
    assert [record.id for record in records if record.notes] == ["01", "10"]
    assert MISSING in records[1].notes[0]
    assert [rejection.id for rejection in rejections] == ["12", "13"]
    assert all(rejection.reason.count(".cif: block ") == 1 for rejection in rejections)
    assert SymmetricCrystal.from_structure(records[1]).notes == records[1].notes
    with pytest.warns(UserWarning, match="hydrogen is missing"):
        read_structures(noted / "01.cif")


def test_symmetry_prints_them(noted):
    result = call("symmetry", noted / "01.cif")
    assert result.exit_code == 0
    assert "hydrogen is missing" in result.stdout
    assert MISSING in json.loads(call("symmetry", noted / "01.cif", "--json").stdout)["notes"][0]
    assert json.loads(call("symmetry", noted / "00.cif", "--json").stdout)["notes"] == []


def test_symmetry_leaves_with_1_where_another_block_is_refused(noted, tmp_path):
    good, bad = ((noted / name).read_text() for name in ("00.cif", "12.cif"))
    (tmp_path / "two.cif").write_text(good + bad)
    result = call("symmetry", tmp_path / "two.cif", "--json")
    assert result.exit_code == 1
    assert "left out: block 12: the formula is" in json.loads(result.stdout)["notes"][0]


HALVES = """2
Lattice="0 2.82 2.82 2.82 0 2.82 2.82 2.82 0" Properties=species:S:1:pos:R:3:forces:R:3
Na 0 0 0 0.01 0 0
Cl 2.82 2.82 2.82 -0.01 0 0
1
Properties=species:S:1:pos:R:3:forces:R:3
Na 0 0 0 0 0 0
"""


def test_one_frame_of_two_is_exit_code_1_everywhere_and_names_are_no_markup(tmp_path):
    file = tmp_path / "half[bold]x.xyz"
    file.write_text(HALVES)
    for command in (["symmetry"], ["phonons"], ["symmetrize"], ["data", "show"]):
        for more in ([], ["--json"]):
            result = call(*command, file, *more)
            if result.exit_code != 1:
                pytest.fail(f"{command} {more}: {result.exit_code}")
    assert "half[bold]x:1: NaCl" in call("symmetrize", file).stdout
    file.write_text("\n".join(HALVES.splitlines()[4:]))
    for command in (["symmetry"], ["phonons"], ["symmetrize"], ["data", "show"]):
        result = call(*command, file)
        refused = isinstance(result.exception, IrrepnetError) or result.exit_code == 2  # the entry point makes it 2
        if not refused:
            pytest.fail(f"{command}: {result.exit_code}")


def test_data_show_lists_them_and_leaves_with_the_right_code(noted, tmp_path):
    result = call("data", "show", noted)
    assert "note 01: hydrogen is missing" in result.stdout
    assert "rejected 12: " in result.stdout
    document = json.loads(call("data", "show", noted, "--json").stdout)
    assert [note["id"] for note in document["notes"]] == ["01", "10"]
    codes = [call("data", "show", path).exit_code for path in (noted / "00.cif", noted, noted / "12.cif")]
    assert codes == [0, 1, 2]


def test_training_counts_them_and_prediction_repeats_them(noted, small_config, tmp_path):
    run = train(small_config(**{"data.source": str(noted), "data.targets": "target"}), tmp_path / "run", quiet=True)
    description = json.loads((run.folder / "data.json").read_text())
    assert (description["used"], description["rejected"], description["noted"]) == (12, 2, 2)
    with (run.folder / "notes.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["01", "10"]
    assert all(MISSING in row["note"] for row in rows)
    assert "2 crystals were read with notes" in write_report(run.folder).read_text()
    assert "2 of them were read with notes" in (run.folder / "log.txt").read_text()
    (row,) = predict(run, noted / "01.cif")
    assert MISSING in row["note"]
    assert row["target"] is not None
    codes = [
        call("predict", run.folder, *(noted / f"{name}.cif" for name in names)).exit_code
        for names in (["00", "01"], ["00", "12"])
    ]
    assert codes == [0, 1]
    assert call("predict", run.folder, noted / "12.cif").exit_code != 0


CASES = {
    "01-monoclinic-short-symbol/zro2_short.cif": ("ZrO2", 12, 14, ""),
    "01-monoclinic-short-symbol/zro2_full.cif": ("ZrO2", 12, 14, ""),
    "03-origin-choice-2/anatase_2.cif": ("TiO2", 6, 141, ""),
    "03-origin-choice-2/anatase_number.cif": ("TiO2", 6, 141, "I 41/a m d:2"),
    "08-hydroxyl-oxygen-dropped/brucite.cif": ("MgO2", 3, 164, "hydrogen is missing: the formula is 'Mg O2 H2'"),
    "11-hydrogens-not-in-the-file/portlandite.cif": ("CaO2", 3, 164, "hydrogen is missing: the formula is 'Ca H2 O2'"),
    "11-hydrogens-not-in-the-file/attached.cif": ("O2", 1, 229, "hydrogen is missing: the formula is 'H2 O'"),
    "12-poscar-negative-scale-cartesian/POSCAR": ("CsCl", 2, 221, ""),
    "12-poscar-negative-scale-cartesian/POSCAR_direct": ("CsCl", 2, 221, ""),
    "12-poscar-negative-scale-cartesian/POSCAR_sc": ("Si", 2, 227, ""),
    "14-latin-1/author.cif": ("CsCl", 2, 221, ""),
    "14-latin-1/POSCAR": ("CsCl", 2, 221, ""),
    "15-data-global-block/article.cif": ("CsCl", 2, 221, ""),
    "18-mixed-valence-is-not-disorder/feo.cif": ("FeO", 2, 221, ""),
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared")
@pytest.mark.parametrize("name", CASES)
def test_cases_from_bug_reports(name):
    formula, atoms, number, note = CASES[name]
    crystal = SymmetricCrystal.from_structure(SHARED / name)
    assert (crystal.formula, len(crystal), crystal.spacegroup_number) == (formula, atoms, number)
    assert any(note in found for found in crystal.notes) if note else crystal.notes == ()
