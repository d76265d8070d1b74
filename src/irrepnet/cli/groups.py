"""`irrepnet groups`: tables of the 32 point groups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from irrepnet.groups import Irrep, PointGroup

app = typer.Typer(help="Point groups: irreps, couplings, products, subduction.", no_args_is_help=True)

# Names such as "-42m" begin like an option.
_NAMES_WITH_MINUS = {"ignore_unknown_options": True}
Group = Annotated[str, typer.Argument(help='Hermann–Mauguin or Schoenflies name: "m-3m", Oh, "-42m".')]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


@app.command("list")
def list_(json_: Json = False) -> None:
    """The 32 point groups and the further named settings."""
    from irrepnet.groups import POINT_GROUPS, SETTINGS, PointGroup

    groups = [PointGroup(name) for name in SETTINGS]
    if json_:
        records = [
            {
                "name": g.name,
                "schoenflies": g.schoenflies,
                "system": g.system,
                "order": g.order,
                "default": g.name in POINT_GROUPS,
                "irreps": [i.label for i in g.irreps],
            }
            for g in groups
        ]
        _print_json(records)
        return
    rows = []
    for g in groups:
        kind = "" if g.name in POINT_GROUPS else "further setting"
        labels = " ".join(i.label for i in g.irreps)
        rows.append([g.name, g.schoenflies, g.system, str(g.order), labels, kind])
    _print_table("Point groups", ["group", "Schoenflies", "system", "order", "irreps", ""], rows)


@app.command(context_settings=_NAMES_WITH_MINUS)
def show(
    group: Group,
    json_: Json = False,
    png: Annotated[Path | None, typer.Option(help="Draw the character table into this file.")] = None,
) -> None:
    """Character table, conventions, other names of the irreps, and degrees of the covariant generators."""
    g = _group(group)
    if png is not None:
        _draw_character_table(g, png)
    if json_:
        _print_json(_description(g))
        return
    rows = []
    for irrep in g.irreps:
        values = [_number(x) for x in _class_values(g, irrep)]
        names = " ".join(g.aliases(irrep.label).values())
        rows.append([irrep.label, *values, irrep.type, names, _degrees(g, irrep)])
    columns = ["irrep", *(c.name for c in g.classes), "type", "other names", "covariants"]
    _print_table(_title(g), columns, rows, centred=range(1, 1 + len(g.classes)))
    for line in _conventions(g):
        typer.echo(line)


@app.command(context_settings=_NAMES_WITH_MINUS)
def couple(group: Group, a: str, b: str, c: str, json_: Json = False) -> None:
    """Coupling coefficients U[c n; a i, b j] of A ⊗ B → C."""
    import numpy as np

    g = _group(group)
    coefficients = g.coupling(a, b, c)
    if json_:
        _print_json({"group": g.name, "a": a, "b": b, "c": c, "coefficients": coefficients.tolist()})
        return
    rows = [
        [str(copy), str(n), str(i), str(j), f"{coefficients[copy, n, i, j]:+.12f}"]
        for copy, n, i, j in np.argwhere(coefficients != 0)
    ]
    modulo = " modulo J" if g.irrep(c).type == "complex" else ""
    title = f"{g.name}: {a} ⊗ {b} → {c}, copies{modulo}: {len(coefficients)}"
    _print_table(title, ["copy", f"n ({c})", f"i ({a})", f"j ({b})", "coefficient"], rows)


@app.command(context_settings=_NAMES_WITH_MINUS)
def product(group: Group, a: str, b: str, json_: Json = False) -> None:
    """Decomposition of A ⊗ B."""
    g = _group(group)
    multiplicities = g.product(a, b)
    if json_:
        _print_json({"group": g.name, "a": a, "b": b, "product": multiplicities})
        return
    typer.echo(f"{a} ⊗ {b} = {_sum(multiplicities)}")


@app.command(context_settings=_NAMES_WITH_MINUS)
def subduce(
    group: Group,
    l: Annotated[int | None, typer.Argument(help="Angular momentum of the irrep of O(3).")] = None,
    parity: Annotated[
        str, typer.Option(help="Under inversion; natural is (−1)^l.", metavar="g|u|+|-|natural")
    ] = "natural",
    subgroup: Annotated[str | None, typer.Option(help="Print the correlation table with it instead.")] = None,
    json_: Json = False,
) -> None:
    """Irreps of a group in l± of O(3), or of a subgroup in the group's irreps (--subgroup H)."""
    g = _group(group)
    if (l is None) == (subgroup is None):
        raise IrrepnetError("give an angular momentum l, or a subgroup with --subgroup, and not both")
    if subgroup is not None:
        _show_correlation(g, subgroup, json_)
        return
    assert l is not None
    signs = {"g": 1, "+": 1, "u": -1, "-": -1, "natural": (-1) ** l}
    if parity not in signs:
        raise IrrepnetError(f"parity {parity!r} is unknown; use g, u, + , - or natural")
    bases = g.subduce(l, signs[parity])
    multiplicities = {label: len(basis) for label, basis in bases.items()}
    if json_:
        document = {
            "group": g.name,
            "l": l,
            "parity": signs[parity],
            "multiplicities": multiplicities,
            "basis": {label: basis.tolist() for label, basis in bases.items()},
        }
        _print_json(document)
        return
    typer.echo(f"l = {l}{'+' if signs[parity] > 0 else '−'} ↓ {g.name} = {_sum(multiplicities)}")


