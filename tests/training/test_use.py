"""Evaluation and prediction with a trained network."""

import csv
import io
import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from irrepnet.data import read_records
from irrepnet.errors import IrrepnetError
from irrepnet.training import evaluate, load_run, predict

ENERGY = "formation_energy_per_atom"


@pytest.fixture(scope="module")
def run(small_run):
    return load_run(small_run)


@pytest.fixture(scope="module")
def rock_salt(tmp_path_factory):
    """An RbCl that is not in the data, as a CIF."""
    from pymatgen.core import Lattice, Structure

    path = tmp_path_factory.mktemp("structures") / "RbCl.cif"
    Structure.from_spacegroup("Fm-3m", Lattice.cubic(6.58), ["Rb", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]).to(str(path))
    return path


def test_on_its_own_data_a_run_is_evaluated_on_the_test_split(run, small_data, small_run):
    result = evaluate(run, str(small_data), ENERGY, quiet=True)
    test = json.loads((small_run / "metrics.json").read_text())["test"][ENERGY]
    assert (result["split"], result["unit"], result["kind"]) == ("test", "eV/atom", "regression")
    assert {key: result[key] for key in test} == pytest.approx(test, rel=1e-6)
    assert result["seen_in_training"] == 0
    assert result["rejected"] == 3 == len(result["rejections"])
    assert {"id", "reason"} == set(result["rejections"][0])
    metal = evaluate(run, str(small_data), "metal", quiet=True)
    assert {"auc", "accuracy", "base_rate", "n"} <= set(metal)


@pytest.mark.parametrize("split", ["train", "validation", "all"])
def test_other_splits(run, small_data, small_run, split):
    result = evaluate(run, str(small_data), ENERGY, split=split, quiet=True)
    counts = json.loads((small_run / "data.json").read_text()) | {"all": 96}
    assert (result["split"], result["n"]) == (split, counts[split])
    assert result["seen_in_training"] == (0 if split == "validation" else counts["train"])


def test_on_other_data_all_crystals_count(run, small_data, tmp_path):
    lines = small_data.read_text().splitlines()
    few = tmp_path / "few.jsonl"
    few.write_text("\n".join(lines[5:15] + lines[-2:]))
    result = evaluate(run, str(few), ENERGY, quiet=True)
    formulas = {record.formula for record in read_records(few)[0]}
    assert (result["split"], result["n"], result["rejected"]) == ("all", 10, 2)
    assert result["seen_in_training"] == len(formulas & run.training_formulas)
    metal = evaluate(run, str(few), "metal", quiet=True)
    assert (metal["n"], metal["rejected"]) == (8, 4)
    assert "has no value of metal" in {rejection["reason"] for rejection in metal["rejections"]}
    with pytest.raises(IrrepnetError, match="not the data of this run, so it has no test split"):
        evaluate(run, str(few), ENERGY, split="test", quiet=True)


@pytest.mark.parametrize(
    ("source", "target", "split", "message"),
    [
        (None, "energy", "auto", f"no target 'energy'; it has {ENERGY}, metal"),
        (None, None, "auto", "several targets; name one of"),
        (None, ENERGY, "half", "unknown split 'half'; choose one of auto, all"),
        ("nowhere", ENERGY, "auto", "nowhere"),
        ("dielectric_constant", ENERGY, "auto", ENERGY),
    ],
)
def test_evaluation_errors(run, source, target, split, message):
    with pytest.raises(IrrepnetError, match=message):
        evaluate(run, source, target, split, quiet=True)


def test_a_prediction_depends_on_the_crystal_and_not_on_its_description(run, rock_salt, tmp_path):
    from pymatgen.core import Structure

    structure = Structure.from_file(rock_salt)  # the conventional cell
    primitive = structure.get_primitive_structure()
    primitive.translate_sites(range(len(primitive)), [0.1, 0.2, 0.3])
    assert len(primitive) == 2 < len(structure) == 8
    primitive.to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    first, second = predict(run, [rock_salt, tmp_path / "POSCAR"])
    assert first["formula"] == second["formula"] == "RbCl"
    for target in run.targets:
        assert first[target.name] == pytest.approx(second[target.name], abs=1e-4)
    assert 0 < first["metal"] < 1


def test_one_bad_structure_never_stops_the_others(run, rock_salt, small_data, tmp_path):
    bad = tmp_path / "bad.cif"
    bad.write_text("data_nothing")
    rows = predict(run, [bad, tmp_path / "absent.cif", rock_salt, small_data])
    assert len(rows) == 2 + 1 + 99
    assert rows[0][ENERGY] is rows[1][ENERGY] is None
    assert "bad.cif" in rows[0]["note"]
    assert "absent.cif" in rows[1]["note"]
    assert np.isfinite(rows[2][ENERGY])
    notes = {row["id"]: row["note"] for row in rows}
    assert "point group 4/mmm is not admitted" in notes["tetragonal"]
    known = [row for row in rows[3:] if row[ENERGY] is not None]
    assert len(known) == 96
    assert sum("formula in the training split" in row["note"] for row in known) == len(run.split["train"]["id"])


def test_predictions_do_not_depend_on_the_company(run, rock_salt, small_data):
    alone = predict(run, [rock_salt])[0]
    among = predict(run, [small_data, rock_salt])[-1]
    assert alone[ENERGY] == pytest.approx(among[ENERGY], abs=1e-5)


