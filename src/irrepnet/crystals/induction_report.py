"""What an irrep of a site induces in its space group, as a plain document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import moyopy
import numpy as np

from irrepnet.crystals.cdml import cdml_point, special_points
from irrepnet.crystals.induction import induce_from_position
from irrepnet.crystals.little_groups import LittleGroup, stabiliser
from irrepnet.crystals.site_irreps import ORBITALS
from irrepnet.crystals.space_groups import space_groups_by_number, space_groups_by_symbol
from irrepnet.crystals.symmetric import SymmetricCrystal, setting_operations, standard_hall_number
from irrepnet.crystals.wyckoff import with_standard_origin, wyckoff_letter, wyckoff_positions
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.groups import harmonic_matrices
from irrepnet.groups.subgroup import Subgroup
from irrepnet.inlets import fraction_of


def describe_induction(
    source: str | Path,
    site: str = "",
    irrep: str = "",
    points: Sequence[str] = (),
    symprec: float = 0.01,
) -> dict[str, Any]:
    """Sites and their irreps, and the band representation that one of these induces.

    Args:
        source: number or symbol of a space group, in its standard setting; or a structure file, whose axes and origin
            are those of `with_standard_origin`.
        site: a Wyckoff letter, "a" or "4a", or a position in the conventional cell, "1/3,2/3,0"; of a file a letter, an
            element, or both: "Ti:b". If it is not given, sites are listed and no more.
        irrep: of the site group, "E" or over C "1E"; or s, p, d or f, all irreps that such orbitals carry there.
        points: letters of special points, or wave vectors in the primitive basis, "1/2,0,1/2"; by default all special
            points.
        symprec: Å, for a file.

    Raises IrrepnetError if there is no such space group, file, site, irrep or point.
    """
    crystal = None
    if is_file(Path(source)):
        crystal = with_standard_origin(SymmetricCrystal.from_structure(source, symprec))
    number = _space_group_number(str(source)) if crystal is None else crystal.spacegroup_number
    symbol = moyopy.SpaceGroupType(number).hm_short.replace(" ", "")
    report: dict[str, Any] = {"source": str(source), "spacegroup": {"number": number, "symbol": symbol}}
    if crystal is None:
        sites = [_site_row(number, letter, each.point()) for letter, each in wyckoff_positions(number).items()]
    else:
        report["formula"] = crystal.formula
        places = crystal.cart_coords[crystal.representatives] @ np.linalg.inv(crystal.conventional_lattice)
        letters = [crystal.wyckoff[atom] for atom in crystal.representatives]
        sites = [_site_row(number, *each) for each in zip(letters, places)]
        for row, atom in zip(sites, crystal.representatives):
            row["element"] = crystal.species[atom]
    report["sites"] = sites
    if site:
        report["site"] = row = _chosen(sites, site, number)
        if irrep:
            report |= _induced(number, row, irrep, [_wave_vector(number, point) for point in points])
    return report


def _induced(number: int, row: dict[str, Any], irrep: str, chosen: list[np.ndarray]) -> dict[str, Any]:
    group = _site_group(number, np.array(row["position"])).group
    if irrep in ORBITALS:
        l = ORBITALS.index(irrep)
        traces = np.trace(harmonic_matrices(group.operations, l, (-1) ** l), axis1=1, axis2=2)
        counts = group.multiplicities(traces)
    else:
        counts = {irrep: 1}
    chosen = chosen or [k for _, k in special_points(number)]
    bands = [induce_from_position(number, row["position"], label, chosen) for label in counts]
    rows = []
    for own in zip(*bands):
        characters = sum(count * band.characters for count, band in zip(counts.values(), own))
        rows.append(_point_row(number, own[0].little_group, np.asarray(characters)))
    return {"irrep": counts, "bands": round(rows[0]["characters"][0][0]), "points": rows}


def _space_group_number(text: str) -> int:
    if text.isdecimal():
        standard_hall_number(int(text))
        return int(text)
    settings = space_groups_by_symbol(text)
    if not settings:
        raise IrrepnetError(
            f"{text}: neither a file nor a space group; give a file, a number, or a symbol such as Fd-3m"
        )
    number = settings[0].number
    assert number is not None  # only listed operations have none
    if not any(setting.is_reference for setting in settings):
        standard = space_groups_by_number(number)[0].name
        raise IrrepnetError(
            f"{text}: is not the standard setting of space group {number}, which is {standard}; give that"
        )
    return number


def _site_group(number: int, position: np.ndarray) -> Subgroup:
    """Of a position (3,) in the conventional cell."""
    hall_number = standard_hall_number(number)
    group, rotations, translations = setting_operations(hall_number)
    primitive = np.array(moyopy.HallSymbolEntry(hall_number).centering.linear) @ position
    return group.subgroup(stabiliser(group, rotations, translations, primitive, "position")[0])


def _site_row(number: int, letter: str, position: np.ndarray) -> dict[str, Any]:
    known, site = wyckoff_positions(number)[letter], _site_group(number, position)
    return {
        "wyckoff": letter,
        "multiplicity": known.multiplicity,
        "coordinates": known.coordinates,
        "position": position.tolist(),
        "site_symmetry": known.site_symmetry,
        "site_group": site.group.name,
        "site_axes": site.rotation.tolist(),
        "irreps": [each.label for each in site.group.irreps],
    }


def _chosen(sites: list[dict[str, Any]], text: str, number: int) -> dict[str, Any]:
    """The one of the sites that is meant, or a position given by hand."""
    if "," in text:
        position = np.array(fractions_from_text(text, "position"))
        return _site_row(number, wyckoff_letter(number, position), position)
    element, _, letter = text.rpartition(":")

    def fits(row: dict[str, Any]) -> bool:
        names = {row["wyckoff"], f"{row['multiplicity']}{row['wyckoff']}"}
        if element:
            return letter in names and element == row.get("element")
        return letter in names or letter == row.get("element")

    found = [row for row in sites if fits(row)]
    if len(found) != 1:
        there = ", ".join(
            f"{row.get('element', '')}:{row['multiplicity']}{row['wyckoff']}".lstrip(":") for row in sites
        )
        raise IrrepnetError(f"site {text!r}: {'there is no such' if not found else 'several are'}; there are {there}")
    return found[0]


def _wave_vector(number: int, text: str) -> np.ndarray:
    if "," in text:
        return np.array(fractions_from_text(text, "k"))
    known = dict(special_points(number))
    if text not in known:
        raise IrrepnetError(
            f"point {text!r}: space group {number} has {', '.join(known)}; or give k in the primitive basis, such as "
            "1/2,0,1/2"
        )
    return known[text]


def fractions_from_text(text: str, name: str) -> list[float]:
    """Three numbers from text such as "1/3,2/3,0"; IrrepnetError tells the `name` of what they are."""
    try:
        numbers = [float(fraction_of(word)) for word in text.split(",")]
    except (ValueError, ZeroDivisionError):
        numbers = []
    if len(numbers) != 3:
        raise IrrepnetError(f"{name} {text!r}: give three numbers or fractions, such as 1/3,2/3,0")
    return numbers


def _point_row(number: int, little: LittleGroup, characters: np.ndarray) -> dict[str, Any]:
    hall_number = standard_hall_number(number)
    group, rotations, translations = setting_operations(hall_number)
    to_cell = np.array(moyopy.HallSymbolEntry(hall_number).centering.linear)
    point = cdml_point(number, little)
    labels = little.labels if point is None else point.labels
    counts = np.rint(np.real(little.characters.conj() @ characters) / len(little.indices)).astype(int)
    order = sorted(range(len(labels)), key=lambda i: (labels[i].rstrip("+-"), labels[i]))
    return {
        "point": None if point is None else point.letters,
        "k": little.k.tolist(),
        "k_conventional": (little.k @ to_cell).tolist(),
        "little_co_group": group.subgroup(little.indices).group.name,
        "multiplicities": {labels[i]: int(counts[i]) for i in order if counts[i]},
        "characters": _complex(characters),
        "irreps": [
            {
                "label": labels[i],
                "mulliken": None
                if little.labels[i][1:].isdecimal() and little.labels[i][0] == "P"
                else little.labels[i],
                "dim": little.irreps[i].shape[1],
                "characters": _complex(little.characters[i]),
            }
            for i in order
        ],
        "operations": [
            {"rotation": W, "translation": t}
            for W, t in zip(rotations[little.indices].tolist(), translations[little.indices].tolist())
        ],
    }


def _complex(numbers: np.ndarray) -> list[list[float]]:
    rounded = np.where(abs(numbers - numbers.round(12)) < 1e-12, numbers.round(12), numbers) + 0.0
    return np.stack([rounded.real, rounded.imag], -1).tolist()
