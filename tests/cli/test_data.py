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
    run("data", "build", *given, "--workers", "1")
    (row,) = held()
    assert row["graphs"] == 97
    assert row["current"] is True
    assert row["bytes"] > 0
    run("data", "build", *given, "--set", "data.n_max=6")
    assert len(held()) == 2
    assert "n_max=6" in run("data", "info")
    run("data", "gc")
    assert len(held()) == 2
    run("data", "gc", "--days", "0")
    assert not held()


def test_what_is_not_kept(small_data):
    for preset, says in (("energy", "data.parent"), ("site-symmetry", "graphs of sites are not kept")):
        result = CliRunner().invoke(app, ["data", "build", preset, "--data", str(small_data), "--target", "charges"])
        assert result.exit_code
        assert says in result.output + str(result.exception)


def test_the_command_as_a_module():
    called = subprocess.run([sys.executable, "-m", "irrepnet", "--help"], capture_output=True, text=True, check=True)
    assert "symmetry of a crystal" in called.stdout
