"""What tensors are made of, without the command line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.tensors import STIFFNESS, CartesianTensor
from irrepnet.tensors.reports import describe_form, describe_parts, describe_surfaces, title_of_form

SYMMETRIES = ["ij", "ij=ji", "ij=-ji", "ijk=ikj", "ijkl=jikl=ijlk=klij"]


@settings(max_examples=40)
@given(st.sampled_from(SYMMETRIES), st.sampled_from(sorted(SETTINGS)), st.booleans())
def test_forms(symmetry, name, axial):
    """As many basis tensors as free components, none of which is a forced zero; every component is told."""
    tensor, group = CartesianTensor(symmetry, axial=axial), PointGroup(name)
    document = describe_form(tensor, group)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["independent"] == len(document["basis"]) == len(document["free"])
    assert not set(document["free"]) & set(document["zeros"])
    assert {key for key, value in document["components"].items() if value == "0"} == set(document["zeros"])
    assert title_of_form(tensor, group).startswith(tensor.formula)


@settings(max_examples=40)
@given(st.sampled_from(SYMMETRIES), st.sampled_from(sorted(SETTINGS)), st.integers(0, 2**31))
def test_norms_add_up(symmetry, name, seed):
    """|T|² is what its parts have, and what the irreps of any group have, and what lies outside."""
    tensor = CartesianTensor(symmetry)
    values = np.random.default_rng(seed).normal(size=(3,) * tensor.rank)
    document = describe_parts(tensor, values, name)
    inside = sum(part["norm"] ** 2 for part in document["parts"])
    assert inside + document["outside"] ** 2 == pytest.approx(document["norm"] ** 2)
    assert sum(entry["norm"] ** 2 for entry in document["group"].values()) == pytest.approx(inside)
    assert "norm" not in describe_parts(tensor)


@settings(max_examples=8)
@given(st.integers(0, 2**31))
def test_moduli_lie_around_their_averages(seed):
    root = np.random.default_rng(seed).normal(size=(6, 6))
    document = describe_surfaces(root @ root.T + np.eye(6), "Mbar")
    young = document["surfaces"][0]
    assert 0 < young["least"] <= document["averages"]["E"] <= young["greatest"]
    assert young["unit"] == "Mbar"
    assert all(np.linalg.norm(each["least_along"]) == pytest.approx(1) for each in document["surfaces"])


def test_pictures_and_refusals(tmp_path):
    copper = np.diag([47.0, 47, 47, 75.4, 75.4, 75.4])
    copper[:3, :3] += 121.4
    describe_surfaces(copper, picture=tmp_path / "copper.png")
    describe_form(STIFFNESS, PointGroup("m-3m"), tmp_path / "form.png")
    assert min((tmp_path / name).stat().st_size for name in ("copper.png", "form.png")) > 1000
    with pytest.raises(IrrepnetError, match="cannot be written"):
        describe_form(STIFFNESS, PointGroup("m-3m"), tmp_path / "none" / "form.png")
    with pytest.raises(IrrepnetError, match="not positive definite"):
        describe_surfaces(-copper)
