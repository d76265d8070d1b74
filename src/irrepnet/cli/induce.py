"""`irrepnet induce`: band representations, with the names of irreps that the tables have."""

from typing import Annotated, Any

import typer

from irrepnet.cli.options import Json, Symprec
from irrepnet.cli.printing import in_sum, print_json, print_table


def induce(
    source: Annotated[str, typer.Argument(help="A space group, by number or symbol, or a structure file.")],
    site: Annotated[
        str, typer.Argument(help='A Wyckoff letter ("a"), a position "1/3,2/3,0", or in a file an element: "O", "O:c".')
    ] = "",
    irrep: Annotated[str, typer.Argument(help="An irrep of the site group, or s, p, d, f.")] = "",
    k: Annotated[
        list[str] | None,
        typer.Option(help='A special point, "X", or k in the primitive basis, "1/2,0,1/2"; may be given again.'),
    ] = None,
    characters: Annotated[bool, typer.Option("--characters", help="Show the characters too.")] = False,
    symprec: Symprec = 0.01,
    json_: Json = False,
) -> None:
    """What an irrep of a site induces at wave vectors, by the names of the CDML tables and the Bilbao server.

    Without an irrep: the site group and its irreps. Without a site: all sites.
    """
    from irrepnet.crystals.induction_report import describe_induction

    report = describe_induction(source, site, irrep, k or (), symprec)
    if json_:
        print_json(report)
        return
    space = report["spacegroup"]
    title = f"{space['symbol']} ({space['number']})"
    if "formula" in report:
        title = f"{report['formula']}, {title}"
    if "points" in report:
        _print_points(title, report, characters)
    else:
        _print_sites(title, [report["site"]] if site else report["sites"])


def _print_sites(title: str, sites: list[dict[str, Any]]) -> None:
    rows = [
        [
            site.get("element", ""),
            f"{site['multiplicity']}{site['wyckoff']}",
            site["coordinates"],
            site["site_symmetry"],
            site["site_group"],
            " ".join(site["irreps"]),
        ]
        for site in sites
    ]
    print_table(title, ["", "Wyckoff", "coordinates", "site symmetry", "site group", "irreps"], rows)


def _print_points(title: str, report: dict[str, Any], characters: bool) -> None:
    site = report["site"]
    name = " ".join([site.get("element", ""), f"{site['multiplicity']}{site['wyckoff']}"]).strip()
    rows = []
    for point in report["points"]:
        mulliken = {each["label"]: each["mulliken"] for each in point["irreps"]}
        found = point["multiplicities"]
        plain = {
            mulliken[label]: count for label, count in found.items() if mulliken[label] and label != mulliken[label]
        }
        rows.append(
            [
                point["point"] or "",
                _numbers(point["k_conventional"]),
                _numbers(point["k"]),
                point["little_co_group"],
                in_sum(found),
                in_sum(plain) if len(plain) == len(found) else "",
            ]
        )
    heads = ["", "k, conventional", "k, primitive", "co-group", "irreps", "Mulliken"]
    print_table(f"{title}: {in_sum(report['irrep'])} at {name}, {report['bands']} bands a primitive cell", heads, rows)
    for point in report["points"] if characters else ():
        _print_characters(point)


def _print_characters(point: dict[str, Any]) -> None:
    heads = [_operation(operation) for operation in point["operations"]]
    rows = [[each["label"], *map(_character, each["characters"])] for each in point["irreps"]]
    rows.append(["induced", *map(_character, point["characters"])])
    print_table(f"{point['point'] or 'k'} = {_numbers(point['k'])}, primitive basis", ["", *heads], rows)


def _operation(operation: dict[str, Any]) -> str:
    """In the primitive basis, "-x,y+1/2,z"."""
    from fractions import Fraction

    texts = []
    for row, shift in zip(operation["rotation"], operation["translation"]):
        letters = "".join(("+", "-")[c < 0] + x for c, x in zip(row, "xyz") if c).removeprefix("+")
        ratio = Fraction(shift).limit_denominator(24)
        texts.append(letters + (f"{'+' if ratio > 0 else ''}{ratio}" if ratio else ""))
    return ",".join(texts)


def _character(parts: list[float]) -> str:
    real, imaginary = (round(x, 4) + 0.0 for x in parts)
    if not imaginary:
        return f"{real:g}"
    return f"{imaginary:g}i" if not real else f"{real:g}{imaginary:+g}i"


def _numbers(numbers: list[float]) -> str:
    from fractions import Fraction

    return " ".join(str(Fraction(x).limit_denominator(100)) if abs(x) > 1e-9 else "0" for x in numbers)
