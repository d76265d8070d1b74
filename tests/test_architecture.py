"""What docs/architecture.md says of the house: its rooms, and how many files each thing has cost.

That things can be added is what the examples of that page show (tests/test_docs.py); here what is there is counted.
"""

import ast
import re
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

import irrepnet
from irrepnet.hamiltonians.formats.table import FORMATS
from irrepnet.models import NETWORKS
from irrepnet.tasks import TASKS, task_class
from irrepnet.tasks.targets import KINDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(irrepnet.__file__).parent
PAGE = (ROOT / "docs/architecture.md").read_text()
TREES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def files_with(names: Iterable[str]) -> set[str]:
    """The files that import or use one of the names; where it is defined does not count, nor what strings say."""
    wanted = set(names)

    def found(node: ast.AST) -> set[str]:
        match node:
            case ast.Name():
                return {node.id}
            case ast.ImportFrom():
                return {node.module or "", *(alias.name for alias in node.names)}
            case ast.Import():
                return {alias.name for alias in node.names}
        return set()

    return {file for file, tree in TREES.items() if any(wanted & found(node) for node in ast.walk(tree))}


def test_the_page_has_the_rooms_in_their_order():
    house = ast.parse((ROOT / "tests/test_house.py").read_text())
    (rooms,) = (
        ast.literal_eval(node.value)
        for node in house.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    )
    table = PAGE.partition("## Rooms")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == rooms


def test_what_the_page_names_is_there():
    for path, names in re.findall(r"^\| `([\w/]+\.py)` \| (.*?) \|", PAGE, re.M):
        for name in re.findall(r"`([\w.]+)`", names):
            assert re.search(rf"def {name.split('.')[-1]}\(", (PACKAGE / path).read_text()), f"{path}: no {name}"
    for folder, file in re.findall(r"`(\w+/[\w/]*?)([\w]+\.py)`", PAGE):
        assert any((top / folder / file).exists() for top in (PACKAGE, ROOT)), folder + file


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_its_file_and_its_place_in_a_table(name):
    kind = NETWORKS[name]
    own = f"models/{kind.__module__.split('.')[-1]}.py"
    default = {"tasks/properties.py"} if name == "point-group" else set()  # of runs that name no network
    assert files_with([kind.__name__]) <= {own, "models/__init__.py"} | default


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_target_is_a_class_and_those_that_are_no_numbers_have_a_task(name):
    found = files_with([KINDS[name].__name__])
    tasks = {file for file in found if file.startswith("tasks/")}
    assert "tasks/targets.py" in tasks
    # tensors of crystals are learned alone, and beside sites
    assert len(tasks) <= {"regression": 1, "classification": 1, "tensor": 3}.get(name, 2)
    # besides, a picture that is not that of numbers, and the paths of numbers
    assert found - tasks <= {"report/plots.py", "checks/path.py"}


def test_nobody_asks_for_the_kind_of_a_target():
    """A dispatch by name would be one more place for each new kind."""
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                literals = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
                assert not (".kind" in ast.unparse(node) and literals & set(KINDS)), f"{file}:{node.lineno}"


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
def test_a_format_is_its_file_and_its_row(row):
    own = f"hamiltonians/formats/{row.read.__module__.split('.')[-1]}.py"
    assert files_with([row.read.__name__, row.write.__name__]) - {own} == {"hamiltonians/formats/table.py"}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_its_file_and_its_line(name):
    assert task_class(name).name == name
    assert task_class(name).Config.model_fields["task"].default == name


def test_every_network_and_every_task_but_that_of_properties_has_a_preset():
    folder = files("irrepnet.training") / "presets"
    presets = [yaml.safe_load(entry.read_text()) for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    assert {preset["model"]["name"] for preset in presets if "task" not in preset} == set(NETWORKS)
    assert {preset["task"] for preset in presets if "task" in preset} == set(TASKS) - {"properties"}
