"""The files of the room: no two import each other, and codes that are optional are loaded when they are needed."""

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in (SOURCE / "irrepnet" / "hamiltonians").rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """The files of the room that one imports anywhere in it, also in functions and for types only."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {own if (own := f"{module}.{alias.name}") in FILES else module for alias in node.names}
    return found & set(FILES)


def test_no_circles():
    graph = {name: imported(path) for name, path in FILES.items()}
    done: set[str] = set()
    while ready := {name for name in graph if name not in done and graph[name] <= done}:
        done |= ready
    assert done == set(graph), f"in circles: {sorted(set(graph) - done)}"


def test_optional_codes_are_loaded_late():
    code = (
        "import sys, irrepnet.hamiltonians, irrepnet.hamiltonians.reports;"
        "print(sorted({'h5py', 'sisl', 'pythtb', 'pyscf', 'distributed'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
