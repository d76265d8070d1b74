"""What the symmetry search makes of a crystal, as a plain document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import (
    MODEL_GROUPS,
    SymmetricCrystal,
    frame_convention,
    frame_rotation,
    model_group,
    neighbour_shells,
    shell_starts,
    site_irreps,
    vibration_modes,
)
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup

N_MAX = 12
"""The usual number of neighbours to cut at."""


def describe_crystal(file: str | Path, max_frames: int, symprec: float = 0.01, irreps: bool = False) -> dict[str, Any]:
    """Space group, frame, orbits with their site symmetry, and neighbour shells of a structure file.

    Args:
        max_frames: so many a network takes; the report says it beside the number that the crystal needs.
        symprec: Å, how far from symmetric an atom may be.
        irreps: adds orbitals and tensors at the sites, and the vibration modes at Γ.

    Raises IrrepnetError if the file cannot be read or no group is consistent with it.
    """
    crystal = SymmetricCrystal.from_structure(file, symprec)
    return {"file": str(file)} | describe_symmetry(crystal, max_frames, irreps)


def describe_symmetry(crystal: SymmetricCrystal, max_frames: int, irreps: bool = False) -> dict[str, Any]:
    """The same of a crystal that is read already, without the name of the file."""
    group = crystal.point_group
    conventional = crystal.cart_coords @ np.linalg.inv(crystal.conventional_lattice) % 1.0
    frames = {name: _frames(group.operations, PointGroup(name)) for name in MODEL_GROUPS}
    report = {
        "notes": list(crystal.notes),
        "formula": crystal.formula,
        "spacegroup": {
            "number": crystal.spacegroup_number,
            "symbol": crystal.spacegroup_symbol,
            "hall_number": crystal.hall_number,
        },
        "point_group": {
            "name": group.name,
            "schoenflies": group.schoenflies,
            "system": group.system,
            "order": group.order,
            "operations": group.operations.tolist(),
        },
        "frame": {
            "rotation": crystal.rotation.tolist(),
            "rotation_determinant": float(np.linalg.det(crystal.rotation)),
            "fixed_by_lattice": crystal.frame_is_fixed,
            "model_group": model_group(crystal).name,
            "network_convention": frame_convention(crystal),
            "network_rotation": frame_rotation(crystal).tolist(),
            "max_frames": max_frames,
            "independent_frames": {name: count for name, count in frames.items() if count},
        },
        "symprec": crystal.symprec,
        "displacement": crystal.displacement,
        "strain": crystal.strain,
        "lattice": crystal.lattice.tolist(),
        "conventional_lattice": crystal.conventional_lattice.tolist(),
        "species": list(crystal.species),
        "frac_coords": crystal.frac_coords.tolist(),
        "wyckoff": list(crystal.wyckoff),
        "rotations": crystal.rotations.tolist(),
        "translations": crystal.translations.tolist(),
        "permutation": crystal.permutation.tolist(),
        "orbits": _orbits(crystal, conventional),
    }
    if irreps:
        _add_irreps(report, crystal)
    return report


def _frames(operations: np.ndarray, larger: PointGroup) -> int | None:
    """|G|/|P|, the frames that a network of group G needs for this crystal; None if G does not contain P."""
    try:
        larger.indices(operations)
    except IrrepnetError:
        return None
    return larger.order // len(operations)


def _orbits(crystal: SymmetricCrystal, conventional: np.ndarray) -> list[dict[str, Any]]:
    pairs = neighbour_shells(crystal, n_max=N_MAX)
    orbits = []
    for number, atom in enumerate(crystal.representatives):
        indices = crystal.site_groups[number]
        site = crystal.point_group.subgroup(indices)
        mine = pairs.receiver == atom
        orbits.append(
            {
                "element": crystal.species[atom],
                "wyckoff": crystal.wyckoff[atom],
                "multiplicity": int(crystal.multiplicities[number]),
                "atoms": np.flatnonzero(crystal.orbits == number).tolist(),
                "site_symmetry": crystal.site_symmetry[number],
                "site_group": {
                    "name": site.group.name,
                    "schoenflies": site.group.schoenflies,
                    "order": site.group.order,
                    "operations": crystal.point_group.operations[indices].tolist(),
                    "rotation": site.rotation.tolist(),
                },
                "frac_coords": crystal.frac_coords[atom].tolist(),
                "conventional_frac_coords": conventional[atom].tolist(),
                "neighbours": int(mine.sum()),
                "cut_splits_shell": bool(mine.sum() > N_MAX),
                "shells": _shells(pairs.distance[mine], [crystal.species[b] for b in pairs.sender[mine]]),
            }
        )
    return orbits


def _add_irreps(report: dict[str, Any], crystal: SymmetricCrystal) -> None:
    """Adds `orbitals`, `tensors` and `vibrations` to the orbits, and the `vibrations` of the crystal."""
    modes = vibration_modes(crystal)
    for number, orbit in enumerate(report["orbits"]):
        site = site_irreps(crystal, number)
        tensors = {
            "vector": site.vector,
            "field_gradient": site.field_gradient,
            "born_charge": site.born_charge,
        }
        orbit["orbitals"] = site.orbitals
        orbit["tensors"] = {
            name: {"independent": len(tensor.basis), "pattern": tensor.pattern, "basis": tensor.basis.tolist()}
            for name, tensor in tensors.items()
        }
        orbit["vibrations"] = modes.orbits[number]
    report["vibrations"] = {
        name: getattr(modes, name) for name in ("mechanical", "acoustic", "optical", "infrared", "raman", "silent")
    }


def _shells(distances: np.ndarray, elements: list[str]) -> list[dict[str, Any]]:
    """Sorted distances in shells of which each begins more than 0.001 Å after the one before."""
    starts = shell_starts(distances).tolist()
    shells = []
    for start, stop in zip(starts, [*starts[1:], len(distances)], strict=True):
        within = elements[start:stop]
        shells.append(
            {
                "distance": float(distances[start]),
                "count": stop - start,
                "elements": {element: within.count(element) for element in sorted(set(within))},
            }
        )
    return shells
