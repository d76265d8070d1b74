"""The page of a run: complete, self-contained, well-formed."""

import base64
import csv
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from irrepnet.errors import IrrepnetError
from irrepnet.report import write_report
from irrepnet.training.files import CARD, read_sealed, sealed, write_json

VOID = {"meta", "img", "br"}


class Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.links += [value for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(small_run):
    text = (small_run / "report.html").read_text()
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert len(checker.links) == 2
    for link, name in zip(checker.links, ("parity.png", "learning_curve.png")):
        assert base64.b64decode(link.removeprefix("data:image/png;base64,")) == (small_run / name).read_bytes()
    assert not re.search(r"https?://|<script|@import|url\(", text)


def test_the_page_says_what_the_files_say(small_run):
    text = (small_run / "report.html").read_text()
    metrics = json.loads((small_run / "metrics.json").read_text())
    errors = metrics["test"]["formation_energy_per_atom"]
    assert f"mean absolute error <b>{errors['mae']:.3g} eV/atom</b> on {errors['n']} test crystals" in text
    assert f"{metrics['parameters']:,}" in text
    assert "3 crystals were rejected" in text
    assert "point group 4/mmm" in text


def test_a_hostile_name_is_escaped(small_run, tmp_path):
    folder = tmp_path / "<script>alert(1)<"
    shutil.copytree(small_run, folder)
    assert "<script>" not in write_report(folder).read_text()


def test_undefined_figures_are_shown_as_such(small_run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(small_run, folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["test"]["metal"] |= {"auc": None}
    metrics["test"]["formation_energy_per_atom"] = dict.fromkeys(("mae", "rmse", "r2", "mae_of_mean")) | {"n": 0}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    path = folder / "predictions_test.csv"
    rows = list(csv.reader(path.open()))
    with path.open("w") as stream:
        csv.writer(stream).writerows([rows[0]] + [[*row[:2], "", row[3], *row[4:]] for row in rows[1:]])
    card = read_sealed(folder)
    write_json(folder / CARD, sealed(card, folder, [name for name in card["sha256"] if name != CARD]))
    text = write_report(folder).read_text()
    assert "no test crystal has a value" in text
    assert "undefined" in text


def test_a_folder_without_a_finished_run(tmp_path):
    with pytest.raises(IrrepnetError, match=r"not a finished run \(there is no metrics.json\)"):
        write_report(tmp_path)
