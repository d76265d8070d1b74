"""The examples of the documentation run and print what they say."""

import doctest
from pathlib import Path

import pytest

from irrepnet.groups import point_group


def test_page():
    page = Path(__file__).resolve().parents[2] / "docs" / "groups.md"
    if not page.exists():
        pytest.skip("docs not present (installed package)")
    # The closing fence of a code block is not output.
    examples = doctest.DocTestParser().get_doctest(
        page.read_text(encoding="utf-8").replace("```\n", "\n"), {}, "groups.md", str(page), 0
    )
    runner = doctest.DocTestRunner()
    runner.run(examples)
    assert runner.tries > 15
    assert runner.failures == 0


def test_docstrings():
    assert doctest.testmod(point_group).failed == 0
