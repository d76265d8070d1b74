"""What a source holds, in one mapping: for `irrepnet data show` and for programs."""

from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from irrepnet.data.records import Record
from irrepnet.data.sets import DATASETS
from irrepnet.data.sources import read_records
from irrepnet.data.targets import (
    METADATA,
    QUANTITIES,
    scalar_targets,
    target_kind,
    target_unit,
    target_values,
)


def summary(source: Any) -> dict[str, Any]:
    """Counts, ranges and kinds of what `read_records` reads from a source; for an embedded set its origin too.

    Among the keys of the result are `count` (crystals), `targets` (numbers: unit, kind, count, min, mean, max),
    `tensors` and `site_arrays` (unit, description, count and shape of the arrays of a crystal and of its n atoms;
    "…" stands for a length that differs), `rejected` (id and reason) and `notes` (id and note).

    An array counts as one of the atoms if in all records its first length is the number of atoms, unless it is a
    known tensor of the crystal.
    """
    records, rejections = read_records(source)
    name = str(source) if isinstance(source, str | PathLike) else type(source).__name__
    described = {}
    if name in DATASETS:
        data = DATASETS[name]
        described = {
            "description": data.description,
            "licence": data.licence,
            "citation": list(data.citation),
            "source": data.source,
            "sha256": data.sha256,
            "frame": data.frame,
        }
    ranges = {}
    for target in scalar_targets(records):
        values = target_values(records, target)
        values = values[~np.isnan(values)]
        ranges[target] = {
            "unit": target_unit(target),
            "kind": target_kind(target),
            "count": len(values),
            "min": float(values.min()),
            "mean": float(values.mean()),
            "max": float(values.max()),
        }
    tensors, site_arrays = _arrays(records)
    groups = Counter(record.properties.get("point_group") for record in records)
    return {
        "name": name,
        **described,
        "count": len(records),
        "doubtful_frames": sum(bool(record.properties.get("frame_doubtful")) for record in records),
        "point_groups": {group: count for group, count in groups.most_common() if group is not None},
        "targets": ranges,
        "tensors": tensors,
        "site_arrays": site_arrays,
        "first": [{"id": record.id, "formula": record.formula, "atoms": len(record)} for record in records[:3]],
        "rejected": [vars(rejection) for rejection in rejections],
        "notes": [{"id": record.id, "note": note} for record in records for note in record.notes],
    }


def _arrays(records: Iterable[Record]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The properties that are arrays of numbers: those of the crystal, and those of the atoms."""
    shapes: dict[str, list[tuple[tuple[int, ...], int]]] = {}
    for record in records:
        for name, value in record.properties.items():
            if name not in METADATA and isinstance(value, list) and (shape := _shape(value)) is not None:
                shapes.setdefault(name, []).append((shape, len(record)))
    tensors, site_arrays = {}, {}
    for name, found in shapes.items():
        is_of_sites = name not in QUANTITIES and all(shape[0] == size for shape, size in found)
        lengths = _common([shape[is_of_sites:] for shape, _ in found])
        quantity = QUANTITIES.get(name)
        (site_arrays if is_of_sites else tensors)[name] = {
            "unit": target_unit(name),
            "description": quantity.description if quantity else "",
            "count": len(found),
            "shape": "×".join(["n", *lengths] if is_of_sites else lengths),
        }
    return tensors, site_arrays


def _shape(value: list[Any]) -> tuple[int, ...] | None:
    """The shape of an array of numbers, None for anything else."""
    try:
        array = np.array(value)
    except ValueError:
        return None
    return array.shape if array.dtype.kind in "biuf" and array.size else None


def _common(shapes: Sequence[tuple[int, ...]]) -> list[str]:
    if len({len(shape) for shape in shapes}) > 1:
        return ["…"]
    return [str(lengths[0]) if len(set(lengths)) == 1 else "…" for lengths in zip(*shapes)]
