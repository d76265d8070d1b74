"""Hostile names and values, through the commands: nothing is a command to the terminal, and nothing stops the rest."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest
from tests.conftest import crystals
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.training import train

IDS = ["[/x]", "[bold red]", "\x1b[31mred\x1b[0m", "=1+1", "-2+3", "@cmd", "$$", "a\nb", "\ud800", "<b>", "x" * 5000]


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def hostile(tmp_path):
    lines = crystals()
    for line, id in zip(lines, IDS):
        line["material_id"] = id
    path = tmp_path / "[/x]" / "a$b$.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def test_data_show(hostile):
    result = call("data", "show", hostile)
    assert result.exit_code in (0, 1), result.output
    assert "[/x]" in result.output
    assert "\x1b" not in result.output


def test_training_and_predicting(hostile, small_config, tmp_path):
    from irrepnet.report import write_report

    text = hostile.read_text().replace("formation_energy_per_atom", "$$")
    hostile.write_text(text)
    run = train(small_config(data__source=str(hostile), data__targets="$$", training__epochs=1), tmp_path / "run")
    page = write_report(tmp_path / "run").read_text()
    assert "<b>=" not in page
    assert "\x1b" not in page
    out = tmp_path / "out.csv"
    result = call("predict", tmp_path / "run", hostile, "-o", out)
    assert result.exit_code == 1, result.output  # the id of 5,000 characters
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 96
    assert not any(cell.startswith(("=", "@", "-2+")) for row in rows for cell in row.values())
    assert run.targets[0].name == "$$"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes there")
@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", ""])
def test_names_that_are_no_text(examples, tmp_path, ending):
    name = os.fsencode(tmp_path) + b"/a\xff\xfe.cif"
    shutil.copy(examples["NaCl"], name)
    program = "from irrepnet.cli.main import run; run()"
    out = ["-o", str(tmp_path / f"out.{ending}")] if ending else []
    done = subprocess.run(
        [sys.executable, "-c", program, "predict", "formation-energy", name, str(examples["SrTiO3"]), *out],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if ending == "csv":
        assert len(list(csv.DictReader((tmp_path / "out.csv").open()))) == 2
    if ending == "json":
        assert "\udcff" in json.loads((tmp_path / "out.json").read_text())[0]["file"]


def test_outliers_are_named(small_config, tmp_path):
    lines = crystals()
    lines[5]["formation_energy_per_atom"] = 1e20
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    config = small_config(data__source=str(path), data__targets="formation_energy_per_atom", training__epochs=1)
    train(config, tmp_path / "run", quiet=True)
    log = (tmp_path / "run" / "log.txt").read_text()
    in_training = "made-5" in (tmp_path / "run" / "split.json").read_text().partition('"validation"')[0]
    assert ("warning: formation_energy_per_atom of made-5 is 1e+20, far from all others" in log) == in_training
