"""Where a trained model lies. Without PyTorch, so that a wrong name is told at once."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.training.files import CARD, read_sealed

SHIPPED = Path(__file__).parent / "shipped"
"""Runs that come with the package, each in a folder of its name."""


def shipped() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CARD}"))


def for_any_crystal() -> list[str]:
    """Names of those that take a structure as it is: not of Hamiltonians, whose S and H0 have to be computed first."""
    return [name for name in shipped() if card_of(name)["task"] != "hamiltonians"]


def of_hamiltonians() -> list[str]:
    """Names of the others, which tell the bands of crystals of a few atoms."""
    return [name for name in shipped() if card_of(name)["task"] == "hamiltonians"]


def named_runs(folders: Iterable[str | Path]) -> dict[str, Path]:
    """The models that tell something of any crystal, {name: folder}: runs, and those that come with the package.

    Args:
        folders: of the runs. The name of one is that of its folder, or the path as it is given where that is taken.

    Raises:
        IrrepnetError: there is no finished run in a folder, or it is one of Hamiltonians.
    """
    found = {name: SHIPPED / name for name in for_any_crystal()}
    for given in folders:
        folder = run_folder(given)
        if card_of(folder)["task"] == "hamiltonians":
            raise IrrepnetError(f"{given}: it predicts Hamiltonians; `irrepnet hamiltonian predict` takes it")
        name = folder.resolve().name
        found[name if name not in found else str(given)] = folder
    return found


def card_of(name: str | Path) -> dict[str, Any]:
    """The card of a run or of a model that comes with the package, as it is in model.json."""
    return read_sealed(run_folder(name))


def run_folder(name: str | Path) -> Path:
    """The folder of a finished run, or of a model that comes with the package; a folder of that name comes first.

    Raises IrrepnetError when there is none.
    """
    folder = Path(name)
    if is_file(folder / CARD):
        return folder
    if is_file(folder / "config.yaml"):
        hint = f"`irrepnet train {folder / 'config.yaml'} --out {folder} --resume` goes on"
        raise IrrepnetError(f"{folder}: this run is not finished; {hint}")
    if str(name) in shipped():
        return SHIPPED / name
    close = get_close_matches(str(name), shipped(), 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    hint = f"give the --out folder of a training, or one of {', '.join(shipped())}" if shipped() else ""
    raise IrrepnetError(f"{folder}: holds no run (there is no model.json){meant}; {hint}")
