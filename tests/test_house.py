"""The house rules that a machine can check: imports go upward."""

import ast
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
