"""The examples in docstrings print what they say."""

import doctest

from irrepnet.tensors import cartesian


def test_docstrings():
    assert doctest.testmod(cartesian).failed == 0
