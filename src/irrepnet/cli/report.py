"""`irrepnet report`: the page of a crystal."""

from pathlib import Path
from typing import Annotated

import typer

from irrepnet.cli.options import File, Json, Symprec
from irrepnet.cli.printing import print_json, say


def report(
    file: File,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The page; by default FILE.html here.")] = None,
    symprec: Symprec = 0.01,
    bands: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, help="Longest that what bands begin with may take; 0 for no bands."),
    ] = 30.0,
    json_: Json = False,
) -> None:
    """Write one page, for any browser and without a network, of all that symmetry and the models say of a crystal.

    It has the crystal in 3D, coloured by orbit, its groups and sites, vibrations at Γ, forms of tensors, predictions
    with bounds, bands where a model knows the elements and PySCF is there (irrepnet[dft]), and warnings of what is
    unlike other crystals. With --json the same as a document; the page only with
    --out.
    """
    from irrepnet.report import describe, write_crystal_page

    if out is None and json_:
        print_json(describe(file, symprec, bands_seconds=bands))
        return
    path = out or Path(f"{file.name}.html")
    document = write_crystal_page(file, path, symprec, bands)
    if json_:
        print_json(document)
    for warning in document["warnings"]:
        say(f"warning: {warning}", err=True)
    say(f"page: {path}", err=True)
