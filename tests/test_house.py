"""The house rules that a machine can check: imports go upward, and what the papers of the house say agrees."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import irrepnet

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(page for folder in (".", "docs", "benchmarks") for page in (ROOT / folder).glob("*.md"))
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