def _show_correlation(g: PointGroup, subgroup: str, json_: bool) -> None:
    embedding = g.subgroup(subgroup)
    if json_:
        document = {
            "group": g.name,
            "subgroup": embedding.group.name,
            "rotation": embedding.rotation.tolist(),
            "indices": embedding.indices.tolist(),
            "correlation": embedding.correlation,
        }
        _print_json(document)
        return
    rows = [[label, _sum(counts)] for label, counts in embedding.correlation.items()]
    _print_table(f"{g.name} ↓ {embedding.group.name}", [g.name, embedding.group.name], rows)
    z, x = embedding.rotation[:, 2], embedding.rotation[:, 0]
    typer.echo(f"the subgroup's z axis is {_vector(z)}, its x axis {_vector(x)}")


def _group(name: str) -> PointGroup:
    from irrepnet.groups import PointGroup

    return PointGroup(name)


def _class_values(g: PointGroup, irrep: Irrep) -> list[float]:
    return [float(irrep.characters[c.indices[0]].real) for c in g.classes]


def _degrees(g: PointGroup, irrep: Irrep) -> str:
    return ",".join(map(str, g.covariants(irrep.label).degrees)) + ("*" if irrep.type == "complex" else "")


def _title(g: PointGroup) -> str:
    return f"{g.name} ({g.schoenflies}), {g.system}, order {g.order}"


def _conventions(g: PointGroup) -> list[str]:
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


def _description(g: PointGroup) -> dict[str, Any]:
    representatives = [c.indices[0] for c in g.classes]
    return {
        "name": g.name,
        "schoenflies": g.schoenflies,
        "system": g.system,
        "order": g.order,
        "conventions": _conventions(g),
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


def _draw_character_table(g: PointGroup, path: Path) -> None:
    from matplotlib.figure import Figure

    cells = [[_number(x) for x in _class_values(g, irrep)] + [_degrees(g, irrep)] for irrep in g.irreps]
    columns = [c.name for c in g.classes] + ["covariants"]
    figure = Figure(figsize=(1.6 + 0.75 * len(columns), 1.1 + 0.34 * len(cells)), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    axes.set_title(_title(g))
    labels = [irrep.label for irrep in g.irreps]
    table = axes.table(cells, rowLabels=labels, colLabels=columns, loc="center", cellLoc="center")
    table.auto_set_font_size(False)
    table.set_fontsize(11)
    table.scale(1, 1.5)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("0.8")
        if row == 0 or column == -1:
            cell.set_facecolor("0.94")
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise IrrepnetError(f"cannot write the picture {path}: {error}") from error


def _sum(multiplicities: dict[str, int]) -> str:
    return " + ".join(f"{count if count > 1 else ''}{label}" for label, count in multiplicities.items())


def _number(value: float) -> str:
    return str(round(value)) if abs(value - round(value)) < 1e-9 else f"{value:.3f}"


def _vector(v: Any) -> str:
    return "(" + ", ".join(f"{x + 0.0:.4f}" for x in v.round(4)) + ")"


def _print_json(document: object) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))


def _print_table(title: str, columns: list[str], rows: list[list[str]], centred: range = range(0)) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(column, justify="center" if k in centred else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:  # a pipe has no width: never cut a table
        console = Console(width=400)
    console.print(table)
