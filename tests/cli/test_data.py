"""`irrepnet data build`, `info` and `gc`; and the command as a module."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from irrepnet.cli.main import app


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("IRREPNET_CACHE", str(tmp_path / "cache"))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def held() -> list[dict]:
    return json.loads(run("data", "info", "--json"))["graphs"]


def test_build_info_gc(small_data):
    assert not held()
    given = ["point-group", "--data", str(small_data), "--target", "formation_energy_per_atom"]
    assert json.loads(run("data", "build", *given, "--workers", "1", "--json")) == {"ready": 97, "rejected": 2}
    (row,) = held()
    assert row["graphs"] == 97
    assert row["current"] is True
    assert row["bytes"] > 0
    run("data", "build", *given, "--set", "data.n_max=6")
    assert len(held()) == 2
    assert "n_max=6" in run("data", "info")
    run("data", "gc")
    assert len(held()) == 2
    assert json.loads(run("data", "gc", "--days", "0", "--json"))["files"] == 2
    assert not held()


def test_an_interruption(small_data, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("irrepnet.training.run.Log.progress", stop)
    given = ["--data", str(small_data), "--target", "formation_energy_per_atom"]
    ended = CliRunner().invoke(app, ["data", "build", "point-group", *given])
    assert ended.exit_code == 130
    assert "what is made is kept" in ended.stderr


def test_what_is_not_kept(small_data):
    for preset, says in (("energy", "data.parent"), ("site-symmetry", "graphs of sites are not kept")):
        result = CliRunner().invoke(app, ["data", "build", preset, "--data", str(small_data), "--target", "charges"])
        assert result.exit_code
        assert says in result.output + str(result.exception)


def test_the_command_as_a_module():
    called = subprocess.run([sys.executable, "-m", "irrepnet", "--help"], capture_output=True, text=True, check=True)
    assert "symmetry of a crystal" in called.stdout
