"""The `irrepnet` command: assembles the sub-commands; every module here imports what it needs lazily."""

import sys

import typer

from irrepnet import __version__
from irrepnet.cli import (
    data,
    doctor,
    graph,
    groups,
    hamiltonian,
    induce,
    path,
    phonons,
    symmetrize,
    symmetry,
    tensor,
    train,
    verify,
)
from irrepnet.errors import IrrepnetError

app = typer.Typer(
    name="irrepnet",
    help="Neural networks that obey the actual symmetry of a crystal.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(groups.app, name="groups")
app.add_typer(data.app, name="data")
app.add_typer(tensor.app, name="tensor")
app.add_typer(hamiltonian.app, name="hamiltonian")
app.command("symmetry")(symmetry.symmetry)
app.command("phonons")(phonons.phonons)
app.command("induce")(induce.induce)
app.command("symmetrize")(symmetrize.symmetrize)
app.command("graph")(graph.graph)
app.command("train")(train.train)
app.command("config")(train.config)
app.command("evaluate")(train.evaluate)
app.command("predict")(train.predict)
app.command("models")(train.models)
app.command("verify")(verify.verify)
app.command("path")(path.path)
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"irrepnet {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Neural networks that obey the actual symmetry of a crystal."""


def run() -> None:
    """Entry point: input errors become one line on stderr and exit code 2."""
    try:
        app()
    except IrrepnetError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)
