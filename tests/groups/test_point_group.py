"""Operations, tables and names of the groups."""

import itertools
import pickle
import subprocess
import sys

import numpy as np
import pytest

from irrepnet.errors import IrrepnetError
from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup

ORDERS = """
1 1  -1 2  2 2  m 2  2/m 4  222 4  mm2 4  mmm 8  4 4  -4 4  4/m 8  422 8  4mm 8  -42m 8  4/mmm 16
3 3  -3 6  321 6  3m1 6  -3m1 12  6 6  -6 6  6/m 12  622 12  6mm 12  -6m2 12  6/mmm 24
23 12  m-3 24  432 24  -43m 24  m-3m 48
"""
# Schoenflies class symbols as the textbooks print them (order of the columns aside).
CLASSES = {
    "C3v": "E 2C3 3σv",
    "D2h": "E C2(z) C2(y) C2(x) i σ(xy) σ(xz) σ(yz)",
    "D3h": "E 2C3 3C2' σh 2S3 3σv",
    "D4h": "E 2C4 C2 2C2' 2C2'' i 2S4 σh 2σv 2σd",
    "D6h": "E 2C6 2C3 C2 3C2' 3C2'' i 2S3 2S6 σh 3σd 3σv",
    "D2d": "E 2S4 C2 2C2' 2σd",
    "D3d": "E 2C3 3C2' i 2S6 3σd",
    "C3h": "E C3 C3^2 σh S3 S3^5",
    "S4": "E S4 C2 S4^3",
    "Th": "E 4C3 4C3^2 3C2 i 4S6 4S6^5 3σh",
    "Td": "E 8C3 3C2 6S4 6σd",
    "Oh": "E 8C3 6C2' 6C4 3C2 i 6S4 8S6 3σh 6σd",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_products_of_factors_are_the_group(name):
    """Each operation once, by a product of few; the identity is the first of each list."""
    group = PointGroup(name)
    products = np.array([0])
    for own in group.factors:
        assert own[0] == 0
        assert len(own) in (2, 3)
        products = group.multiplication[np.ix_(products, own)].ravel()
    assert np.array_equal(np.sort(products), np.arange(group.order))


@pytest.mark.parametrize("name", SETTINGS)
def test_operations_are_a_group(name):
    group = PointGroup(name)
    operations, table = group.operations, group.multiplication
    assert np.array_equal(operations[0], np.eye(3))
    assert np.abs(operations @ operations.swapaxes(1, 2) - np.eye(3)).max() < 1e-15
    products = operations[:, None] @ operations[None]
    assert np.abs(products - operations[table]).max() < 1e-15
    assert (np.sort(table, axis=1) == np.arange(group.order)).all()
    assert np.array_equal(table[np.arange(group.order), group.inverse], np.zeros(group.order))
    assert np.array_equal(group.indices(operations), np.arange(group.order))
    assert not operations.flags.writeable


def test_orders():
    names, orders = ORDERS.split()[::2], ORDERS.split()[1::2]
    assert tuple(names) == POINT_GROUPS
    assert [PointGroup(name).order for name in names] == [int(n) for n in orders]


@pytest.mark.parametrize("name", SETTINGS)
def test_classes_are_the_conjugacy_classes(name):
    group = PointGroup(name)
    table, inverse = group.multiplication, group.inverse
    for c in group.classes:
        conjugates = {int(table[table[g, h], inverse[g]]) for g in range(group.order) for h in c.indices}
        assert conjugates == set(c.indices)
        assert (group.class_of[list(c.indices)] == group.classes.index(c)).all()
    assert sum(len(c.indices) for c in group.classes) == group.order
    assert len({c.name for c in group.classes}) == len(group.classes)


@pytest.mark.parametrize("name", CLASSES)
def test_class_names_of_the_textbooks(name):
    assert {c.name for c in PointGroup(name).classes} == set(CLASSES[name].split())


def test_settings_are_different_sets_of_operations():
    for a, b in itertools.combinations(map(PointGroup, SETTINGS), 2):
        if a.order == b.order:
            assert {m.tobytes() for m in a.operations + 0.0} != {m.tobytes() for m in b.operations + 0.0}


def test_one_object_per_group():
    assert PointGroup("Oh") is PointGroup("m-3m")
    assert PointGroup("32") is PointGroup("321") is PointGroup("D3")
    assert PointGroup("S6") is PointGroup("C3i") is PointGroup("-3")
    assert PointGroup("-3m") is PointGroup("-3m1")
    assert pickle.loads(pickle.dumps(PointGroup("Td"))) is PointGroup("Td")


def test_errors_name_what_is_wrong():
    with pytest.raises(IrrepnetError, match=r"m3m.*did you mean.*m-3m"):
        PointGroup("m3m")
    with pytest.raises(IrrepnetError, match=r"no irrep 'T1'.*T1g"):
        PointGroup("Oh").irrep("T1")
    with pytest.raises(IrrepnetError, match="is not in 222"):
        PointGroup("222").index(-np.eye(3))
    assert PointGroup("Oh").index(-np.eye(3)) == PointGroup("Oh").classes[5].indices[0]


def test_all_groups_together_are_fast():
    """Operations, tables, irreps, characters and all couplings of the 32 groups in under two seconds."""
    code = """if True:
        import time
        from irrepnet.groups import POINT_GROUPS, PointGroup
        start = time.process_time()
        for name in POINT_GROUPS:
            group = PointGroup(name)
            labels = [irrep.label for irrep in group.irreps]
            characters = [irrep.characters for irrep in group.irreps + group.complex_irreps]
            [group.coupling(a, b, c) for a in labels for b in labels for c in labels]
        print(time.process_time() - start)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2


def test_every_space_group_names_its_point_group():
    """By symbol and number, in its own axes; against the operations of the space group."""
    import gemmi

    hexagonal = np.array([[1, -0.5, 0], [0, np.sqrt(0.75), 0], [0, 0, 1]])
    for known in gemmi.spacegroup_table():
        group = PointGroup(known.xhm())
        operations = np.unique([op.rot for op in known.operations()], axis=0) // gemmi.Op.DEN
        assert len(operations) == group.order
        if known.is_reference_setting():
            trigonal = group.system in ("trigonal", "hexagonal")
            turned = hexagonal @ operations @ np.linalg.inv(hexagonal) if trigonal else operations
            assert sorted(group.indices(turned)) == list(range(group.order)), known.xhm()
            first = {
                1: "1",
                2: "2",
                3: "3",
                4: "4",
                6: "6",
                23: "23",
                32: "321",
                112: "112",
                121: "2",
                222: "222",
            }  # point groups have these names
            assert PointGroup(str(known.number)).name == first.get(known.number, group.name)
