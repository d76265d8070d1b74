"""The kernel between coordinates: all of Hom_{G_ab} on every axis, plane and in general directions."""

import numpy as np
import pytest
import torch

from irrepnet.groups import POINT_GROUPS, PointGroup
from irrepnet.nn.site_bonds import SiteBonds

DIRECTIONS = {
    "[001]": (0, 0, 1), "[100]": (1, 0, 0), "[110]": (1, 1, 0), "[111]": (1, 1, 1), "30°": (np.sqrt(3), 1, 0),
    "xy0": (2, 7, 0), "0yz": (0, 3, 7), "xxz": (4, 4, 9), "xyz": (1, 5, 8),
}  # fmt: skip


def kernels(group, direction):
    """(paths, D, D): of each path of each pair of irreps its map, all other weights being zero; D = Σ d."""
    bonds = SiteBonds(group)
    dims = [irrep.dim for irrep in group.irreps[1:]]
    whole = torch.cat([torch.eye(3, dtype=torch.float64)[:d] for d in dims])
    vector, ends = torch.from_numpy(np.array([direction], float)), torch.tensor([0, 1])
    fixed = torch.tensor([dims, dims])
    tables = bonds(vector, ends[:1], ends[1:], ends[:1], fixed, torch.cat([whole, whole]))
    p, q, joins = (each[tables.kernel.row] for each in tables.pairs)
    path, number = torch.unique(joins * bonds.n_filters + tables.kernel.column, return_inverse=True)
    maps = torch.zeros(len(path), len(whole), len(whole), dtype=torch.float64)
    return maps.index_put((number, p, q - len(whole)), tables.kernel.value, accumulate=True).numpy()


def representation(group):
    blocks = [irrep.matrices for irrep in group.irreps[1:]]
    start = np.cumsum([0, *(block.shape[1] for block in blocks)])
    whole = np.zeros((group.order, start[-1], start[-1]))
    for block, i, j in zip(blocks, start, start[1:]):
        whole[:, i:j, i:j] = block
    return whole


def check(group, direction):
    """Every map commutes with the stabiliser of the direction, and they span all that do; how many."""
    r, whole = np.array(direction, float), representation(group)
    stabiliser = whole[np.abs(group.operations @ r - r).max(1) < 1e-9]
    every = round(float((np.trace(stabiliser, axis1=1, axis2=2) ** 2).mean()))  # dim Hom_H(V, V) = ⟨χ, χ⟩
    found = kernels(group, direction)
    assert abs(stabiliser[:, None] @ found - found @ stabiliser[:, None]).max() < 1e-10
    assert np.linalg.matrix_rank(found.reshape(len(found), -1), tol=1e-8) == every
    return every


@pytest.mark.parametrize(
    ("name", "direction", "expected"),
    [
        ("m-3m", "[001]", 47),
        ("m-3m", "[111]", 61),
        ("m-3m", "[110]", 91),
        ("m-3m", "xy0", 181),
        ("m-3m", "xxz", 181),
        ("m-3m", "xyz", 361),
        ("6/mmm", "[001]", 21),
        ("6/mmm", "[100]", 57),
        ("6/mmm", "30°", 57),
        ("6/mmm", "xy0", 113),
        ("6/mmm", "0yz", 113),
        ("6/mmm", "xyz", 225),
    ],
)
def test_dimensions_by_frobenius_reciprocity(name, direction, expected):
    assert check(PointGroup(name), DIRECTIONS[direction]) == expected


@pytest.mark.parametrize("name", [name for name in POINT_GROUPS if name != "1"])
def test_all_groups_in_all_kinds_of_directions(name):
    """Those with irreps of complex type and with couplings of two copies among them."""
    for direction in DIRECTIONS.values():
        check(PointGroup(name), direction)


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "m-3", "-4"])
def test_kernels_turn_with_the_bond(name):
    group = PointGroup(name)
    rng = np.random.default_rng(0)
    direction = rng.normal(size=3)
    maps, whole = kernels(group, direction), representation(group)
    for g, matrix in zip(group.operations, whole):
        np.testing.assert_allclose(kernels(group, g @ direction), matrix @ maps @ matrix.T, atol=1e-10)
