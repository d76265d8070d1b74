"""Products and coupling coefficients."""

import json
from pathlib import Path

import numpy as np
import pytest

from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup

GOLDEN = Path(__file__).with_name("golden_couplings.json")


def triples(group):
    labels = [i.label for i in group.irreps]
    return [(a, b, c) for a in labels for b in labels for c in labels]


@pytest.mark.parametrize("name", SETTINGS)
def test_couplings_intertwine_and_are_complete(name):
    group = PointGroup(name)
    for a, b, c in triples(group):
        u = group.coupling(a, b, c)
        one, two, to = (group.irrep(label) for label in (a, b, c))
        assert u.shape[1:] == (to.dim, one.dim, two.dim)
        assert len(u) == group.product(a, b).get(c, 0)
        hom = np.mean(one.characters * two.characters * to.characters)
        assert len(u) * len(to.commutant) == round(hom)
        left = np.einsum("gmn,cnij->gcmij", to.matrices, u)
        right = np.einsum("cmkl,gki,glj->gcmij", u, one.matrices, two.matrices, optimize=True)
        assert np.abs(left - right).max(initial=0) < 1e-14
        # All copies and, in complex type, their J partners are orthonormal.
        maps = np.einsum("jmn,cnik->cjmik", to.commutant, u).reshape(round(hom), to.dim * one.dim * two.dim)
        assert np.abs(maps @ maps.T - to.dim * np.eye(len(maps))).max(initial=0) < 1e-14
        for copy in u:
            flat = copy.reshape(to.dim, -1)
            assert np.abs(flat @ flat.T - np.eye(to.dim)).max() < 1e-14
            assert copy[copy != 0].flat[0] > 0


@pytest.mark.parametrize("name", SETTINGS)
def test_products_have_the_right_dimension(name):
    group = PointGroup(name)
    for a in group.irreps:
        for b in group.irreps:
            total = sum(n * group.irrep(c).dim for c, n in group.product(a.label, b.label).items())
            assert total == a.dim * b.dim


def test_counts():
    """172 paths and 656 non-zeros in O_h; 1410 paths over C in the 32 groups, multiplicity at most 2."""
    oh = PointGroup("Oh")
    couplings = [oh.coupling(*t) for t in triples(oh)]
    assert sum(map(len, couplings)) == 172
    assert sum(np.count_nonzero(u) for u in couplings) == 656
    multiplicities, total = set(), 0
    for name in POINT_GROUPS:
        group = PointGroup(name)
        characters = np.array([i.characters for i in group.complex_irreps])
        counts = np.einsum("ag,bg,cg->abc", characters, characters, characters.conj()).real / group.order
        total += round(counts.sum())
        if counts.max() > 1.5:
            multiplicities.add(name)
        assert counts.max() < 2.5
    assert total == 1410
    assert multiplicities == {"23", "m-3"}


def test_two_copies_symmetric_first():
    t = PointGroup("T").coupling("T", "T", "T")
    symmetric, antisymmetric = t
    assert np.array_equal(symmetric, symmetric.swapaxes(1, 2))
    assert np.array_equal(antisymmetric, -antisymmetric.swapaxes(1, 2))
    cross = np.cross(np.eye(3)[:, None], np.eye(3)[None])  # [i, j, n] of e_i × e_j
    assert np.allclose(antisymmetric * np.sqrt(2), np.moveaxis(cross, -1, 0))
    for name, e in (("C3", "E"), ("C4h", "Eg"), ("S4", "E"), ("T", "E"), ("C6", "E2")):
        group = PointGroup(name)
        for c in group.product(e, e):
            symmetric = [np.allclose(u, u.swapaxes(1, 2)) for u in group.coupling(e, e, c)]
            assert symmetric == sorted(symmetric, reverse=True)


@pytest.mark.parametrize("name", ["T", "Th", "C3", "C4", "C6", "S4", "C3i", "C3h", "C4h", "C6h"])
def test_copies_belong_to_the_parent(name):
    """In the ten groups with complex type every copy is a coupling of the simply reducible supergroup."""
    group = PointGroup(name)
    parent = PointGroup(group.setting.parent)
    indices = parent.indices(group.operations)
    restricted = [(p, p.matrices[indices]) for p in parent.irreps]
    lifts = {i.label: [p for p, m in restricted if np.array_equal(m, i.matrices)] for i in group.irreps}
    assert all(lifts.values())
    for a, b, c in triples(group):
        for copy in group.coupling(a, b, c):
            candidates = [parent.coupling(lifts[a][0].label, lifts[b][0].label, p.label) for p in lifts[c]]
            assert any(np.array_equal(copy, u) for us in candidates for u in us)


def test_published_products():
    oh = PointGroup("Oh")
    assert oh.product("T1u", "T1u") == {"A1g": 1, "Eg": 1, "T1g": 1, "T2g": 1}
    assert oh.product("Eg", "T2g") == {"T1g": 1, "T2g": 1}
    assert PointGroup("D3").product("E", "E") == {"A1": 1, "A2": 1, "E": 1}
    assert PointGroup("D4").product("E", "E") == {"A1": 1, "A2": 1, "B1": 1, "B2": 1}
    assert PointGroup("T").product("T", "T") == {"A": 1, "E": 1, "T": 2}
    assert PointGroup("C3").product("E", "E") == {"A": 2, "E": 1}
    # The familiar coefficients of two vectors: scalar product, vector product.
    assert np.allclose(oh.coupling("T1u", "T1u", "A1g")[0, 0], np.eye(3) / np.sqrt(3))
    assert np.allclose(oh.coupling("T1u", "T1u", "T1g")[0, 0], [[0, 0, 0], [0, 0, 0.5**0.5], [0, -(0.5**0.5), 0]])


def test_coupling_of_unknown_irrep():
    with pytest.raises(IrrepnetError, match="no irrep 'T3u'"):
        PointGroup("Oh").coupling("T1u", "T3u", "A1g")


def nonzeros(name: str) -> dict[str, list]:
    group = PointGroup(name)
    found = {}
    for a, b, c in triples(group):
        u = group.coupling(a, b, c)
        if len(u):
            flat = u.ravel()
            places = np.flatnonzero(flat)
            found[f"{a} {b} {c}"] = [[int(k), round(float(flat[k]), 12)] for k in places]
    return found


@pytest.mark.parametrize("name", ["m-3m", "6/mmm", "23", "m-3"])
def test_golden(name):
    """Signs and order of the couplings are part of the format of stored weights: they never change."""
    golden = json.loads(GOLDEN.read_text())[name]
    found = nonzeros(name)
    assert found.keys() == golden.keys()
    for path, values in golden.items():
        assert [k for k, _ in found[path]] == [k for k, _ in values], path
        assert np.allclose([v for _, v in found[path]], [v for _, v in values], atol=2e-12), path
