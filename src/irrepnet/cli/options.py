"""Options and arguments that several commands take: each means and reads the same everywhere."""

from pathlib import Path
from typing import Annotated

import typer


def finished(run: Path | None) -> Path | None:
    """The folder or name as it is, which must be that of a finished run, if one is given."""
    from irrepnet.training.where import run_folder

    if run is not None:
        run_folder(run)
    return run


def _all_or_finished(name: str) -> str:
    return name if name == "all" else str(finished(Path(name)))


def _preset_or_finished(name: str) -> str:
    from irrepnet.training import presets

    return name if name in presets() else str(finished(Path(name)))


Model = Annotated[
    str, typer.Argument(callback=_preset_or_finished, help="A run folder, or a preset for random weights.")
]
Run = Annotated[
    Path,
    typer.Argument(metavar="RUN", callback=finished, help="A finished run folder, or a name of `irrepnet models`."),
]
Runs = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        callback=_all_or_finished,
        help="A finished run folder, a name of `irrepnet models`, or all for all of these.",
    ),
]
File = Annotated[Path, typer.Argument(help="A structure file: CIF, POSCAR, extended XYZ or JSON.")]
Symprec = Annotated[float, typer.Option(help="How far from symmetric an atom may be, Å.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]

NAMES_WITH_MINUS = {"ignore_unknown_options": True}
"""Settings of commands whose arguments may begin like an option, as the point group "-42m" does."""