def test_elements_that_training_never_saw_are_noted(run, tmp_path):
    from pymatgen.core import Lattice, Structure

    Structure(Lattice.cubic(3.2), ["W"], [[0, 0, 0]]).to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    (row,) = predict(run, [tmp_path / "POSCAR"])
    assert row["note"].startswith("no training crystal contains W; far from anything seen: ")
    assert row[f"{ENERGY}_bound"] is None


def test_predicting_nothing(run):
    assert predict(run, []) == []
    assert {name: len(values) for name, values in run.predict([]).items()} == {ENERGY: 0, "metal": 0}


def test_a_structure_a_path_or_a_list_of_both(run, rock_salt):
    from pymatgen.core import Structure

    structure = Structure.from_file(str(rock_salt))
    alone = [predict(run, given)[0][ENERGY] for given in (rock_salt, str(rock_salt), structure)]
    together = [row[ENERGY] for row in predict(run, [rock_salt, structure])]
    assert alone == pytest.approx(3 * [alone[0]])
    assert together == pytest.approx(alone[:2])


@pytest.mark.slow
def test_predictions_are_made_a_part_at_a_time(run, small_data, monkeypatch):
    from irrepnet.training import use

    whole = predict(run, small_data)
    monkeypatch.setattr(use, "AT_A_TIME", 7)
    records, taken = read_records(str(small_data))[0], 0

    def one_by_one():
        nonlocal taken
        for record in records:
            taken += 1
            yield record

    parts = use.stream_predictions(run, one_by_one())
    assert len(next(parts)) == 7
    assert taken <= 8  # the reader looks one ahead
    assert [len(part) for part in use.stream_predictions(run, small_data)] == [7] * 14 + [1]
    again = predict(run, small_data)
    for one, other in zip(again, whole, strict=True):
        assert (one[ENERGY] is None) == (other[ENERGY] is None)
        assert one[ENERGY] is None or one[ENERGY] == pytest.approx(other[ENERGY], rel=1e-5)
    assert [row["note"] for row in again] == [row["note"] for row in whole]
    assert [row for rows in use.stream_predictions(run, small_data, workers=2) for row in rows] == again


def test_what_people_have_in_hand(run, rock_salt, tmp_path, monkeypatch):
    """A path, a pattern, a folder, standard input, structures, Atoms, a column of a table and lists of these."""
    from ase.io import read
    from pymatgen.core import Structure

    crystal = Structure.from_file(rock_salt)
    folder = tmp_path / "several"
    for name in ("one", "two"):
        (folder / name).mkdir(parents=True)
        crystal.to(filename=str(folder / name / "POSCAR"))
    (tmp_path / "flat").mkdir()
    shutil.copy(rock_salt, tmp_path / "flat" / "a.cif")
    (alone,) = predict(run, rock_salt)
    given = {
        "pattern": str(folder / "*" / "POSCAR"),
        "folder": tmp_path / "flat",
        "iterator": iter([crystal, read(rock_salt)]),
        "list": [str(rock_salt), crystal, {"species": ["Qq"], "frac_coords": [[0, 0, 0]], "cell": [3] * 3 + [90] * 3}],
    }
    rows = {key: predict(run, value) for key, value in given.items()}
    assert [len(found) for found in rows.values()] == [2, 1, 2, 3]
    assert len({row["id"] for row in rows["pattern"]}) == 2
    assert [row["id"] for row in rows["iterator"]] == ["1", "2"]
    for found in (*rows["pattern"], *rows["folder"], *rows["iterator"], *rows["list"][:2]):
        assert found[ENERGY] == pytest.approx(alone[ENERGY], rel=1e-5)
    for text in (rock_salt.read_text(), crystal.to(fmt="poscar"), crystal.to(fmt="json")):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        (piped,) = predict(run, "-")
        assert (piped["file"], piped[ENERGY]) == ("-", pytest.approx(alone[ENERGY], rel=1e-5))
    (none,) = predict(run, str(tmp_path / "nothing-*.cif"))
    assert "no name fits the pattern" in none["note"]
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([crystal, str(rock_salt)])
    assert [row[ENERGY] for row in predict(run, column)] == pytest.approx(2 * [alone[ENERGY]], rel=1e-5)


@pytest.mark.parametrize("ending", [".csv", ".json", ".jsonl", ".parquet", ""])
def test_files_of_predictions(run, small_data, tmp_path, ending):
    from irrepnet.training.predictions import PredictionFile, prediction_table

    rows, path = predict(run, small_data)[:9], tmp_path / f"out{ending}"
    if ending == ".parquet":
        pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    with PredictionFile(path, run.targets) as file:
        file.write(rows[:4])
        file.write(rows[4:])
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    header, lines = prediction_table(rows, run.targets)
    if ending == ".json":
        assert json.loads(path.read_text()) == rows
    elif ending == ".jsonl":
        assert [json.loads(line) for line in path.read_text().splitlines()] == rows
    elif ending == ".parquet":
        from pyarrow.parquet import read_table

        assert [list(row.values()) for row in read_table(path).to_pylist()] == lines
    else:
        found = list(csv.reader(path.open()))
        assert found == [header, *[["" if cell is None else str(cell) for cell in line] for line in lines]]
    with pytest.raises(IrrepnetError, match=r"out\.xlsx.*\.parquet"):
        PredictionFile(tmp_path / "out.xlsx", run.targets)
