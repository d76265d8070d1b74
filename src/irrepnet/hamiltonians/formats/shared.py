"""What the files of several codes share: texts, packed or not, and packages that only some of them need."""

from __future__ import annotations

import gzip
import importlib
from pathlib import Path
from typing import Any

from irrepnet.errors import IrrepnetError


def needs(module: str) -> Any:
    """An optional module; raises IrrepnetError with the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise IrrepnetError(
            f"this format needs {module}: install it with pip install 'irrepnet[hamiltonians]' ({error})"
        ) from error


def read_text(path: Path) -> str:
    """The text of a file, unpacked if its name ends in .gz. Raises IrrepnetError if it cannot be read."""
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
                return file.read()
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, EOFError) as error:
        reason = str(error) if path.exists() else "no such file"
        raise IrrepnetError(f"{path}: {reason}") from error


def save_text(path: Path, text: str) -> None:
    """Packed if its name ends in .gz. Raises IrrepnetError if it cannot be written."""
    try:
        if path.name.lower().endswith(".gz"):
            with gzip.open(path, "wt", encoding="utf-8") as file:
                file.write(text)
        else:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error}") from error
