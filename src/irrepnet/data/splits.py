"""Splitting data so that no formula is in two parts."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.inlets import json_value

PARTS = ("train", "validation", "test")


def split_by_formula(
    formulas: Sequence[str], fractions: Sequence[float] = (0.8, 0.1, 0.1), seed: int = 0
) -> dict[str, np.ndarray]:
    """Indices of the training, validation and test part; crystals of one formula stay together.

    Polymorphs of one compound have almost the same energy: with one of them in the training set, another in
    the test set would be no test. The formulas are put in an order by the sha256 of seed and formula, the
    same on every machine, and cut where the crystals reach the fractions; a part is off its share by at most
    the crystals of the most frequent formula.

    Args:
        formulas: one reduced formula a crystal.
        fractions: of the three parts; positive, with sum 1.
        seed: another seed, another split.

    Returns:
        {"train", "validation", "test"} -> sorted int64 indices into `formulas`.

    Raises:
        IrrepnetError: bad fractions, or a part without a crystal.
    """
    if len(fractions) != 3 or not all(0 < f < 1 for f in fractions) or not math.isclose(sum(fractions), 1):
        raise IrrepnetError(
            f"fractions are three positive numbers (train, validation, test) with sum 1, not {fractions}"
        )
    groups: dict[str, list[int]] = {}
    for index, formula in enumerate(formulas):
        groups.setdefault(formula, []).append(index)
    order = sorted(groups, key=lambda formula: hashlib.sha256(f"{seed}:{formula}".encode()).digest())

    sizes = np.array([len(groups[formula]) for formula in order], dtype=float)
    middles = np.cumsum(sizes) - sizes / 2
    part_of = np.searchsorted(np.cumsum(fractions)[:2] * len(formulas), middles, side="right")
    parts = {
        name: np.array(sorted(i for f, p in zip(order, part_of) if p == part for i in groups[f]), dtype=np.int64)
        for part, name in enumerate(PARTS)
    }
    empty = [name for name in PARTS if not len(parts[name])]
    if empty:
        raise IrrepnetError(
            f"{len(formulas)} crystals of {len(groups)} formulas are too few for fractions "
            f"{tuple(fractions)}: the {' and '.join(empty)} part would be empty"
        )
    return parts


def split_by_file(ids: Sequence[str], path: Path) -> dict[str, np.ndarray]:
    """Indices of the parts that a JSON file names: ids by part, or split.json of a run, {"train": {"id": [...]}, ...}.

    Args:
        ids: of the crystals; those that the file does not name are in no part.
        path: of the file.

    Raises:
        IrrepnetError: it cannot be read, names an id twice, or a part without any of the crystals.
    """
    try:
        content = json_value(path.read_text(encoding="utf-8"))
        named = {part: content[part]["id"] if isinstance(content[part], Mapping) else content[part] for part in PARTS}
        named = {part: list(map(str, own)) for part, own in named.items()}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise IrrepnetError(
            f'data.split: {path}: cannot be read ({error}); write {{"train": [ids], "validation": […], "test": […]}}'
        ) from None
    everything = [id for own in named.values() for id in own]
    if len(set(everything)) < len(everything):
        twice = next(id for id, count in Counter(everything).items() if count > 1)
        raise IrrepnetError(f"data.split: {path}: names the id {twice} twice")
    index = {id: number for number, id in enumerate(ids)}
    parts = {part: np.array(sorted(index[id] for id in own if id in index), np.int64) for part, own in named.items()}
    for part, own in parts.items():
        if not len(own):
            raise IrrepnetError(f"data.split: {path}: none of the ids of its {part} part is that of a usable crystal")
    return parts
