"""The house rules that a machine can check: imports go upward, the README's commands are run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# in the order in which data flows; a room imports only from rooms before it
ROOMS = ["groups", "tensors", "crystals", "data", "nn", "models", "hamiltonians", "training", "report", "cli"]
NEVER = {
    "groups": {"torch", "pymatgen"},
    "tensors": {"torch", "pymatgen"},
    "crystals": {"torch"},
    "nn": {"irrepnet.crystals", "irrepnet.data"},
}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_upward(room):
    below = ROOMS[ROOMS.index(room) + 1 :]
    for path in (ROOT / "src/irrepnet" / room).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            assert not (parts[0] == "irrepnet" and parts[1:2] and parts[1] in below), f"{path} imports {name}"
            assert not any(name == n or name.startswith(n + ".") for n in NEVER.get(room, ())), f"{path}: {name}"


def commands(text: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_readme_commands_are_run():
    """Every command of the README is run by the continuous check or by `make quickstart`, or is one of its tests."""
    run = (ROOT / ".ci/run").read_text() + (ROOT / "Makefile").read_text()
    run = run.replace("$(BIN)/", "").replace("$(RUN)", "runs/quickstart").replace("-q ", "")
    for command in commands((ROOT / "README.md").read_text()):
        assert command in run or command in SHOWN, f"nobody runs {command!r} of the README"


SHOWN = {
    "irrepnet groups show m-3m",
    "irrepnet symmetry examples/MgAl2O4.cif --irreps",
    "irrepnet data list",
    "irrepnet graph examples/MgAl2O4.cif --hyperedges bonds,triplets,cell",
    "irrepnet verify point-group examples/MgAl2O4.cif",
}


@pytest.mark.parametrize("command", sorted(SHOWN))
def test_shown_commands_work(command):
    from typer.testing import CliRunner

    from irrepnet.cli.main import app

    arguments = [str(ROOT / a) if a.startswith("examples/") else a for a in command.split()[1:]]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output
