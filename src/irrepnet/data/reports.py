"""The embedded sets, and tensors against their crystals, as plain documents."""

from __future__ import annotations

from typing import Any

from irrepnet.data import DATASETS, read_records, target_unit
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
