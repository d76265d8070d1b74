"""The examples of docs/o3.md run and print what they say."""

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_page(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "o3.md"
    if not page.exists():
        pytest.skip("docs not present (installed package)")
    # The closing fence of a code block is not output.
    text = page.read_text(encoding="utf-8").replace("```\n", "\n")
    examples = doctest.DocTestParser().get_doctest(text, {}, "o3.md", str(page), 0)
    runner = doctest.DocTestRunner()
    runner.run(examples)
    assert runner.tries > 10
    assert runner.failures == 0
