"""Orbits of edges, found among those of equal length, by compiled code and without, are those found among all."""

from contextlib import nullcontext

import numpy as np
import pytest

from irrepnet import compiled
from irrepnet.crystals import SymmetricCrystal, neighbour_shells
from irrepnet.graphs.edges import SAME, carried, edge_orbits, first_edges, first_of_orbits, one_an_orbit
from irrepnet.groups import PointGroup

FORMS = {"as it is": nullcontext, "plain": compiled.switched_off}


def among_all(vectors: np.ndarray, operations: np.ndarray) -> list[int]:
    number: list[int] = []
    firsts: list[np.ndarray] = []
    for vector in vectors:
        same = [abs(operations @ first - vector).max(1).min() < SAME for first in firsts]
        if not any(same):
            firsts.append(vector)
        number.append(same.index(True) if any(same) else len(firsts) - 1)
    return number


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["1", "2/m", "3m1", "6/mmm", "m-3m"])
def test_orbits(name, form):
    """With noise below the tolerance, several orbits of one length, and vectors on the axes; at two sites."""
    random, operations = np.random.default_rng(0), PointGroup(name).operations
    seeds = np.concatenate([3 * np.eye(3), random.normal(size=(4, 3)), [[1.0, 2, 2], [2, 1, 2], [3, 0, 0]]])
    images = np.einsum("gij,ej->egi", operations, seeds).reshape(-1, 3)
    images = images[np.unique(images.round(6) + 0.0, axis=0, return_index=True)[1]]
    vectors = random.permutation(images) + random.uniform(-0.2, 0.2, size=images.shape) * SAME
    first, second = among_all(vectors, operations), among_all(vectors, operations[:1])
    starts, groups = np.array([0, 1, 2]) * len(vectors), [np.arange(len(operations)), np.zeros(1, int)]
    with FORMS[form]():
        number = edge_orbits(np.tile(vectors, (2, 1)), starts, operations, groups)
    assert number.tolist() == [*first, *(len(set(first)) + n for n in second)]
    assert first_of_orbits(number).tolist() == np.unique(number, return_index=True)[1].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_no_edges(form):
    with FORMS[form]():
        assert edge_orbits(np.empty((0, 3)), np.zeros(2, int), np.eye(3)[None], [np.zeros(1, int)]).shape == (0,)


@pytest.mark.parametrize("name", ["CaF2", "SrTiO3", "MgAl2O4", "TiO2"])
def test_edges_of_representatives_give_all(examples, name):
    """Carried to all atoms they are the neighbours of all atoms, and orbits are those among all."""
    crystal = SymmetricCrystal.from_structure(examples[name])
    whole = neighbour_shells(crystal)
    found = neighbour_shells(crystal, atoms=crystal.representatives)
    edge, receiver, sender, vector = carried(crystal, found)
    assert (receiver == whole.receiver).all()
    assert abs(found.distance[edge] - whole.distance).max() < 1e-10

    def rows(receiver: np.ndarray, sender: np.ndarray, vector: np.ndarray) -> np.ndarray:
        return np.unique(np.column_stack([receiver, sender, vector.round(6) + 0.0]), axis=0)

    assert (rows(receiver, sender, vector) == rows(whole.receiver, whole.sender, whole.vector)).all()
    operations = crystal.point_group.operations
    some, every = (one_an_orbit(n, crystal.representatives, operations, crystal.site_groups) for n in (found, whole))
    assert (some[1] == every[1]).all()
    assert (some[2] == every[2]).all()
    assert (found.vector[some[0]] == whole.vector[every[0]]).all()
    assert len(first_edges(found.receiver)) == len(crystal.representatives) + 1
