"""Tables of the point groups, without the command line."""

import json
import re
from io import BytesIO

import numpy as np
import pytest

from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.groups.picture import draw_character_table, draw_covariant
from irrepnet.groups.reports import character_table, describe_covariants, describe_group, list_groups


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


@pytest.mark.parametrize(("name", "label"), [("m-3m", "T1u"), ("m-3m", "A1g"), ("-6", "E''"), ("2/m", "Bu")])
def test_polynomials_as_text_are_the_covariants(name, label):
    group, point = PointGroup(name), np.array([0.3, -0.7, 1.1])
    document = describe_covariants(group, label)
    raised = {sign: f"**{digit}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    for texts, values in zip(document["components"], group.covariants(label)(point), strict=True):
        for text, value in zip(texts, values, strict=True):
            formula = re.sub(r"(?<=\w) ?([xyz])", r"*\1", text.replace("−", "-"))
            formula = "".join(raised.get(sign, sign) for sign in formula)
            assert eval(formula, dict(zip("xyz", point))) == pytest.approx(value, rel=2e-3, abs=2e-3)


def test_the_picture_of_a_covariant_has_both_signs():
    from matplotlib.image import imread

    stream = BytesIO()
    draw_covariant(PointGroup("m-3m"), "T1u", 0, 2, stream)
    stream.seek(0)
    pixels = imread(stream, format="png")
    assert pixels[0, 0, 3] == 0  # the ground is transparent
    red, blue = (
        (pixels[..., one] > 1.5 * pixels[..., other]) & (pixels[..., 3] > 0) for one, other in ((0, 2), (2, 0))
    )
    rows = np.arange(len(pixels))[:, None]
    assert (red * rows).sum() / red.sum() < (blue * rows).sum() / blue.sum()  # z is positive above
    assert red.sum() > 1000
    assert blue.sum() > 1000
