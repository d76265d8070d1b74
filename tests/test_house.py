"""The house rules that a machine can check: imports go upward, and what the papers of the house say agrees."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import irrepnet

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(page for folder in (".", "docs", "benchmarks") for page in (ROOT / folder).glob("*.md"))
# in the order in which data flows; a room imports only from rooms before it
ROOMS = [
    "groups", "tensors", "crystals", "phonons", "graphs", "data", "nn", "models", "hamiltonians", "tasks", "training",
    "checks", "report", "serve", "cli",
]  # fmt: skip
NEVER = {
    "groups": {"torch", "pymatgen"},
    "tensors": {"torch", "pymatgen"},
    "crystals": {"torch"},
    "phonons": {"torch"},
    "graphs": {"torch"},
    "nn": {"irrepnet.crystals", "irrepnet.graphs", "irrepnet.data"},
}
TWICE = {"Log": "tasks know the protocol, which the log of a run fulfils"}
"""Names that stand for two things, and why they may."""
FILES = {
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__"): path
    for path in (ROOT / "src/irrepnet").rglob("*.py")
}
"""Every module, by its name."""


def imports(path: Path, typing: bool = True) -> set[str]:
    """What a file imports, within functions too; without ``typing`` not what is for annotations alone."""
    names = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names.update(own if (own := f"{module}.{alias.name}") in FILES else module for alias in node.names)
        for child in ast.iter_child_nodes(node):
            if typing or not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
                visit(child)

    visit(ast.parse(path.read_text()))
    return names


def test_every_room_is_in_the_table():
    folders = {path.name for path in (ROOT / "src/irrepnet").iterdir() if (path / "__init__.py").exists()}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_upward(room):
    below = ROOMS[ROOMS.index(room) + 1 :]
    for path in (ROOT / "src/irrepnet" / room).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            assert not (parts[0] == "irrepnet" and parts[1:2] and parts[1] in below), f"{path} imports {name}"
            assert not any(name == n or name.startswith(n + ".") for n in NEVER.get(room, ())), f"{path}: {name}"


def test_json_from_outside_has_one_reader():
    """`inlets.json_value`; what the package has just written, or ships, may be read without."""
    own = {"inlets.py", "training/files.py", "serve/worker.py", "data/sets.py"}
    source = ROOT / "src/irrepnet"
    found = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if "json.load" in path.read_text()}
    assert found <= own


def test_there_is_no_circle_of_files():
    """Whoever starts at a file and follows imports never comes back to it."""
    graph = {name: {n for n in imports(path, typing=False) if n in FILES} - {name} for name, path in FILES.items()}
    done: set[str] = set()

    def follow(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                follow(other, (*way, name))
            done.add(name)

    for name in graph:
        follow(name, ())


def definitions(path: Path) -> set[str]:
    """Public classes, functions and type aliases that a file defines, not what it imports."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(t.id for t in targets if isinstance(t, ast.Name) and re.match("[A-Z]+[a-z]", t.id))
    return {name for name in found if not name.startswith("_")}


def test_one_name_is_one_thing():
    """No two modules define one name; commands, which are named like what they call, are no matter."""
    where: dict[str, list[str]] = {}
    for module, path in FILES.items():
        if not module.startswith("irrepnet.cli."):
            for name in definitions(path):
                where.setdefault(name, []).append(module)
    assert {name: modules for name, modules in where.items() if len(modules) > 1 and name not in TWICE} == {}
    assert all(len(where.get(name, ())) > 1 for name in TWICE), "a name that is one by now may leave the list"


@pytest.mark.parametrize("room", ["groups", "tensors", "crystals", "phonons", "graphs"])
def test_rooms_below_data_load_no_torch(room):
    program = f"import sys, irrepnet.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_crystal_needs_no_torch_and_leaves_vesin_whole():
    """Neighbours come from vesin without its torch part, and whoever imports vesin afterwards gets all of it."""
    program = (
        "import sys\n"
        "from irrepnet.crystals import SymmetricCrystal, neighbour_shells\n"
        "crystal = SymmetricCrystal.from_structure(sys.argv[1])\n"
        "assert len(neighbour_shells(crystal).receiver) >= 12 * len(crystal)\n"
        "assert 'torch' not in sys.modules and 'vesin' not in sys.modules\n"
        "import vesin, torch\n"
        "assert vesin._neighbors.HAS_TORCH\n"
    )
    command = [sys.executable, "-c", program, str(ROOT / "examples/CaF2.cif")]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_version_and_licence_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == project["version"] == irrepnet.__version__
    assert citation["license"] == project["license"]
    assert project["version"] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Files that a page links are there, and so are the headings."""
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {target} is not there"
        if heading:
            assert heading in headings(path), f"{page.name}: {path.name} has no heading #{heading}"


def headings(page: Path) -> set[str]:
    """Names of the headings, as GitHub makes them: lower case, no punctuation, hyphens for spaces."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_what_is_shown_is_short():
    """One line, whatever is in it."""
    from irrepnet.crystals import SymmetricCrystal
    from irrepnet.data import embedded
    from irrepnet.tensors import CartesianTensor
    from irrepnet.training import load_run

    crystal = SymmetricCrystal.from_structure(ROOT / "examples/TiO2.cif")
    assert repr(crystal) == "SymmetricCrystal(TiO2, P4_2/mnm (136), 6 atoms: Ti a m.mm, O f m.2m)"
    assert repr(embedded("dielectric_constant")[0]).startswith("Record('mp-441', Rb2Te, 3 atoms: ")
    assert repr(CartesianTensor("elastic").allowed("m-3m")).startswith(
        "AllowedForm(ijkl=jikl=ijlk=klij: C11, C12, C44; "
    )
    assert repr(load_run("gap")).endswith("/gap', point-group: band_gap eV, metal)")
