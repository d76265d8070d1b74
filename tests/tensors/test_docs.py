"""The examples of the documentation run and print what they say."""

import doctest
from pathlib import Path

import pytest

from irrepnet.tensors import cartesian


def test_page():
    page = Path(__file__).resolve().parents[2] / "docs" / "tensors.md"
    if not page.exists():
        pytest.skip("docs not present (installed package)")
    # The closing fence of a code block is not output.
    examples = doctest.DocTestParser().get_doctest(
        page.read_text(encoding="utf-8").replace("```\n", "\n"), {}, "tensors.md", str(page), 0
    )
    runner = doctest.DocTestRunner()
    runner.run(examples)
    assert runner.tries > 15
    assert runner.failures == 0


def test_docstrings():
    assert doctest.testmod(cartesian).failed == 0
