"""`irrepnet groups`: tables of the 32 point groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.cli.options import NAMES_WITH_MINUS, Json
from irrepnet.cli.printing import in_sum, print_json, print_table, say
from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from irrepnet.groups import DoubleGroup, PointGroup

app = typer.Typer(help="Point groups and double groups: irreps, couplings, products, subduction.", no_args_is_help=True)

Group = Annotated[str, typer.Argument(help='Hermann–Mauguin or Schoenflies name: "m-3m", Oh, "-42m".')]
Double = Annotated[
    bool, typer.Option("--double", help="The double group, for spin; irreps by any of their names: F̄g, G8+, F3/2g.")
]


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
    double: Double = False,
    json_: Json = False,
    png: Annotated[Path | None, typer.Option(help="Draw the character table into this file.")] = None,
) -> None:
    """Character table, conventions, other names of the irreps, and degrees of the covariant generators."""
    from irrepnet.groups import PointGroup
    from irrepnet.groups.picture import draw_character_table
    from irrepnet.groups.reports import character_table, conventions, describe_group, title

    if double:
        if png is not None:
            raise IrrepnetError("--png draws the table of the group without spin; leave out --double")
        _show_double(group, json_)
        return
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


def _show_double(group: str, json_: bool) -> None:
    from irrepnet.groups import DoubleGroup
    from irrepnet.groups.reports import describe_double_group, double_character_table, double_conventions, title

    g = DoubleGroup(group)
    if json_:
        print_json(describe_double_group(g))
        return
    columns, rows = double_character_table(g)
    print_table(title(g), columns, rows, centred=range(1, 1 + len(g.classes)))
    for line in double_conventions(g):
        say(line)


def _group(name: str, double: bool) -> PointGroup | DoubleGroup:
    from irrepnet.groups import DoubleGroup, PointGroup

    return DoubleGroup(name) if double else PointGroup(name)


@app.command(context_settings=NAMES_WITH_MINUS)
def couple(group: Group, a: str, b: str, c: str, double: Double = False, json_: Json = False) -> None:
    """Coupling coefficients U[c n; a i, b j] of A ⊗ B → C. Complex ones are [real, imaginary] in JSON."""
    import numpy as np

    from irrepnet.groups.reports import json_numbers

    g = _group(group, double)
    coefficients = g.coupling(a, b, c)
    if json_:
        print_json({"group": g.name, "a": a, "b": b, "c": c, "coefficients": json_numbers(coefficients)})
        return
    rows = [
        [str(copy), str(n), str(i), str(j), _coefficient(coefficients[copy, n, i, j])]
        for copy, n, i, j in np.argwhere(coefficients != 0)
    ]
    modulo = " modulo J" if len(g.irrep(c).commutant) > 1 else ""
    title = f"{g.name}: {a} ⊗ {b} → {c}, copies{modulo}: {len(coefficients)}"
    print_table(title, ["copy", f"n ({c})", f"i ({a})", f"j ({b})", "coefficient"], rows)


def _coefficient(value: Any) -> str:
    return f"{value.real:+.12f}" + (f" {value.imag:+.12f}i" if isinstance(value, complex) else "")


@app.command(context_settings=NAMES_WITH_MINUS)
def product(group: Group, a: str, b: str, double: Double = False, json_: Json = False) -> None:
    """Decomposition of A ⊗ B."""
    g = _group(group, double)
    multiplicities = g.product(a, b)
    if json_:
        print_json({"group": g.name, "a": a, "b": b, "product": multiplicities})
        return
    say(f"{a} ⊗ {b} = {in_sum(multiplicities)}")


@app.command(context_settings=NAMES_WITH_MINUS)
def subduce(
    group: Group,
    j: Annotated[
        str | None, typer.Argument(metavar="[J]", help="Angular momentum of the irrep of O(3): 2, or 3/2 with spin.")
    ] = None,
    parity: Annotated[
        str, typer.Option(help="Under inversion; natural is (−1)^l, of half-integers +.", metavar="g|u|+|-|natural")
    ] = "natural",
    subgroup: Annotated[str | None, typer.Option(help="Print the correlation table with it instead.")] = None,
    double: Double = False,
    json_: Json = False,
) -> None:
    """Irreps of a group in j± of O(3), or of a subgroup in the group's irreps (--subgroup H).

    Half-integers are those of the double group; of an integer with --double the basis is that of J_z.
    """
    from irrepnet.groups.reports import json_numbers

    if (j is None) == (subgroup is None):
        raise IrrepnetError("give an angular momentum l or j, or a subgroup with --subgroup, and not both")
    if subgroup is not None:
        _show_correlation(_group(group, double), subgroup, json_)
        return
    assert j is not None
    twice = _twice(j)
    g = _group(group, double or twice % 2 == 1)
    signs = {"g": 1, "+": 1, "u": -1, "-": -1, "natural": (-1) ** (twice // 2) if twice % 2 == 0 else 1}
    if parity not in signs:
        raise IrrepnetError(f"parity {parity!r} is unknown; use g, u, + , - or natural")
    name, value = ("l", twice // 2) if twice % 2 == 0 else ("j", twice / 2)
    bases = g.subduce(value, signs[parity])  # pyright: ignore[reportArgumentType] (half-integers are a DoubleGroup's)
    multiplicities = {label: len(basis) for label, basis in bases.items()}
    if json_:
        document = {
            "group": g.name,
            name: value,
            "parity": signs[parity],
            "multiplicities": multiplicities,
            "basis": {label: json_numbers(basis) for label, basis in bases.items()},
        }
        print_json(document)
        return
    spin = str(value) if name == "l" else f"{twice}/2"
    say(f"{name} = {spin}{'+' if signs[parity] > 0 else '−'} ↓ {g.name} = {in_sum(multiplicities)}")


def _twice(j: str) -> int:
    """2j of "2", "3/2" or "1.5"."""
    from fractions import Fraction

    try:
        twice = 2 * Fraction(j)
    except (ValueError, ZeroDivisionError):
        twice = Fraction(-1)
    if twice.denominator != 1 or twice < 0:
        raise IrrepnetError(f"an angular momentum is a number such as 2, or 3/2 with spin, got {j!r}")
    return int(twice)


def _show_correlation(g: PointGroup | DoubleGroup, subgroup: str, json_: bool) -> None:
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
