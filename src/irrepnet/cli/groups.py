"""`irrepnet groups`: tables of the 32 point groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from irrepnet.cli.options import NAMES_WITH_MINUS, Json
from irrepnet.cli.printing import in_sum, print_json, print_table, say
from irrepnet.errors import IrrepnetError

app = typer.Typer(help="Point groups and double groups: irreps, couplings, products, subduction.", no_args_is_help=True)

HIGHEST = 30
"""Angular momentum."""

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


@app.command(context_settings=NAMES_WITH_MINUS)
def couple(group: Group, a: str, b: str, c: str, double: Double = False, json_: Json = False) -> None:
    """Coupling coefficients U[c n; a i, b j] of A ⊗ B → C. Complex ones are [real, imaginary] in JSON."""
    from irrepnet.groups.reports import coupling_table, coupling_title, describe_coupling, group_called

    g = group_called(group, double)
    if json_:
        print_json(describe_coupling(g, a, b, c))
        return
    print_table(coupling_title(g, a, b, c), *coupling_table(g, a, b, c))


@app.command(context_settings=NAMES_WITH_MINUS)
def product(group: Group, a: str, b: str, double: Double = False, json_: Json = False) -> None:
    """Decomposition of A ⊗ B."""
    from irrepnet.groups.reports import describe_product, group_called

    document = describe_product(group_called(group, double), a, b)
    if json_:
        print_json(document)
        return
    say(f"{a} ⊗ {b} = {in_sum(document['product'])}")


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
    from irrepnet.groups.reports import (
        axes_of_subgroup,
        describe_correlation,
        describe_subduction,
        group_called,
        natural_parity,
    )

    if (j is None) == (subgroup is None):
        raise IrrepnetError("give an angular momentum l or j, or a subgroup with --subgroup, and not both")
    if subgroup is not None:
        document = describe_correlation(group_called(group, double), subgroup)
        if json_:
            print_json(document)
            return
        names = [document["group"], document["subgroup"]]
        rows = [[label, in_sum(counts)] for label, counts in document["correlation"].items()]
        print_table(" ↓ ".join(names), names, rows)
        say(axes_of_subgroup(document))
        return
    assert j is not None
    twice = _twice(j)
    signs = {"g": 1, "+": 1, "u": -1, "-": -1, "natural": natural_parity(twice)}
    if parity not in signs:
        raise IrrepnetError(f"parity {parity!r} is unknown; use g, u, + , - or natural")
    document = describe_subduction(group_called(group, double or twice % 2 == 1), twice, signs[parity])
    if json_:
        print_json(document)
        return
    name, spin = ("l", str(twice // 2)) if twice % 2 == 0 else ("j", f"{twice}/2")
    sign = "+" if signs[parity] > 0 else "−"
    say(f"{name} = {spin}{sign} ↓ {document['group']} = {in_sum(document['multiplicities'])}")


def _twice(j: str) -> int:
    """2j of "2", "3/2" or "1.5"."""
    from irrepnet.inlets import fraction_of

    try:
        twice = 2 * fraction_of(j)
        is_one = twice.denominator == 1 and 0 <= twice <= 2 * HIGHEST
    except (ValueError, ZeroDivisionError):
        is_one = False
    if not is_one:
        raise IrrepnetError(
            f"an angular momentum is a number up to {HIGHEST} such as 2, or 3/2 with spin, got {j[:40]!r}"
        )
    return int(twice)
