"""Tables of the point groups: as plain documents, and as people read them."""

from __future__ import annotations

from typing import Any

from irrepnet.groups import POINT_GROUPS, SETTINGS, Irrep, PointGroup


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


def title(g: PointGroup) -> str:
    """Such as "m-3m (Oh), cubic, order 48"."""
    return f"{g.name} ({g.schoenflies}), {g.system}, order {g.order}"


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
