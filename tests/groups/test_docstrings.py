"""The examples in docstrings print what they say."""

import doctest

from irrepnet.groups import point_group


def test_docstrings():
    assert doctest.testmod(point_group).failed == 0
