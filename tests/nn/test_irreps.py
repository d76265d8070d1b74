import copy
import doctest
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import irrepnet.nn.irreps
from irrepnet.errors import IrrepnetError
from irrepnet.groups import SETTINGS, PointGroup
from irrepnet.nn import Irreps

blocks = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=6)


def test_docstrings_are_the_specification():
    assert doctest.testmod(irrepnet.nn.irreps).failed == 0


@given(st.sampled_from(["m-3m", "6/mmm", "-4", "mmm"]), blocks, blocks)
def test_algebra(name, first, second):
    group = PointGroup(name)

    def make(terms):
        return Irreps(group, " + ".join(f"{m}x{group.irreps[i % len(group.irreps)].label}" for m, i in terms))

    a, b = make(first), make(second)
    assert (a + b).dim == a.dim + b.dim
    assert (3 * a).dim == 3 * a.dim
    assert Irreps(group, str(a)) == a
    assert hash(Irreps(group, str(a))) == hash(a)
    assert a.simplify() == a.simplify().simplify()
    assert a.simplify().dim == a.dim
    assert [s.stop - s.start for s in a.slices] == [m * i.dim for m, i in a]


@pytest.mark.parametrize("name", SETTINGS)
def test_regular_has_the_order_of_the_group(name):
    assert Irreps.regular(name, 3).dim == 3 * PointGroup(name).order


def test_matrix_is_a_representation():
    irreps = Irreps("m-3m", "2xT1u + Eg")
    group = irreps.group
    for g, h in [(3, 17), (40, 5)]:
        np.testing.assert_allclose(
            irreps.matrix(g) @ irreps.matrix(h), irreps.matrix(group.multiplication[g, h]), atol=1e-13
        )


def test_is_a_value():
    irreps = Irreps("m-3m", "2xT1u")
    assert pickle.loads(pickle.dumps(irreps)) == irreps == copy.deepcopy(irreps)
    with pytest.raises(AttributeError):
        irreps.group = None  # type: ignore[assignment]


@pytest.mark.parametrize("text", ["2xQ", "two x T1u", "T1u T2u"])
def test_unreadable(text):
    with pytest.raises(IrrepnetError):
        Irreps("m-3m", text)


def test_groups_do_not_mix():
    with pytest.raises(IrrepnetError, match="mmm"):
        Irreps("m-3m", "A1g") + Irreps("mmm", "Ag")
