"""`irrepnet tensor`: what symmetry allows, what a tensor consists of, its surfaces, whether it fits its crystal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from irrepnet.data.tensors import AlignedTensor

app = typer.Typer(help="Tensors: forms, irreps, elastic surfaces, checks against structures.", no_args_is_help=True)

# Names such as "-42m" begin like an option.
_NAMES_WITH_MINUS = {"ignore_unknown_options": True}
_LIMITS = (1e-3, 1e-2, 5e-2)
Symmetry = Annotated[
    str, typer.Argument(help='Index symmetry: "ij=ji", "ijk=ikj", "ijkl=jikl=ijlk=klij", "ij=-ji".', metavar="SYMMETRY")
]
Axial = Annotated[bool, typer.Option("--axial", help="An axial tensor: a mirror gives it one more sign.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


@app.command(context_settings=_NAMES_WITH_MINUS)
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

    tensor = CartesianTensor(symmetry, axial=axial, strain=strain, symbol=symbol)
    point_group = PointGroup(group)
    form = tensor.allowed(point_group)
    title = f"{tensor.formula}{', axial' if axial else ''}, {point_group.name} ({point_group.schoenflies})"
    if picture is not None:
        form.picture(picture, title)
    if json_:
        document = {
            "symmetry": tensor.formula,
            "axial": axial,
            "strain": strain,
            "setting": point_group.name,
            "schoenflies": point_group.schoenflies,
            "generators": list(point_group.setting.generators),
            "independent": form.independent,
            "free": form.free,
            "components": form.components,
            "relations": form.relations,
            "zeros": form.zeros,
            "matrix": form.matrix.tolist(),
            "basis": form.basis.tolist(),
        }
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    heads = [""]
    for size in form.matrix.shape[:-1]:
        heads = [head + str(k + 1) for head in heads for k in range(size)]
    columns = form.matrix.shape[-1]
    rows = [[head, *row] for head, row in zip(heads, form.matrix.reshape(-1, columns).tolist())]
    _print_table(title, ["", *(str(k + 1) for k in range(columns))], rows)
    typer.echo(f"{form.independent} independent: {', '.join(form.free) or 'none, it vanishes'}")
    if form.relations:
        typer.echo(", ".join(form.relations))
    axes = ", ".join(point_group.setting.generators) or "none"
    typer.echo(f"axes: x, y, z = 1, 2, 3 of the setting {point_group.name}, generators {axes}")


@app.command(context_settings=_NAMES_WITH_MINUS)
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
    import numpy as np

    from irrepnet.tensors import CartesianTensor

    tensor = CartesianTensor(symmetry, axial=axial, strain=strain)
    given = tensor.read(_array(values)) if values else None
    splits = tensor.subduce(group) if group else {}
    document: dict[str, Any] = {
        "symmetry": tensor.formula,
        "axial": axial,
        "dim": tensor.dim,
        "irreps": str(tensor.irreps),
        "parts": [],
    }
    for part in tensor.parts:
        entry: dict[str, Any] = {"l": part.l, "parity": part.parity, "young": list(part.young), "copy": part.copy}
        if given is not None:
            coefficients = np.tensordot(part.basis.reshape(2 * part.l + 1, -1), given.ravel(), 1)
            entry |= {"coefficients": coefficients.tolist(), "norm": float(np.linalg.norm(coefficients))}
        document["parts"].append(entry)
    if given is not None:
        document["norm"] = float(np.linalg.norm(given))
        document["outside"] = float(np.linalg.norm(given - tensor.project(given)))
    if group:
        document["group"] = {label: _in_group(copies, given) for label, copies in splits.items()}
    if json_:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    rows = []
    total = document.get("norm") or 1.0
    for part, entry in zip(tensor.parts, document["parts"]):
        share = [] if given is None else [f"{entry['norm']:.6g}", f"{100 * (entry['norm'] / total) ** 2:.2f} %"]
        rows.append([part.label, str(2 * part.l + 1), *share])
    amounts = [] if given is None else ["norm", "share of |T|²"]
    _print_table(
        f"{tensor.formula} = {tensor.irreps}, {tensor.dim} components", ["part (Young)", "dim", *amounts], rows
    )
    if given is not None:
        typer.echo(f"|T| = {document['norm']:.6g}; without the index symmetry: {document['outside']:.2g}")
    if group:
        rows = [
            [label, str(entry["copies"]), *([] if given is None else [f"{entry['norm']:.6g}"])]
            for label, entry in document["group"].items()
        ]
        _print_table(f"irreps of {group}", ["irrep", "copies", *amounts[:1]], rows)


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
    from irrepnet.tensors import STIFFNESS, averages, surfaces
    from irrepnet.tensors.elastic_picture import draw_surfaces

    stiffness = STIFFNESS.to_voigt(STIFFNESS.read(_array(values)))
    found, mean = surfaces(stiffness), averages(stiffness)
    if picture is not None:
        title = f"K {mean.K:.4g}, G {mean.G:.4g}, E {mean.E:.4g} {unit} (Hill), A^U {mean.universal_anisotropy:.3g}"
        draw_surfaces(stiffness, picture, title, unit)
    entries = []
    for each in found:
        (least, along), (greatest, where) = each.extremes()
        entries.append(
            {
                "name": each.name,
                "unit": {"u": unit, "1/u": f"1/{unit}", "": ""}[each.unit],
                "least": least,
                "least_along": along.tolist(),
                "greatest": greatest,
                "greatest_along": where.tolist(),
            }
        )
    if json_:
        hill = {name: getattr(mean, name) for name in ("K", "G", "E", "poisson", "universal_anisotropy")}
        typer.echo(json.dumps({"unit": unit, "averages": hill, "surfaces": entries}))
        return
    rows = []
    for entry in entries:
        ends = [(entry[end], entry[f"{end}_along"]) for end in ("least", "greatest")]
        cells = [x for value, n in ends for x in (f"{value:.5g}", " ".join(f"{c + 0.0:.3f}" for c in n))]
        rows.append([entry["name"], entry["unit"], *cells])
    _print_table("moduli over all directions", ["", "unit", "least", "along", "greatest", "along"], rows)
    typer.echo(f"Hill's averages: K {mean.K:.5g}, G {mean.G:.5g}, E {mean.E:.5g} {unit}, Poisson {mean.poisson:.4g}")
    typer.echo(f"universal anisotropy {mean.universal_anisotropy:.4g}")


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="Records with tensors: an embedded set, a .jsonl file, …")],
    target: Annotated[str, typer.Option(help="The property to check; else all tensors that are known.")] = "",
    symmetry: Annotated[str, typer.Option(help="Its index symmetry, for a tensor that is not known.")] = "",
    symprec: Annotated[float, typer.Option(help="How far from symmetric an atom may be, Å.")] = 0.01,
    tolerance: Annotated[float, typer.Option(help="Largest residual that is accepted.")] = 0.05,
    json_: Json = False,
) -> None:
    """Whether tensors obey the symmetry of their crystals, in the frame given or in another one."""
    from irrepnet.data import read_records
    from irrepnet.data.tensors import TENSORS, aligned_tensors

    records, unreadable = read_records(file)
    present = {name for record in records for name, value in record.properties.items() if value is not None}
    targets = [target] if target else [name for name in TENSORS if name in present]
    if not targets:
        raise IrrepnetError(f"{file}: holds none of {', '.join(TENSORS)}; give --target and --symmetry")
    if target and target not in present:
        raise IrrepnetError(f"{file}: no record has {target!r}; there are {', '.join(sorted(present)) or 'none'}")
    document: dict[str, Any] = {"file": file, "symprec": symprec, "tolerance": tolerance, "targets": {}}
    for name in targets:
        aligned, rejected = aligned_tensors(records, name, symmetry or None, symprec=symprec, tolerance=tolerance)
        reasons = [vars(rejection) for rejection in [*unreadable, *rejected]]
        document["targets"][name] = _summary(aligned) | {"rejected": reasons}
    if json_:
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    for name, summary in document["targets"].items():
        _print_check(name, summary)


def _summary(aligned: dict[str, AlignedTensor]) -> dict[str, Any]:
    crystals = [
        {
            "id": id,
            "formula": tensor.crystal.formula,
            "point_group": tensor.crystal.point_group.name,
            "residual_as_given": tensor.residual_as_given,
            "residual": tensor.residual,
            "frame": tensor.frame,
            "rotation": tensor.rotation.tolist(),
            "checked": tensor.is_checked,
            "certain": tensor.is_certain,
        }
        for id, tensor in aligned.items()
    ]
    reoriented = sum(tensor.is_reoriented for tensor in aligned.values())
    return {
        "clean": len(aligned) - reoriented,
        "reoriented": reoriented,
        "uncertain": sum(not tensor.is_certain for tensor in aligned.values()),
        "unchecked": sum(not tensor.is_checked for tensor in aligned.values()),
        "residual_as_given_below": {str(x): sum(c["residual_as_given"] < x for c in crystals) for x in _LIMITS},
        "residual_below": {str(x): sum(c["residual"] < x for c in crystals) for x in _LIMITS},
        "crystals": crystals,
    }


def _print_check(name: str, summary: dict[str, Any]) -> None:
    rows = [
        [c["id"], c["formula"], c["point_group"], f"{c['residual_as_given']:.2g}", f"{c['residual']:.2g}", c["frame"]]
        for c in summary["crystals"]
        if c["frame"] != "as given" or c["residual"] > _LIMITS[1]
    ]
    if rows:
        columns = ["id", "formula", "point group", "residual as given", "residual", "frame"]
        _print_table(f"{name}: re-oriented, or with a residual above 0.01", columns, rows)
    for rejection in summary["rejected"]:
        typer.echo(f"rejected {rejection['id']}: {rejection['reason']}")
    below = ", ".join(f"{count} below {limit}" for limit, count in summary["residual_below"].items())
    typer.echo(
        f"{name}: {summary['clean']} clean as given, {summary['reoriented']} re-oriented ({summary['uncertain']} of "
        f"them up to a choice that the residual does not see), {len(summary['rejected'])} rejected; residuals: {below}"
    )
    if summary["unchecked"]:
        typer.echo(f"{name}: {summary['unchecked']} are in a group that forbids nothing, any frame fits")


def _in_group(copies: Any, given: Any) -> dict[str, Any]:
    import numpy as np

    entry: dict[str, Any] = {"copies": len(copies)}
    if given is not None:
        entry["norm"] = float(np.linalg.norm(copies.reshape(-1, given.size) @ given.ravel()))
    return entry


def _array(text: str) -> Any:
    is_literal = text.lstrip().startswith("[")
    try:
        return json.loads(text if is_literal else Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        raise IrrepnetError(f"{text}: {error.strerror}; give a JSON file or an array such as [[1,0,0],…]") from error
    except (ValueError, RecursionError) as error:
        raise IrrepnetError(f"{'the tensor' if is_literal else text}: not a JSON array of numbers: {error}") from error


def _print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:  # a pipe has no width: never cut a table
        console = Console(width=400)
    console.print(table)
