"""Outside text on its way out: no markup, no escape sequences, no formulas."""

import csv
import io
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from irrepnet.outlets import csv_line, for_csv, for_html, for_picture, for_terminal, from_csv

TEXT = st.text(st.characters(exclude_categories=[]))
"""Surrogates and control characters among it."""


@given(TEXT)
def test_the_terminal_gets_no_command(text):
    safe = for_terminal(text)
    assert not any((ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in safe)
    safe.encode()
    assert for_terminal(safe) == safe


@given(TEXT)
def test_html_gets_no_markup(text):
    assert not set(for_html(text)) & set("<>\"'")


@given(TEXT)
def test_a_table_comes_back(text):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(csv_line([text, "x"]))
    (row,) = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    plain = for_terminal(text)
    if not plain.startswith("'"):
        assert from_csv(row[0]) == plain
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r")) or float(row[0]) is not None


@pytest.mark.parametrize(
    ("cell", "written"),
    [("=1+1", "'=1+1"), ("-x", "'-x"), ("-1", "-1"), ("+1e3", "+1e3"), ("@a", "'@a"), (None, ""), (-3.5, -3.5),
     (float("nan"), ""), ("mp-1", "mp-1"), ("-inf", "-inf")],
)  # fmt: skip
def test_cells(cell, written):
    assert for_csv(cell) == written


@pytest.mark.parametrize("text", ["$$", "$", "$x$", r"\$", "$\\frac{", "a_b^c", "\x1b[0m", "\ud800", "", "{", "\\"])
def test_pictures(text):
    figure = Figure()
    figure.text(0, 0, for_picture(text))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure.savefig(io.BytesIO())
