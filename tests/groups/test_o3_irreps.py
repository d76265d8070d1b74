"""Irreps of O(3) as values, against e3nn and against characters."""

import doctest
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrepnet.errors import IrrepnetError
from irrepnet.groups import SCALAR, O3Irrep, O3Irreps, harmonic_matrices, o3_irreps

o3 = pytest.importorskip("e3nn.o3")

irreps = st.builds(O3Irrep, st.integers(0, 30), st.sampled_from([1, -1]))
representations = st.dictionaries(irreps, st.integers(0, 20), max_size=6).map(O3Irreps)


def test_docstrings():
    assert doctest.testmod(o3_irreps).failed == 0


@given(irreps, irreps)
def test_irreps_are_those_of_e3nn(a, b):
    theirs = [o3.Irrep(str(irrep)) for irrep in (a, b)]
    assert [(i.l, i.p, i.dim) for i in theirs] == [(i.l, i.parity, i.dim) for i in (a, b)]
    assert [str(irrep) for irrep in a * b] == [str(irrep) for irrep in theirs[0] * theirs[1]]
    assert all(copies == 1 for copies in (a * b).values())
    assert (a * b).dim == a.dim * b.dim
    assert O3Irrep.parse(str(a)) == a
    assert (a == b) == (str(a) == str(b))
    assert len({a, b, O3Irrep(a.l, a.parity)}) == 1 + (a != b)


@given(st.lists(irreps))
def test_order(some):
    """By l, and e before o: that of the names, as long as l has one digit."""
    small = [O3Irrep(irrep.l % 10, irrep.parity) for irrep in some]
    assert [str(irrep) for irrep in sorted(small)] == sorted(map(str, small))
    assert [irrep.l for irrep in sorted(some)] == sorted(irrep.l for irrep in some)


@pytest.mark.parametrize("a", ["0e", "0o", "1o", "1e", "2e", "3o"])
@pytest.mark.parametrize("b", ["0o", "1o", "2o", "2e"])
def test_products_have_the_characters_of_both(a, b):
    rng = np.random.default_rng(0)
    operations = np.linalg.qr(rng.normal(size=(6, 3, 3)))[0]  # proper and improper

    def character(irrep):
        return np.trace(harmonic_matrices(operations, irrep.l, irrep.parity), axis1=1, axis2=2)

    a, b = O3Irrep.parse(a), O3Irrep.parse(b)
    assert np.allclose(sum(character(irrep) for irrep in a * b), character(a) * character(b), atol=1e-12)


@given(representations, representations)
def test_sums(a, b):
    assert O3Irreps(str(a)) == a
    assert list(O3Irreps(str(a))) == list(a)  # the order is kept, too
    assert str(a) == str(o3.Irreps(str(a)))
    assert a.dim == o3.Irreps(str(a)).dim
    assert a + b == b + a
    assert hash(a + b) == hash(b + a)
    assert (a + b).dim == a.dim + b.dim
    assert all((a + b)[irrep] == a.get(irrep, 0) + b.get(irrep, 0) for irrep in (a + b))
    assert a + O3Irreps() == a
    assert pickle.loads(pickle.dumps(a)) == a
    assert list(a + b)[: len(a)] == list(a)


def test_what_text_means():
    assert O3Irreps(" 2 x 0e + 1o ") == O3Irreps({SCALAR: 2, O3Irrep(1, -1): 1})
    assert O3Irreps("0x1o+2e") == O3Irreps("1x2e")
    assert O3Irreps("") == O3Irreps("  ") == O3Irreps()
    assert not O3Irreps()
    assert str(O3Irreps("12x10e+0o")) == "12x10e+1x0o"
    assert O3Irreps("1o+2e") == O3Irreps("2e+1o")


@pytest.mark.parametrize("text", ["2x0q", "0", "e", "2x", "x0e", "2y0e", "1o+", "+", "1.5x0e", "2x-1e", "2x3x0e", "1O"])
def test_what_cannot_be_read(text):
    with pytest.raises(IrrepnetError, match="cannot read the irreps"):
        O3Irreps(text)


def test_what_is_refused():
    with pytest.raises(IrrepnetError, match="twice"):
        O3Irreps("0e+2x0e")
    with pytest.raises(IrrepnetError, match="-2 copies of 0e"):
        O3Irreps("-2x0e")
    with pytest.raises(IrrepnetError, match="copies of 0e"):
        O3Irreps({SCALAR: 0.5})  # type: ignore[dict-item]
    with pytest.raises(IrrepnetError, match="cannot read the irrep '2'"):
        O3Irrep.parse("2")
    with pytest.raises(IrrepnetError, match="integer"):
        O3Irrep(-1, 1)
    with pytest.raises(IrrepnetError, match="parity"):
        O3Irrep(1, 0)
    with pytest.raises(AttributeError):
        SCALAR.l = 1  # type: ignore[misc]
