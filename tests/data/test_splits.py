import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irrepnet.data import split_by_file, split_by_formula
from irrepnet.errors import IrrepnetError

formulas_lists = st.lists(st.integers(0, 60).map("X{}".format), min_size=1, max_size=300)
cuts = st.tuples(st.integers(1, 98), st.integers(1, 98)).filter(lambda c: sum(c) < 100)


@given(formulas_lists, cuts, st.integers(0, 2**32))
def test_parts_are_a_partition_that_respects_formulas(formulas, cut, seed):
    fractions = (cut[0] / 100, cut[1] / 100, (100 - sum(cut)) / 100)
    try:
        parts = split_by_formula(formulas, fractions, seed)
    except IrrepnetError as error:
        assert "would be empty" in str(error)  # noqa: PT017 (both outcomes are right)
        return
    assert list(parts) == ["train", "validation", "test"]
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(formulas)))
    seen = [{formulas[i] for i in part} for part in parts.values()]
    assert sum(map(len, seen)) == len(set(formulas))
    largest = max(formulas.count(f) for f in set(formulas))
    for part, fraction in zip(parts.values(), fractions, strict=True):
        assert abs(len(part) - fraction * len(formulas)) <= largest + 1e-9


@given(st.permutations([f"X{i // 2}" for i in range(100)]))
def test_a_formula_goes_where_it_goes_whatever_the_order_of_the_data(formulas):
    test_part = {formulas[i] for i in split_by_formula(formulas)["test"]}
    reference = [f"X{i // 2}" for i in range(100)]
    assert test_part == {reference[i] for i in split_by_formula(reference)["test"]}


def test_golden_split():
    """The split of a seed is part of every reported number: it must not change with versions or machines."""
    parts = split_by_formula([f"X{i}" for i in range(20)], seed=7)
    assert {name: part.tolist() for name, part in parts.items() if name != "train"} == {
        "validation": [0, 11],
        "test": [1, 2],
    }
    assert len(parts["train"]) == 16


def test_seed_changes_the_split():
    formulas = [f"X{i}" for i in range(100)]
    assert not np.array_equal(split_by_formula(formulas, seed=0)["test"], split_by_formula(formulas, seed=1)["test"])


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2), (0.8, 0.1, 0.2), (0.9, 0.1, 0.0), (1.2, -0.1, -0.1), (0.8, 0.1, float("nan"))]
)
def test_bad_fractions(fractions):
    with pytest.raises(IrrepnetError, match="with sum 1"):
        split_by_formula(["A", "B", "C"], fractions)


def test_too_few_formulas():
    with pytest.raises(IrrepnetError, match="the validation and test part would be empty"):
        split_by_formula(["A"] * 10)
    with pytest.raises(IrrepnetError, match="0 crystals"):
        split_by_formula([])


def test_parts_from_a_file(tmp_path):
    path, ids = tmp_path / "split.json", ["a", "b", "c", "d", "e"]
    path.write_text(json.dumps({"train": ["c", "a", "not there"], "validation": ["d"], "test": {"id": ["b"]}}))
    parts = split_by_file(ids, path)
    assert {name: [ids[k] for k in own] for name, own in parts.items()} == {
        "train": ["a", "c"], "validation": ["d"], "test": ["b"]
    }  # fmt: skip
    for text, reason in (
        ("", "cannot be read"),
        ('{"train": ["a"], "validation": ["b"]}', "cannot be read"),
        ('{"train": ["a"], "validation": ["b"], "test": ["a"]}', "names the id a twice"),
        ('{"train": ["a"], "validation": ["b"], "test": ["x"]}', "its test part"),
    ):
        path.write_text(text)
        with pytest.raises(IrrepnetError, match=reason):
            split_by_file(ids, path)
    with pytest.raises(IrrepnetError, match="cannot be read"):
        split_by_file(ids, tmp_path / "nothing.json")
