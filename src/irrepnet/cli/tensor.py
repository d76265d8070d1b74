"""`irrepnet tensor`: what symmetry allows, what a tensor consists of, its surfaces, whether it fits its crystal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from irrepnet.cli.options import NAMES_WITH_MINUS, Json, Symprec
from irrepnet.cli.printing import print_json, print_table, say
from irrepnet.errors import IrrepnetError
from irrepnet.inlets import json_value

app = typer.Typer(help="Tensors: forms, irreps, elastic surfaces, checks against structures.", no_args_is_help=True)

REPORTED = 0.01
"""Tensors with a larger residual are listed by `check`."""
Symmetry = Annotated[
    str,
    typer.Argument(
        help='A name (elastic, piezoelectric, dielectric, …), or the index symmetry: "ij=ji", "ijk=ikj", "ij=-ji".',
        metavar="TENSOR",
    ),
]
Axial = Annotated[bool, typer.Option("--axial", help="An axial tensor: a mirror gives it one more sign.")]


@app.command(context_settings=NAMES_WITH_MINUS)
def allowed(
    symmetry: Symmetry,
    group: Annotated[str, typer.Argument(help='Hermann–Mauguin or Schoenflies name: "4/mmm", "-42m", D6h.')],
    axial: Axial = False,
    strain: Annotated[
        bool, typer.Option("--strain", help="Voigt components with the factors of a strain, as d and S: d14 = 2 d123.")
    ] = False,
    symbol: Annotated[str, typer.Option(help="Letter of the components.")] = "",
    picture: Annotated[Path | None, typer.Option(help="Draw the form into this file, forced zeros shaded.")] = None,
    json_: Json = False,
) -> None:
    """Independent components of a tensor in a point group, and what the others are."""
    from irrepnet.groups import PointGroup
    from irrepnet.tensors import CartesianTensor
    from irrepnet.tensors.reports import describe_form, title_of_form

    tensor = CartesianTensor(symmetry, axial=axial, strain=strain, symbol=symbol)
    point_group = PointGroup(group)
    form = describe_form(tensor, point_group, picture)
    if json_:
        print_json(form)
        return
    _print_form(title_of_form(tensor, point_group), form)


def _print_form(title: str, form: dict[str, Any]) -> None:
    import numpy as np

    matrix = np.array(form["matrix"])
    heads = [""]
    for size in matrix.shape[:-1]:
        heads = [head + str(k + 1) for head in heads for k in range(size)]
    columns = matrix.shape[-1]
    rows = [[head, *row] for head, row in zip(heads, matrix.reshape(-1, columns).tolist())]
    print_table(title, ["", *(str(k + 1) for k in range(columns))], rows)
    say(f"{form['independent']} independent: {', '.join(form['free']) or 'none, it vanishes'}")
    if form["relations"]:
        say(", ".join(form["relations"]))
    axes = ", ".join(form["generators"]) or "none"
    say(f"axes: x, y, z = 1, 2, 3 of the setting {form['setting']}, generators {axes}")


@app.command(context_settings=NAMES_WITH_MINUS)
def decompose(
    symmetry: Symmetry,
    values: Annotated[
        str, typer.Argument(help="A tensor: a JSON file with its array, or the array itself; in full or Voigt's.")
    ] = "",
    group: Annotated[str, typer.Option(help="Split further into the irreps of this point group.")] = "",
    axial: Axial = False,
    strain: Annotated[
        bool, typer.Option("--strain", help="The array has the factors of a strain, as d and S.")
    ] = False,
    json_: Json = False,
) -> None:
    """Irreps of O(3) in a tensor by Young diagram, and how much of a given tensor lies in each."""
    from irrepnet.tensors import CartesianTensor
    from irrepnet.tensors.reports import describe_parts

    tensor = CartesianTensor(symmetry, axial=axial, strain=strain)
    document = describe_parts(tensor, _array(values) if values else None, group)
    if json_:
        print_json(document)
        return
    rows = []
    total = document.get("norm") or 1.0
    for part, entry in zip(tensor.parts, document["parts"]):
        share = [] if not values else [f"{entry['norm']:.6g}", f"{100 * (entry['norm'] / total) ** 2:.2f} %"]
        rows.append([part.label, str(2 * part.l + 1), *share])
    amounts = [] if not values else ["norm", "share of |T|²"]
    print_table(f"{tensor.formula} = {tensor.irreps}, {tensor.dim} components", ["part (Young)", "dim", *amounts], rows)
    if values:
        say(f"|T| = {document['norm']:.6g}; without the index symmetry: {document['outside']:.2g}")
    if group:
        rows = [
            [label, str(entry["copies"]), *([] if not values else [f"{entry['norm']:.6g}"])]
            for label, entry in document["group"].items()
        ]
        print_table(f"irreps of {group}", ["irrep", "copies", *amounts[:1]], rows)


@app.command()
def surface(
    values: Annotated[
        str, typer.Argument(help="A stiffness: a JSON file with Voigt's 6×6 array, or the array itself; or 3×3×3×3.")
    ],
    picture: Annotated[Path | None, typer.Option(help="Draw the surfaces into this file.")] = None,
    unit: Annotated[str, typer.Option(help="Of the stiffness.")] = "GPa",
    json_: Json = False,
) -> None:
    """Moduli of a stiffness over all directions: least, greatest, and where; averages; a picture."""
    from irrepnet.tensors.reports import describe_surfaces

    document = describe_surfaces(_array(values), unit, picture)
    if json_:
        print_json(document)
        return
    rows = []
    for entry in document["surfaces"]:
        ends = [(entry[end], entry[f"{end}_along"]) for end in ("least", "greatest")]
        cells = [x for value, n in ends for x in (f"{value:.5g}", " ".join(f"{c + 0.0:.3f}" for c in n))]
        rows.append([entry["name"], entry["unit"], *cells])
    print_table("moduli over all directions", ["", "unit", "least", "along", "greatest", "along"], rows)
    mean = document["averages"]
    moduli = f"K {mean['K']:.5g}, G {mean['G']:.5g}, E {mean['E']:.5g} {unit}"
    say(f"Hill's averages: {moduli}, Poisson {mean['poisson']:.4g}")
    say(f"universal anisotropy {mean['universal_anisotropy']:.4g}")


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="Records with tensors: an embedded set, a .jsonl file, …")],
    target: Annotated[str, typer.Option(help="The property to check; else all tensors that are known.")] = "",
    symmetry: Annotated[str, typer.Option(help="Its index symmetry, for a tensor that is not known.")] = "",
    symprec: Symprec = 0.01,
    tolerance: Annotated[float, typer.Option(help="Largest residual that is accepted.")] = 0.05,
    json_: Json = False,
) -> None:
    """Whether tensors obey the symmetry of their crystals, in the frame given or in another one."""
    from irrepnet.data.reports import check_tensors

    document = check_tensors(file, target, symmetry, symprec, tolerance)
    if json_:
        print_json(document)
        return
    for name, summary in document["targets"].items():
        _print_check(name, summary)


def _print_check(name: str, summary: dict[str, Any]) -> None:
    rows = [
        [c["id"], c["formula"], c["point_group"], f"{c['residual_as_given']:.2g}", f"{c['residual']:.2g}", c["frame"]]
        for c in summary["crystals"]
        if c["frame"] != "as given" or c["residual"] > REPORTED
    ]
    if rows:
        columns = ["id", "formula", "point group", "residual as given", "residual", "frame"]
        print_table(f"{name}: re-oriented, or with a residual above {REPORTED}", columns, rows)
    for rejection in summary["rejected"]:
        say(f"rejected {rejection['id']}: {rejection['reason']}")
    below = ", ".join(f"{count} below {limit}" for limit, count in summary["residual_below"].items())
    say(
        f"{name}: {summary['clean']} clean as given, {summary['reoriented']} re-oriented ({summary['uncertain']} of "
        f"them up to a choice that the residual does not see), {len(summary['rejected'])} rejected; residuals: {below}"
    )
    if summary["unchecked"]:
        say(f"{name}: {summary['unchecked']} are in a group that forbids nothing, any frame fits")


def _array(text: str) -> Any:
    is_literal = text.lstrip().startswith("[")
    try:
        return json_value(text if is_literal else Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise IrrepnetError(f"{text}: {error.strerror}; give a JSON file or an array such as [[1,0,0],…]") from error
    except ValueError as error:
        raise IrrepnetError(f"{'the tensor' if is_literal else text}: not a JSON array of numbers: {error}") from error
