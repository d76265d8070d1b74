"""Where a trained model lies. Without PyTorch, so that a wrong name is told at once."""

from pathlib import Path

from irrepnet.errors import IrrepnetError


def run_folder(name: str | Path) -> Path:
    """The folder of a finished run; raises IrrepnetError when there is none."""
    folder = Path(name)
    if (folder / "model.json").exists():
        return folder
    if (folder / "config.yaml").exists():
        hint = f"`irrepnet train {folder / 'config.yaml'} --out {folder} --resume` goes on"
        raise IrrepnetError(f"{folder}: this run is not finished; {hint}")
    raise IrrepnetError(f"{folder}: holds no run (there is no model.json); give the --out folder of a training")
