"""Tables of the point groups: as plain documents, and as people read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from irrepnet.groups import POINT_GROUPS, SETTINGS, DoubleGroup, Irrep, PointGroup

AnyPointGroup = PointGroup | DoubleGroup


def group_called(name: str, double: bool = False) -> AnyPointGroup:
    """A point group, or its double group, by any of its names; IrrepnetError if there is none."""
    return DoubleGroup(name) if double else PointGroup(name)


def list_groups() -> list[dict[str, Any]]:
    """The 32 point groups and the further named settings, which are not "default"."""
    return [
        {
            "name": g.name,
            "schoenflies": g.schoenflies,
            "system": g.system,
            "order": g.order,
            "default": g.name in POINT_GROUPS,
            "irreps": [irrep.label for irrep in g.irreps],
        }
        for g in map(PointGroup, SETTINGS)
    ]


def describe_group(g: PointGroup) -> dict[str, Any]:
    """Operations, classes, irreps with characters and other names, and degrees of the covariant generators."""
    representatives = [c.indices[0] for c in g.classes]
    return {
        "name": g.name,
        "schoenflies": g.schoenflies,
        "system": g.system,
        "order": g.order,
        "conventions": conventions(g),
        "operations": g.operations.tolist(),
        "classes": [{"name": c.name, "indices": list(c.indices)} for c in g.classes],
        "irreps": [
            {
                "label": irrep.label,
                "dim": irrep.dim,
                "type": irrep.type,
                "characters": _class_values(g, irrep),
                "aliases": g.aliases(irrep.label),
                "covariant_degrees": list(g.covariants(irrep.label).degrees),
            }
            for irrep in g.irreps
        ],
        "complex_irreps": [
            {
                "label": irrep.label,
                "dim": irrep.dim,
                "characters": [[z.real, z.imag] for z in irrep.characters[representatives].tolist()],
            }
            for irrep in g.complex_irreps
        ],
        "invariant_degrees": list(g.invariants.degrees),
    }


def character_table(g: PointGroup) -> tuple[list[str], list[list[str]]]:
    """Headings and a row for each irrep: label, characters of the classes, type, other names, covariants."""
    rows = []
    for irrep in g.irreps:
        values = [str(round(x)) if abs(x - round(x)) < 1e-9 else f"{x:.3f}" for x in _class_values(g, irrep)]
        degrees = ",".join(map(str, g.covariants(irrep.label).degrees)) + ("*" if irrep.type == "complex" else "")
        rows.append([irrep.label, *values, irrep.type, " ".join(g.aliases(irrep.label).values()), degrees])
    return ["irrep", *(c.name for c in g.classes), "type", "other names", "covariants"], rows


def describe_double_group(double: DoubleGroup) -> dict[str, Any]:
    """Elements with SU(2) matrices, classes, irreps with characters and other names, and what time reversal joins."""
    return {
        "name": double.group.name,
        "schoenflies": double.group.schoenflies,
        "system": double.group.system,
        "order": double.order,
        "conventions": double_conventions(double),
        "operations": double.operations.tolist(),
        "spinors": json_numbers(double.spinors),
        "classes": [{"name": c.name, "indices": list(c.indices)} for c in double.classes],
        "irreps": [
            {
                "label": irrep.label,
                "dim": irrep.dim,
                "type": irrep.type,
                "double_valued": double.is_double_valued(irrep.label),
                "characters": json_numbers(irrep.characters[[c.indices[0] for c in double.classes]]),
                "aliases": double.aliases(irrep.label),
            }
            for irrep in double.irreps
        ],
        "corepresentations": [list(labels) for labels in double.corepresentations],
    }


def double_character_table(double: DoubleGroup) -> tuple[list[str], list[list[str]]]:
    """Headings and a row for each irrep: label, characters of the classes, type, other names, with time reversal."""
    joined = {label: "+".join(labels) for labels in double.corepresentations for label in labels}
    rows = []
    for irrep in double.irreps:
        values = [_as_text(complex(irrep.characters[c.indices[0]])) for c in double.classes]
        names = " ".join(double.aliases(irrep.label).values())
        rows.append([irrep.label, *values, irrep.type, names, joined[irrep.label]])
    return ["irrep", *(c.name for c in double.classes), "type", "other names", "with time reversal"], rows


def double_conventions(double: DoubleGroup) -> list[str]:
    """Of lifts, classes, bases and time reversal, in sentences."""
    lines = [
        "spinors (up, down) along z; a rotation by φ about n is cos(φ/2) − i sin(φ/2) n·σ with φ in (−π, π] and n in "
        "the upper hemisphere (z, then x, then y positive), inversion is 1",
        "a class is named by its first operation without a turn by 2π, a bar is that turn",
        "bases of double-valued irreps: Ē or Ē1 = |1/2, m⟩, Ē2 that times a real character",
    ]
    if double.group.system == "cubic":
        lines[-1] += ", F̄ = |3/2, m⟩"
    elif any(irrep.label.startswith("Ē3") for irrep in double.double_valued):
        lines[-1] += ", Ē3 = |3/2, ±3/2⟩"
    lines.append("time reversal makes irreps joined by + degenerate; its square is −1 on double-valued ones")
    return lines


def describe_product(g: AnyPointGroup, a: str, b: str) -> dict[str, Any]:
    """``product``: {irrep: multiplicity} of A ⊗ B."""
    return {"group": g.name, "a": a, "b": b, "product": g.product(a, b)}


def describe_coupling(g: AnyPointGroup, a: str, b: str, c: str) -> dict[str, Any]:
    """``coefficients`` (copies, d_c, d_a, d_b) of A ⊗ B → C, see :meth:`PointGroup.coupling`; complex ones as
    [real part, imaginary part]."""
    return {"group": g.name, "a": a, "b": b, "c": c, "coefficients": json_numbers(g.coupling(a, b, c))}


def coupling_table(g: AnyPointGroup, a: str, b: str, c: str) -> tuple[list[str], list[list[str]]]:
    """Headings and a row for each coefficient that is not 0: copy, components n of C, i of A, j of B, its value."""
    coefficients = g.coupling(a, b, c)
    rows = []
    for index in np.argwhere(coefficients != 0).tolist():
        value = coefficients[*index]
        text = f"{value.real:+.12f}" + (f" {value.imag:+.12f}i" if np.iscomplexobj(value) else "")
        rows.append([*map(str, index), text])
    return ["copy", f"n ({c})", f"i ({a})", f"j ({b})", "coefficient"], rows


def coupling_title(g: AnyPointGroup, a: str, b: str, c: str) -> str:
    """Such as "m-3m: T1u ⊗ T1u → Eg, copies: 1"."""
    modulo = " modulo J" if len(g.irrep(c).commutant) > 1 else ""
    return f"{g.name}: {a} ⊗ {b} → {c}, copies{modulo}: {len(g.coupling(a, b, c))}"


def describe_correlation(g: AnyPointGroup, subgroup: str) -> dict[str, Any]:
    """``correlation``: {irrep of the group: {irrep of the subgroup: multiplicity}}; ``rotation`` (3, 3) from the
    subgroup's frame to the group's, ``indices`` of its elements in the group."""
    embedding = g.subgroup(subgroup)
    return {
        "group": g.name,
        "subgroup": embedding.group.name,
        "rotation": embedding.rotation.tolist(),
        "indices": embedding.indices.tolist(),
        "correlation": embedding.correlation,
    }


def axes_of_subgroup(correlation: dict[str, Any]) -> str:
    """Where the subgroup of a `describe_correlation` has its axes, in a sentence."""
    z, x = ("(" + ", ".join(f"{row[axis] + 0.0:.4f}" for row in correlation["rotation"]) + ")" for axis in (2, 0))
    return f"the subgroup's z axis is {z}, its x axis {x}"


def describe_subduction(g: AnyPointGroup, twice: int, parity: int) -> dict[str, Any]:
    """The irreps in j± of O(3): ``multiplicities`` and ``basis`` {irrep: (copies, d, 2j + 1)}.

    Args:
        twice: 2j, odd for a double group alone.
        parity: +1 or −1.
    """
    name, value = ("l", twice // 2) if twice % 2 == 0 else ("j", twice / 2)
    bases = g.subduce(value, parity)  # pyright: ignore[reportArgumentType] (half-integers are a DoubleGroup's)
    return {
        "group": g.name,
        name: value,
        "parity": parity,
        "multiplicities": {label: len(basis) for label, basis in bases.items()},
        "basis": {label: json_numbers(basis) for label, basis in bases.items()},
    }


def natural_parity(twice: int) -> int:
    """(−1)^l of an integer, + of a half-integer."""
    return (-1) ** (twice // 2) if twice % 2 == 0 else 1


def describe_covariants(g: PointGroup, label: str) -> dict[str, Any]:
    """``degrees`` of the generators of the covariants of an irrep, and their ``components`` as polynomials of x, y, z,
    normalised over the unit sphere."""
    maps = g.covariants(label)
    return {
        "group": g.name,
        "irrep": g.irrep(label).label,
        "degrees": list(maps.degrees),
        "components": [[_polynomial(row, maps.exponents) for row in each] for each in maps.coefficients],
    }


def _polynomial(coefficients: np.ndarray, exponents: np.ndarray) -> str:
    """Such as "1.118 x² − 1.118 y²"."""
    text = ""
    for value, powers in zip(coefficients.tolist(), exponents.tolist()):
        if abs(value) > 1e-9:
            monomial = "".join(
                axis + (str(n).translate(_RAISED) if n > 1 else "") for axis, n in zip("xyz", powers) if n
            )
            factor = f"{abs(value):.4g}"
            text += f" {'+' if value > 0 else '−'} " + (
                monomial if monomial and factor == "1" else f"{factor} {monomial}"
            )
    return text.removeprefix(" + ").replace(" − ", "−", text.startswith(" − ")).strip()


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def json_numbers(array: np.ndarray) -> Any:
    """Nested lists of an array; a complex number is [real part, imaginary part]."""
    if np.isrealobj(array):
        return array.tolist()
    return (np.stack([np.real(array), np.imag(array)], -1) + 0.0).tolist()


def _as_text(value: complex) -> str:
    parts = [round(part, 3) + 0.0 for part in (value.real, value.imag)]
    real, imaginary = (f"{part:g}" for part in parts)
    if not parts[1]:
        return real
    imaginary = {"1": "", "-1": "-"}.get(imaginary, imaginary) + "i"
    return imaginary if not parts[0] else f"{real}{'' if parts[1] < 0 else '+'}{imaginary}"


def title(g: AnyPointGroup) -> str:
    """Such as "m-3m (Oh), cubic, order 48"."""
    point_group = g if isinstance(g, PointGroup) else g.group
    return f"{g.name} ({point_group.schoenflies}), {point_group.system}, order {g.order}"


def conventions(g: PointGroup) -> list[str]:
    """Of axes, labels, bases and covariants, in sentences."""
    lines = [
        "active Cartesian operations, z principal, x ∥ a, f(g r) = Γ(g) f(r); l = 1 in the order x, y, z",
        f"generators: {', '.join(g.setting.generators) or 'none'}; labels: A/B, E1/E2, T1/T2 (cubic: A1/A2) "
        "by the first, 1/2 by the second, g/u by i, '/'' by σh",
        f"primary invariants of degree {', '.join(map(str, g.invariants.degrees))}; "
        "covariants: degrees of the generators (* each with a J partner)",
    ]
    if g.system == "cubic":
        lines.append("bases: E like (3z² − r², √3(x² − y²)), T = χ ⊗ (x, y, z)")
    elif any(irrep.dim == 2 for irrep in g.irreps):
        lines.append("bases: E = χ ⊗ (x, y); E2 = χ ⊗ (x² − y², 2xy)")
    return lines


def _class_values(g: PointGroup, irrep: Irrep) -> list[float]:
    return [float(irrep.characters[c.indices[0]].real) for c in g.classes]
