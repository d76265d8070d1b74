"""What the embedded sets and files of records hold, as plain documents; tensors against their crystals."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from irrepnet.data import (
    DATASETS,
    QUANTITIES,
    read_records,
    scalar_targets,
    target_kind,
    target_unit,
    target_values,
)
from irrepnet.data.tensors import TENSORS, AlignedTensor, aligned_tensors
from irrepnet.errors import IrrepnetError

LIMITS = (1e-3, 1e-2, 5e-2)
"""Residuals below which tensors are counted."""


def list_sets() -> list[dict[str, Any]]:
    """The data sets that come with the package."""
    return [
        {
            "name": data.name,
            "count": data.count,
            "doubtful_frames": data.doubtful,
            "description": data.description,
            "targets": {target: target_unit(target) for target in data.targets},
            "licence": data.licence,
        }
        for data in DATASETS.values()
    ]


def describe_records(source: str) -> dict[str, Any]:
    """Licence, citation, frames, point groups, targets with their ranges and first records of a set, file or folder.

    Raises IrrepnetError if it cannot be read; records that cannot are listed.
    """
    records, rejections = read_records(source)
    described = {}
    if source in DATASETS:
        data = DATASETS[source]
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
    names = {key for record in records for key, value in record.properties.items() if isinstance(value, list)}
    tensors = {
        key: {"unit": quantity.unit, "description": quantity.description}
        for key, quantity in QUANTITIES.items()
        if key in names
    }
    groups = Counter(record.properties.get("point_group") for record in records)
    return {
        "name": source,
        **described,
        "count": len(records),
        "doubtful_frames": sum(bool(record.properties.get("frame_doubtful")) for record in records),
        "point_groups": {group: count for group, count in groups.most_common() if group is not None},
        "targets": ranges,
        "tensors": tensors,
        "first": [{"id": record.id, "formula": record.formula, "atoms": len(record)} for record in records[:3]],
        "rejected": [vars(rejection) for rejection in rejections],
    }


def check_tensors(
    file: str, target: str = "", symmetry: str = "", symprec: float = 0.01, tolerance: float = 0.05
) -> dict[str, Any]:
    """Whether the tensors of a file of records obey the symmetry of their crystals, in their frame or another one.

    Args:
        target: the property; "" for all tensors that are known.
        symmetry: its index symmetry, for a tensor that is not known.
        symprec: Å, how far from symmetric an atom may be.
        tolerance: the largest residual that is accepted.

    Raises IrrepnetError if the file cannot be read or has no such tensor; tensors that do not fit are listed.
    """
    records, unreadable = read_records(file)
    present = {name for record in records for name, value in record.properties.items() if value is not None}
    targets = [target] if target else [name for name in TENSORS if name in present]
    if not targets:
        raise IrrepnetError(f"{file}: holds none of {', '.join(TENSORS)}; give --target and --symmetry")
    if target and target not in present:
        raise IrrepnetError(f"{file}: no record has {target!r}; there are {', '.join(sorted(present)) or 'none'}")
    document: dict[str, Any] = {"file": file, "symprec": symprec, "tolerance": tolerance, "targets": {}}
    for name in targets:
        aligned, rejected = aligned_tensors(records, name, symmetry or None, symprec=symprec, tolerance=tolerance)
        reasons = [vars(rejection) for rejection in [*unreadable, *rejected]]
        document["targets"][name] = _summary(aligned) | {"rejected": reasons}
    return document


def _summary(aligned: dict[str, AlignedTensor]) -> dict[str, Any]:
    crystals = [
        {
            "id": id,
            "formula": tensor.crystal.formula,
            "point_group": tensor.crystal.point_group.name,
            "residual_as_given": tensor.residual_as_given,
            "residual": tensor.residual,
            "frame": tensor.frame,
            "rotation": tensor.rotation.tolist(),
            "checked": tensor.is_checked,
            "certain": tensor.is_certain,
        }
        for id, tensor in aligned.items()
    ]
    reoriented = sum(tensor.is_reoriented for tensor in aligned.values())
    return {
        "clean": len(aligned) - reoriented,
        "reoriented": reoriented,
        "uncertain": sum(not tensor.is_certain for tensor in aligned.values()),
        "unchecked": sum(not tensor.is_checked for tensor in aligned.values()),
        "residual_as_given_below": {str(x): sum(c["residual_as_given"] < x for c in crystals) for x in LIMITS},
        "residual_below": {str(x): sum(c["residual"] < x for c in crystals) for x in LIMITS},
        "crystals": crystals,
    }
