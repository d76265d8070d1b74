"""Compiled code for crystals and graphs against NumPy's form of each function: the same, in the same order."""

import random
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.prototypes import STRUCTURES, SYMMORPHIC, crystal_of

from irrepnet import compiled
from irrepnet.crystals import SymmetricCrystal, read_cell
from irrepnet.crystals.pairs import are_apart, close_pairs, sorted_pairs
from irrepnet.crystals.symmetric import exact_sites
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions, VectorGraphOptions, network_graph, vector_graph

FORMS = {"as it is": nullcontext, "plain": compiled.switched_off}
pytestmark = pytest.mark.skipif(compiled.state() != "compiled", reason=f"it is {compiled.state()}")


def arrays(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """All that a crystal or a graph holds, by name."""
    if is_dataclass(value):
        for field in fields(value):
            yield from arrays(getattr(value, field.name), f"{name}.{field.name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from arrays(item, f"{name}.{key}")
    elif isinstance(value, tuple):
        for k, item in enumerate(value):
            yield from arrays(item, f"{name}.{k}")
    else:
        yield name, value


def assert_same(one: Any, other: Any) -> None:
    for (name, a), (_, b) in zip(arrays(one), arrays(other), strict=True):
        if isinstance(a, np.ndarray) and a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12, err_msg=name)
        elif isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=name)
        else:
            assert a == b, name


def assert_made_alike(source: Any) -> None:
    def made() -> tuple[Any, ...]:
        crystal = SymmetricCrystal.from_structure(source)
        smooth = network_graph(crystal, FrameOptions(continuous=True))
        return crystal, network_graph(crystal), smooth, vector_graph(crystal, VectorGraphOptions())

    found = made()
    with compiled.switched_off():
        assert_same(found, made())


@pytest.mark.parametrize("name", [*STRUCTURES, *SYMMORPHIC])
def test_prototypes(name):
    crystal = crystal_of(name)
    species, lattice = crystal.species, crystal.lattice
    assert_made_alike({"species": species, "frac_coords": crystal.frac_coords, "lattice": lattice})


def test_real_crystals(mp_2018):
    for record in random.Random(0).sample(mp_2018, 200):
        assert_made_alike(record)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20), st.floats(3.0, 9.0))
def test_pairs(seed, n, radius):
    """In cells with any angles, of atoms that may lie outside the cell and on top of each other."""
    rng = np.random.default_rng(seed)
    lattice = rng.normal(size=(3, 3)) + np.diag(rng.choice([-5, 3, 9], 3))
    points = rng.normal(size=(n, 3)) * 4
    points[n // 2] = points[0]
    receivers = np.flatnonzero(rng.random(n) < 0.6)
    found = sorted_pairs(points, lattice, radius, receivers)
    with compiled.switched_off():
        plain = sorted_pairs(points, lattice, radius, receivers)
    for one, other in zip(found, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    first, second, shift = close_pairs(points, lattice, 3.0)
    distance = np.linalg.norm(points[second] + shift @ lattice - points[first], axis=1)
    for limit in (0.5, 1.0, 2.9):
        assert are_apart(points, lattice, limit) == (distance > limit).all()


def test_more_pairs_than_foreseen():
    """All atoms in one place of a large cell."""
    points = np.random.default_rng(0).normal(size=(200, 3))
    found = sorted_pairs(points, np.eye(3) * 50, 20.0, np.arange(200))
    assert len(found[0]) == 200 * 199
    assert (np.linalg.norm(found[3], axis=1) == found[4]).all()


def test_many_images_are_left_to_vesin():
    """In a cell as flat as this a search among all images would take hours."""
    lattice = np.array([[3.0, 0, 0], [3.0, 1e-5, 0], [0, 0, 3.0]])
    assert not are_apart(np.zeros((1, 3)), lattice, 0.5)
    with pytest.raises(IrrepnetError, match="overlaps its own image"):
        read_cell({"species": ["H"], "frac_coords": [[0, 0, 0]], "lattice": lattice})
    points = np.random.default_rng(0).uniform(0, 60, size=(2100, 3))
    receiver, sender, *_ = sorted_pairs(points, np.eye(3) * 60, 4.0, np.arange(2100))
    assert (np.bincount(receiver, minlength=2100) == np.bincount(sender, minlength=2100)).all()


LATTICES = (np.diag([0.4, 6.0, 6.0]), np.array([[3.0, 0, 0], [2.8, 0.3, 0], [0, 0, 5.0]]), np.diag([3.0, 3.0, 600.0]))


@pytest.mark.parametrize("lattice", LATTICES, ids=["thin", "skewed", "long"])
def test_cells_are_refused_alike(lattice):
    source = {"species": ["H", "O"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]], "lattice": lattice}
    with pytest.raises(IrrepnetError) as found:
        read_cell(source)
    with pytest.raises(IrrepnetError) as plain, compiled.switched_off():
        read_cell(source)
    assert str(found.value) == str(plain.value)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrong", ["place", "element", "two to one"])
def test_sites_that_the_group_does_not_permute(wrong, form):
    sites, numbers = np.array([[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3], [0.5, 0.5, 0.5]]), np.array([8, 8, 26])
    if wrong == "place":
        sites[0, 1] += 0.05
    elif wrong == "element":
        numbers[0] = 9
    else:
        sites[2], numbers[:] = sites[1] + 0.001, 8
    inversion = np.array([np.eye(3), -np.eye(3)]).astype(int), np.zeros((2, 3))
    with FORMS[form](), pytest.raises(IrrepnetError, match="do not obey"):
        exact_sites(sites, numbers, *inversion, np.eye(3) * 5, 0.02, "made up")
