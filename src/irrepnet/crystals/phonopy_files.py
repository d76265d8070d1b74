"""phonopy's text files FORCE_CONSTANTS and BORN, read and written."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from irrepnet.crystals.text import read_text
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_text


class BornFile(NamedTuple):
    """What a file BORN holds."""

    head: str
    """Its first line: a factor, or a comment."""
    permittivity: np.ndarray
    """(3, 3)"""
    charges: np.ndarray
    """(k, 3, 3) of the first atom of each orbit of the primitive cell; the first index is that of the field."""


def read_force_constants(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """The atoms (r,) of a supercell of n atoms and their force constants (r, n, 3, 3), in the unit of the file.

    All n atoms; or those of one atom for each of the primitive cell, which phonopy calls compact.

    Raises IrrepnetError if the file cannot be read as FORCE_CONSTANTS.
    """
    head, *lines = read_text(Path(path)).split("\n")
    try:
        sizes = [int(word) for word in head.split()]
        count, n = sizes if len(sizes) == 2 else (*sizes, *sizes)
        table = np.array(" ".join(lines).split(), dtype=float)
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as FORCE_CONSTANTS: {error}") from error
    if min(count, n) < 1 or table.size != count * n * 11:
        raise IrrepnetError(
            f"{path}: its first line says {count} × {n} matrices of three lines below a line of two atoms; there "
            f"are {table.size} numbers, {count * n * 11} are expected"
        )
    table = table.reshape(count, n, 11)
    rows = table[:, 0, 0].astype(int) - 1
    in_order = (table[:, :, 0] == rows[:, None] + 1).all() and (table[:, :, 1] == np.arange(n) + 1).all()
    if not in_order or len(set(rows.tolist()) & set(range(n))) < count:
        raise IrrepnetError(f"{path}: the numbers of its atoms are not in order, or one of them is there twice")
    if not np.isfinite(table).all():
        raise IrrepnetError(f"{path}: a number is not finite")
    return rows, table[:, :, 2:].reshape(count, n, 3, 3)


def write_force_constants(path: str | Path, rows: np.ndarray, constants: np.ndarray) -> None:
    """The same as FORCE_CONSTANTS, with 15 decimals. Raises IrrepnetError if the file cannot be written."""
    lines = ["{:4d} {:4d}".format(*constants.shape[:2])]
    for row, matrices in zip(rows.tolist(), constants.tolist()):
        for column, matrix in enumerate(matrices, start=1):
            lines.append(f"{row + 1} {column}")
            lines += [_numbers(line) for line in matrix]
    _write(path, lines)


def read_born(path: str | Path) -> BornFile:
    """Raises IrrepnetError if the file cannot be read as BORN."""
    head, *lines = read_text(Path(path)).split("\n")
    try:
        matrices = np.array([[float(word) for word in line.split()] for line in lines if line.strip()])
    except ValueError as error:
        raise IrrepnetError(f"{path}: cannot be read as BORN: {error}") from error
    if matrices.ndim != 2 or matrices.shape[1] != 9 or len(matrices) < 2 or not np.isfinite(matrices).all():
        raise IrrepnetError(
            f"{path}: a line of BORN holds nine finite numbers: the permittivity, then the Born charges"
        )
    permittivity, *charges = matrices.reshape(-1, 3, 3)
    return BornFile(head, permittivity, np.array(charges))


def write_born(path: str | Path, content: BornFile) -> None:
    """The same as BORN, with 15 decimals. Raises IrrepnetError if the file cannot be written."""
    matrices = [content.permittivity, *content.charges]
    _write(path, [content.head, *(_numbers(matrix.ravel().tolist()) for matrix in matrices)])


def _numbers(numbers: list[float]) -> str:
    return "".join(f"{number:22.15f}" for number in numbers)


def _write(path: str | Path, lines: list[str]) -> None:
    try:
        write_text(Path(path), "\n".join(lines) + "\n")
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error.strerror}") from error
