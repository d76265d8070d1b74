"""Whether data are what they seem: duplicates, crystals unlike others, outliers, units, frames of tensors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.crystals.doubts import measures, suspicions
from irrepnet.data import Record, read_records, scalar_targets, target_kind, target_unit, target_values
from irrepnet.data.tensors import TENSORS, aligned_tensors
from irrepnet.errors import IrrepnetError, each_or_error
from irrepnet.files import write_text
from irrepnet.report.html import render

OUTLYING = 8.0
"""Distances from the median, in units of the spread of the middle half, that are listed."""
LISTED = 20
"""Crystals of a kind that are listed; all are counted."""
PLAUSIBLE: dict[str, tuple[float, float]] = {
    "formation_energy_per_atom": (-6, 3), "e_above_hull": (-0.1, 3), "band_gap": (0, 16), "dir_gap": (0, 16),
    "ind_gap": (0, 16), "K_VRH": (2, 500), "G_VRH": (1, 600), "log_K_VRH": (0.3, 2.75), "log_G_VRH": (0, 2.8),
    "n": (1, 20), "eij_max": (0, 60),
}  # fmt: skip
"""Where the middle half of the values of known quantities lies, in their units."""


def check_data(source: Any, symprec: float = 0.01) -> dict[str, Any]:
    """What a reader of a data set should look at before learning from it.

    Args:
        source: of any kind that :func:`irrepnet.data.read_records` reads.
        symprec: Å, how far from symmetric an atom may be.

    Returns:
        ``count``, of the crystals that can be used; ``rejected`` (id, reason); ``symmetry``: how many crystals have
        each point group, how many each crystal system, how many had an atom to be moved by more than half of
        ``symprec``; ``duplicates``: lists of ids of one crystal (pymatgen's StructureMatcher, among crystals of one
        formula and space group); ``unusual``: crystals whose density, distances or coordination are not like those of
        others, and how many would be if all lengths were scaled; ``targets``: of each number its unit, count, median,
        quartiles, outliers, and ``unit_doubtful`` where the middle half is not where that of a known quantity lies;
        ``tensors``: of each known tensor how many fit their crystals' frames, as given or turned.

    Raises:
        IrrepnetError: the source cannot be read at all.
    """
    records, rejections = read_records(source)
    made = each_or_error(lambda record: SymmetricCrystal.from_structure(record, symprec), records)
    crystals = {record.id: found for record, found in zip(records, made) if isinstance(found, SymmetricCrystal)}
    refused = [{"id": r.id, "reason": str(found)} for r, found in zip(records, made) if r.id not in crystals]
    return {
        "count": len(crystals),
        "rejected": [vars(rejection) for rejection in rejections] + refused,
        "symmetry": _symmetry(crystals, symprec),
        "duplicates": _duplicates(crystals),
        "unusual": _unusual(crystals),
        "targets": {name: _target(records, name) for name in scalar_targets(records)},
        "tensors": _tensors(records, symprec),
    }


def _symmetry(crystals: Mapping[str, SymmetricCrystal], symprec: float) -> dict[str, Any]:
    groups = Counter(crystal.point_group.name for crystal in crystals.values())
    systems = Counter(crystal.point_group.system for crystal in crystals.values())
    moved = sum(crystal.displacement > symprec / 2 for crystal in crystals.values())
    return {"point_groups": dict(groups.most_common()), "systems": dict(systems.most_common()), "moved": moved}


def _duplicates(crystals: Mapping[str, SymmetricCrystal]) -> list[list[str]]:
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core import Structure

    alike: dict[tuple[str, int, int], list[str]] = defaultdict(list)
    for id, crystal in crystals.items():
        alike[crystal.formula, crystal.spacegroup_number, len(crystal)].append(id)
    matcher, found = StructureMatcher(primitive_cell=False, scale=False), []
    for ids in alike.values():
        if len(ids) > 1:
            named = {id: crystals[id] for id in ids}
            structures = [
                Structure(c.lattice, c.numbers.tolist(), c.frac_coords, properties={"id": id})
                for id, c in named.items()
            ]
            groups = matcher.group_structures(structures)
            found += [[one.properties["id"] for one in group] for group in groups if len(group) > 1]
    return sorted(found)


def _unusual(crystals: Mapping[str, SymmetricCrystal]) -> dict[str, Any]:
    rows = []
    for id, crystal in crystals.items():
        if found := suspicions(measures(crystal.numbers, crystal.cart_coords, crystal.lattice)):
            rows.append({"id": id, "formula": crystal.formula, "suspicions": found})
    units = Counter(row["suspicions"][-1] for row in rows if row["suspicions"][-1].startswith("scaling"))
    return {"count": len(rows), "scaled": dict(units.most_common()), "crystals": rows[:LISTED]}


def _target(records: Sequence[Record], name: str) -> dict[str, Any]:
    values = target_values(records, name)
    known = np.flatnonzero(np.isfinite(values))
    low, middle, high = np.quantile(values[known], [0.25, 0.5, 0.75]).tolist()
    said = {"unit": target_unit(name), "count": len(known), "median": middle, "quartiles": [low, high]}
    if target_kind(name) == "classification":
        return said | {"outliers": {"count": 0, "crystals": []}, "unit_doubtful": False}
    spread = (high - low) / 1.35 or float(np.std(values[known])) or 1.0
    away = abs(values[known] - middle) / spread
    far = known[away > OUTLYING][np.argsort(-away[away > OUTLYING], kind="stable")]
    listed = [{"id": records[k].id, "formula": records[k].formula, "value": float(values[k])} for k in far[:LISTED]]
    least, most = PLAUSIBLE.get(name, (-np.inf, np.inf))
    return said | {
        "outliers": {"count": len(far), "crystals": listed},
        "unit_doubtful": len(known) >= LISTED and not (high >= least and low <= most),
    }


def _tensors(records: Sequence[Record], symprec: float) -> dict[str, Any]:
    found = {}
    for name in TENSORS:
        if any(record.properties.get(name) is not None for record in records):
            try:
                aligned, rejected = aligned_tensors(records, name, symprec=symprec)
            except IrrepnetError as error:
                found[name] = {"fit": 0, "turned": 0, "refused": len(records), "reasons": [str(error)]}
                continue
            turned = sum(tensor.is_reoriented for tensor in aligned.values())
            reasons = [f"{rejection.id}: {rejection.reason}" for rejection in rejected[:LISTED]]
            found[name] = {
                "fit": len(aligned) - turned, "turned": turned, "refused": len(rejected), "reasons": reasons
            }  # fmt: skip
    return found


Table = tuple[str, list[str], list[list[str]]]
"""Title, headings and rows."""


def check_tables(found: Mapping[str, Any]) -> list[Table]:
    """What :func:`check_data` found, for people; tables without rows say that there is nothing."""
    symmetry = found["symmetry"]
    groups = [[name, str(count)] for name, count in symmetry["point_groups"].items()]
    duplicates = [[", ".join(ids)] for ids in found["duplicates"][:LISTED]]
    unusual = [[row["id"], row["formula"], "; ".join(row["suspicions"])] for row in found["unusual"]["crystals"]]
    unusual += [[f"{count} crystals", "", sentence] for sentence, count in found["unusual"]["scaled"].items()]
    targets = [
        [
            name, own["unit"], str(own["count"]), f"{own['median']:.4g}",
            " … ".join(f"{q:.4g}" for q in own["quartiles"]),
            str(own["outliers"]["count"]), "another unit?" if own["unit_doubtful"] else "",
        ]
        for name, own in found["targets"].items()
    ]  # fmt: skip
    outliers = [
        [name, row["id"], row["formula"], f"{row['value']:.6g}"]
        for name, own in found["targets"].items()
        for row in own["outliers"]["crystals"]
    ]
    tensors = [
        [name, str(own["fit"]), str(own["turned"]), str(own["refused"])] for name, own in found["tensors"].items()
    ]
    rejected = [[row["id"], row["reason"]] for row in found["rejected"][:LISTED]]
    count = found["count"]
    return [
        (f"{count} crystals, {symmetry['moved']} moved to be symmetric", ["point group", "crystals"], groups),
        (f"duplicates: {len(found['duplicates'])}", ["ids of one crystal"], duplicates),
        (f"unlike other crystals: {found['unusual']['count']}", ["id", "formula", ""], unusual),
        ("numbers", ["name", "unit", "crystals", "median", "middle half", "outliers", ""], targets),
        (f"outliers, beyond {OUTLYING:g} spreads", ["name", "id", "formula", "value"], outliers),
        ("tensors and the frames of their crystals", ["name", "fit", "turned", "refused"], tensors),
        (f"not usable: {len(found['rejected'])}", ["id", "reason"], rejected),
    ]


def write_check(found: Mapping[str, Any], name: str, path: Path) -> None:
    """Write what :func:`check_data` found as an HTML page. Raises IrrepnetError if it cannot be written."""
    try:
        write_text(path, render("tables.html", name, tables=check_tables(found)))
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written ({error.strerror})") from None
