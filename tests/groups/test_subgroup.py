"""Identification in any orientation, subgroups, correlation tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup, identify, setting_of


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How far two sets of matrices are apart."""
    pairwise = np.abs(a[:, None] - b[None]).max((-1, -2))
    return float(max(pairwise.min(0).max(), pairwise.min(1).max()))


orientations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(rng=seed).as_matrix())


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(SETTINGS), orientations, st.randoms(use_true_random=False))
def test_identify_in_any_orientation(name, q, shuffle):
    given_group = PointGroup(name)
    order = list(range(given_group.order))
    shuffle.shuffle(order)
    matrices = (q @ given_group.operations @ q.T)[order]
    group, rotation = identify(matrices)
    assert group.name in POINT_GROUPS
    assert group.schoenflies == given_group.schoenflies
    assert abs(np.linalg.det(rotation) - 1) < 1e-12
    assert distance(rotation @ group.operations @ rotation.T, matrices) < 1e-12


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(SETTINGS), orientations, st.integers(0, 1000))
def test_identify_removes_noise(name, q, seed):
    given_group = PointGroup(name)
    exact = q @ given_group.operations @ q.T
    noise = np.random.default_rng(seed).uniform(-1e-4, 1e-4, exact.shape)
    group, rotation = identify(exact + noise)
    found = rotation @ group.operations @ rotation.T
    assert group.schoenflies == given_group.schoenflies
    assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-14
    assert distance(found, exact) < 3e-4


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_standard_frame_needs_no_rotation(name):
    group, rotation = identify(PointGroup(name).operations)
    assert group is PointGroup(name)
    assert np.abs(rotation - np.eye(3)).max() < 1e-14


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_of(name):
    assert setting_of(PointGroup(name).operations[::-1]) is PointGroup(name)


def test_what_is_not_a_point_group():
    with pytest.raises(IrrepnetError, match="not closed"):
        identify(PointGroup("Oh").operations[:7])
    with pytest.raises(IrrepnetError, match="not an orthogonal"):
        identify(np.eye(3)[None] * 2)
    with pytest.raises(IrrepnetError, match="not an orthogonal"):
        identify(np.full((1, 3, 3), np.nan))
    with pytest.raises(IrrepnetError, match="rotation by 144"):
        identify(Rotation.from_euler("z", np.arange(5)[:, None] * 72, degrees=True).as_matrix())
    with pytest.raises(IrrepnetError, match="twice"):
        identify(np.stack([np.eye(3), np.eye(3)]))
    with pytest.raises(IrrepnetError, match=r"\(N, 3, 3\)"):
        identify(np.eye(3))


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "-42m", "m-3"])
def test_basis_change_is_block_diagonal(name):
    group = PointGroup(name)
    for h in SETTINGS:
        try:
            subgroup = group.subgroup(h)
        except IrrepnetError:
            assert group.order % PointGroup(h).order or h in NOT_INSIDE[name]
            continue
        moved = subgroup.rotation @ subgroup.group.operations @ subgroup.rotation.T
        assert np.abs(group.operations[subgroup.indices] - moved).max() < 1e-12
        for irrep in group.irreps:
            basis = subgroup.basis(irrep.label)
            assert np.abs(basis @ basis.T - np.eye(irrep.dim)).max() < 1e-13
            matrices = basis @ irrep.matrices[subgroup.indices] @ basis.T
            blocks = [subgroup.group.irrep(label).matrices for label in subgroup.blocks(irrep.label)]
            expected = np.zeros_like(matrices)
            start = 0
            for block in blocks:
                stop = start + block.shape[1]
                expected[:, start:stop, start:stop] = block
                start = stop
            assert start == irrep.dim
            assert np.abs(matrices - expected).max() < 1e-13


