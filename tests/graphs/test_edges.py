"""Orbits of edges, found among those of equal length, are those found among all."""

import numpy as np
import pytest

from irrepnet.graphs.edges import SAME, edge_orbits
from irrepnet.groups import PointGroup


def among_all(vectors: np.ndarray, operations: np.ndarray) -> list[int]:
    number: list[int] = []
    firsts: list[np.ndarray] = []
    for vector in vectors:
        same = [abs(operations @ first - vector).max(1).min() < SAME for first in firsts]
        if not any(same):
            firsts.append(vector)
        number.append(same.index(True) if any(same) else len(firsts) - 1)
    return number


@pytest.mark.parametrize("name", ["1", "2/m", "3m1", "6/mmm", "m-3m"])
def test_orbits(name):
    """With noise below the tolerance, several orbits of one length, and vectors on the axes."""
    random, operations = np.random.default_rng(0), PointGroup(name).operations
    seeds = np.concatenate([3 * np.eye(3), random.normal(size=(4, 3)), [[1.0, 2, 2], [2, 1, 2], [3, 0, 0]]])
    images = np.einsum("gij,ej->egi", operations, seeds).reshape(-1, 3)
    images = images[np.unique(images.round(6) + 0.0, axis=0, return_index=True)[1]]
    vectors = random.permutation(images) + random.uniform(-0.2, 0.2, size=images.shape) * SAME
    assert edge_orbits(vectors, operations).tolist() == among_all(vectors, operations)


def test_no_edges():
    assert edge_orbits(np.empty((0, 3)), np.eye(3)[None]).shape == (0,)
