"""`irrepnet groups`: tables of the 32 point groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.cli.options import NAMES_WITH_MINUS, Json
from irrepnet.cli.printing import in_sum, print_json, print_table, say
from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from irrepnet.groups import PointGroup

app = typer.Typer(help="Point groups: irreps, couplings, products, subduction.", no_args_is_help=True)

Group = Annotated[str, typer.Argument(help='Hermann–Mauguin or Schoenflies name: "m-3m", Oh, "-42m".')]


@app.command("list")
def list_(json_: Json = False) -> None:
    """The 32 point groups and the further named settings."""
    from irrepnet.groups.reports import list_groups

    groups = list_groups()
    if json_:
        print_json(groups)
        return
    rows = []
    for g in groups:
        kind = "" if g["default"] else "further setting"
        rows.append([g["name"], g["schoenflies"], g["system"], str(g["order"]), " ".join(g["irreps"]), kind])
    print_table("Point groups", ["group", "Schoenflies", "system", "order", "irreps", ""], rows)


@app.command(context_settings=NAMES_WITH_MINUS)
def show(
    group: Group,
    json_: Json = False,
    png: Annotated[Path | None, typer.Option(help="Draw the character table into this file.")] = None,
) -> None:
    """Character table, conventions, other names of the irreps, and degrees of the covariant generators."""
    from irrepnet.groups import PointGroup
    from irrepnet.groups.picture import draw_character_table
    from irrepnet.groups.reports import character_table, conventions, describe_group, title

    g = PointGroup(group)
    if png is not None:
        draw_character_table(g, png)
    if json_:
        print_json(describe_group(g))
        return
    columns, rows = character_table(g)
    print_table(title(g), columns, rows, centred=range(1, 1 + len(g.classes)))
    for line in conventions(g):
        say(line)


@app.command(context_settings=NAMES_WITH_MINUS)
def couple(group: Group, a: str, b: str, c: str, json_: Json = False) -> None:
    """Coupling coefficients U[c n; a i, b j] of A ⊗ B → C."""
    import numpy as np

    from irrepnet.groups import PointGroup

    g = PointGroup(group)
    coefficients = g.coupling(a, b, c)
    if json_:
        print_json({"group": g.name, "a": a, "b": b, "c": c, "coefficients": coefficients.tolist()})
        return
    rows = [
        [str(copy), str(n), str(i), str(j), f"{coefficients[copy, n, i, j]:+.12f}"]
        for copy, n, i, j in np.argwhere(coefficients != 0)
    ]
    modulo = " modulo J" if g.irrep(c).type == "complex" else ""
    title = f"{g.name}: {a} ⊗ {b} → {c}, copies{modulo}: {len(coefficients)}"
    print_table(title, ["copy", f"n ({c})", f"i ({a})", f"j ({b})", "coefficient"], rows)


@app.command(context_settings=NAMES_WITH_MINUS)
def product(group: Group, a: str, b: str, json_: Json = False) -> None:
    """Decomposition of A ⊗ B."""
    from irrepnet.groups import PointGroup

    g = PointGroup(group)
    multiplicities = g.product(a, b)
    if json_:
        print_json({"group": g.name, "a": a, "b": b, "product": multiplicities})
        return
    say(f"{a} ⊗ {b} = {in_sum(multiplicities)}")


@app.command(context_settings=NAMES_WITH_MINUS)
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
    from irrepnet.groups import PointGroup

    g = PointGroup(group)
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
        print_json(document)
        return
    say(f"l = {l}{'+' if signs[parity] > 0 else '−'} ↓ {g.name} = {in_sum(multiplicities)}")


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
        print_json(document)
        return
    rows = [[label, in_sum(counts)] for label, counts in embedding.correlation.items()]
    print_table(f"{g.name} ↓ {embedding.group.name}", [g.name, embedding.group.name], rows)
    z, x = embedding.rotation[:, 2], embedding.rotation[:, 0]
    say(f"the subgroup's z axis is {_vector(z)}, its x axis {_vector(x)}")


def _vector(v: Any) -> str:
    return "(" + ", ".join(f"{x + 0.0:.4f}" for x in v.round(4)) + ")"