NOT_INSIDE = {
    "m-3m": {"6", "-6", "6/m", "622", "6mm", "-6m2", "-62m", "6/mmm"},
    "6/mmm": {"4", "-4", "4/m", "422", "4mm", "-42m", "-4m2", "23", "m-3", "432", "-43m"},
    "-42m": {"-1", "2/m", "112/m", "4", "mmm", "4/m", "422", "4mm"},
    "m-3": {
        "4",
        "-4",
        "4/m",
        "422",
        "4mm",
        "-42m",
        "-4m2",
        "321",
        "312",
        "3m1",
        "31m",
        "-3m1",
        "-31m",
        "6",
        "-6",
    }
    | {"6/m", "622", "6mm", "-6m2", "-62m", "432", "-43m", "6/mmm"},
}


def correlation(group: str, subgroup: str) -> dict[str, str]:
    table = PointGroup(group).subgroup(subgroup).correlation
    return {g: "+".join(f"{n if n > 1 else ''}{h}" for h, n in counts.items()) for g, counts in table.items()}


def test_published_correlations():
    d4h = correlation("Oh", "D4h")
    assert d4h["Eg"] == "A1g+B1g"
    assert d4h["T1g"] == "A2g+Eg"
    assert d4h["T2g"] == "B2g+Eg"
    assert d4h["T1u"] == "A2u+Eu"
    assert d4h["A2u"] == "B1u"
    d3d = correlation("Oh", "D3d")
    assert d3d["Eg"] == "Eg"
    assert d3d["T1g"] == "A2g+Eg"
    assert d3d["T2g"] == "A1g+Eg"
    assert d3d["T1u"] == "A2u+Eu"
    assert d3d["T2u"] == "A1u+Eu"
    td = correlation("Oh", "Td")
    assert td == {
        "A1g": "A1", "A2g": "A2", "Eg": "E", "T1g": "T1", "T2g": "T2",
        "A1u": "A2", "A2u": "A1", "Eu": "E", "T1u": "T2", "T2u": "T1",
    }  # fmt: skip
    c3v = correlation("Td", "C3v")
    assert c3v == {"A1": "A1", "A2": "A2", "E": "E", "T1": "A2+E", "T2": "A1+E"}
    assert correlation("D6h", "D3d")["E1u"] == "Eu"
    assert correlation("D3h", "C3v")["E''"] == "E"


def test_three_fold_subgroup_lies_along_111():
    subgroup = PointGroup("Oh").subgroup("3m")
    assert np.allclose(subgroup.rotation @ [0, 0, 1], np.ones(3) / np.sqrt(3))


@pytest.mark.parametrize("name", ["Oh", "D6h"])
def test_site_groups_by_indices(name):
    """The stabiliser of a point, given by its operations, is found with its orientation."""
    group = PointGroup(name)
    expected = {
        "Oh": {(0, 0, 1): "C4v", (1, 1, 0): "C2v", (1, 1, 1): "C3v", (1, 2, 0): "Cs", (1, 2, 3): "C1"},
        "D6h": {(0, 0, 1): "C6v", (1, 0, 0): "C2v", (0, 1, 0): "C2v", (1, 0, 1): "Cs", (1, 2, 3): "C1"},
    }
    for point, schoenflies in expected[name].items():
        r = np.array(point, float)
        indices = np.flatnonzero(np.abs(group.operations @ r - r).max(-1) < 1e-9)
        subgroup = group.subgroup(indices)
        assert subgroup.group.schoenflies == schoenflies
        assert sorted(subgroup.indices) == sorted(indices)
    aligned = PointGroup("Oh").subgroup(PointGroup("Oh").indices(PointGroup("-4m2").operations))
    assert aligned.group is PointGroup("-4m2")
    assert np.array_equal(aligned.rotation, np.eye(3))


def test_errors():
    oh = PointGroup("Oh")
    with pytest.raises(IrrepnetError, match="6/mmm is not a subgroup of m-3m"):
        oh.subgroup("D6h")
    with pytest.raises(IrrepnetError, match="not closed"):
        oh.subgroup([0, 1])
    with pytest.raises(IrrepnetError, match="0 to 47"):
        oh.subgroup([0, 48])
    with pytest.raises(IrrepnetError, match="indices"):
        oh.subgroup([])
