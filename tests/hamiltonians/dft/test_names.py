"""Crystals that would have one file: each is made or named, none is lost."""

import shutil

import pytest

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.dft import generate
from irrepnet.hamiltonians.dft.crystal_list import Request, Settings, read_list

LIST = """
crystals:
- type: rocksalt
  compounds: {{MgO: 4.2}}
  strains: {{"{name}": [0.01, 0, 0, 0, 0, 0]}}
"""


@pytest.fixture
def none_made(monkeypatch, tmp_path):
    def made(requests, folder, workers, dask):
        return iter([generate.Progress(request.name, None) for request in requests])

    monkeypatch.setattr(generate, "generate_all", made)
    return lambda *sources: generate.generate_named([str(s) for s in sources], tmp_path / "out", Settings())


@pytest.mark.parametrize("second", ["NaCl", "SrTiO3"])
def test_two_files_of_one_name(none_made, examples, tmp_path, second):
    one, other = tmp_path / "a" / "cell.cif", tmp_path / "b" / "cell.cif"
    for path, formula in ((one, "NaCl"), (other, second)):
        path.parent.mkdir()
        shutil.copy(examples[formula], path)
    found = none_made(one, other)
    assert found["made"] == ["cell"]
    assert str(one) in found["failures"][str(other)]
    assert "rename one of the two" in found["failures"][str(other)]


def test_names_that_differ_by_case_alone(none_made, examples, tmp_path):
    for name in ("Cell.cif", "cell.cif"):
        shutil.copy(examples["NaCl"], tmp_path / name)
    found = none_made(tmp_path / "Cell.cif", tmp_path / "cell.cif")
    assert found["made"] == ["Cell"]
    assert len(found["failures"]) == 1


def test_a_file_given_twice_is_made_once(none_made, examples):
    found = none_made(examples["NaCl"], examples["NaCl"])
    assert found["made"] == ["NaCl"]
    assert not found["failures"]


@pytest.mark.parametrize("name", ["../x", "a/b", "x" * 300])
def test_a_name_never_leaves_the_folder(tmp_path, name):
    path = tmp_path / "list.yaml"
    path.write_text(LIST.format(name=name))
    with pytest.raises(IrrepnetError):
        read_list(path).requests()


def test_a_name_that_a_file_can_have(examples):
    assert Request.from_structure(examples["NaCl"], "NaCl-1.00").name == "NaCl-1.00"
    with pytest.raises(IrrepnetError, match="name"):
        Request.from_structure(examples["NaCl"], "a/b")
