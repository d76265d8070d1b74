"""What runs here."""

import json

from typer.testing import CliRunner

from irrepnet import __version__, compiled
from irrepnet.cli.main import app


def test_versions_and_kernels_are_named():
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert found["irrepnet"] == __version__
    assert found["threads"] == 1
    assert found["kernels"] == compiled.state()
    assert found["device"] in {"cpu", "cuda"}
    text = CliRunner().invoke(app, ["doctor"]).stdout
    assert all(name in text for name in found)


def test_a_reason_is_given_where_there_are_none(monkeypatch):
    monkeypatch.setattr(compiled, "_library", lambda: "not compiled: a reason")
    text = CliRunner().invoke(app, ["doctor"]).stdout
    assert "plain (not compiled: a reason)" in text
