"""Tables of the point groups, without the command line."""

import json

import numpy as np
import pytest

from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.groups.picture import draw_character_table
from irrepnet.groups.reports import character_table, describe_group, list_groups


@pytest.mark.parametrize("name", SETTINGS)
def test_characters_of_a_document_are_orthogonal(name):
    """Over the classes: those of complex irreps always, those of real ones to 1, 2 by their type."""
    document = describe_group(PointGroup(name))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    sizes = np.array([len(c["indices"]) for c in document["classes"]])
    rows = np.array([np.array(irrep["characters"]) @ [1, 1j] for irrep in document["complex_irreps"]])
    assert np.allclose((rows * sizes) @ rows.conj().T, document["order"] * np.eye(len(rows)))
    real = np.array([irrep["characters"] for irrep in document["irreps"]])
    kinds = [document["order"] * (2 if irrep["type"] == "complex" else 1) for irrep in document["irreps"]]
    assert np.allclose((real * sizes) @ real.T, np.diag(kinds))


@pytest.mark.parametrize("name", SETTINGS)
def test_the_table_has_what_the_document_has(name):
    group = PointGroup(name)
    document = describe_group(group)
    columns, rows = character_table(group)
    assert columns == ["irrep", *(c["name"] for c in document["classes"]), "type", "other names", "covariants"]
    for row, irrep in zip(rows, document["irreps"], strict=True):
        assert len(row) == len(columns)
        assert row[0] == irrep["label"]
        assert np.allclose([float(x) for x in row[1:-3]], irrep["characters"], atol=1e-3)


def test_list_and_picture(tmp_path):
    groups = list_groups()
    assert [g["name"] for g in groups] == list(SETTINGS)
    assert sum(g["default"] for g in groups) == 32
    draw_character_table(PointGroup("1"), tmp_path / "table.svg")
    assert (tmp_path / "table.svg").stat().st_size > 1000
