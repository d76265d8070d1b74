"""What the files of several codes share: texts, Fortran's numbers, labels of atoms, and packages only some need."""

from __future__ import annotations

import gzip
import importlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import atomic_number
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_bytes

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[EDQ]([+-]?\d+))?", re.ASCII | re.IGNORECASE)
_LETTERLESS = re.compile(r"([+-]?\d*\.\d+)([+-]\d{3})", re.ASCII)


def needs(module: str) -> Any:
    """An optional module; raises IrrepnetError with the extra that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise IrrepnetError(
            f"this format needs {module}: install it with pip install 'irrepnet[hamiltonians]' ({error})"
        ) from error


# -- texts


def save_bytes(path: Path, content: bytes) -> None:
    """Raises IrrepnetError if it cannot be written."""
    try:
        write_bytes(path, content)
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error.strerror}") from error


def save_text(path: Path, text: str) -> None:
    """Packed if its name ends in .gz. Raises IrrepnetError if it cannot be written."""
    content = text.encode("utf-8", "backslashreplace")
    save_bytes(path, gzip.compress(content, mtime=0) if path.name.lower().endswith(".gz") else content)


def save_numbers(path: Path, numbers: np.ndarray, fmt: str = "%.18e") -> None:
    """A row a line. Raises IrrepnetError if it cannot be written."""
    stream = io.StringIO()
    np.savetxt(stream, numbers, fmt)
    save_text(path, stream.getvalue())


def has_ending(path: Path, *endings: str) -> bool:
    """Whether its name ends so, in letters of any case, packed (.gz) or not."""
    return path.name.lower().removesuffix(".gz").endswith(endings)


def in_any_case(folder: Path, name: str) -> Path | None:
    """The file of that name, packed (.gz) or not; if there is none, one whose name differs in the case of letters."""
    names = (name, name + ".gz")
    exact = next((folder / each for each in names if (folder / each).is_file()), None)
    if exact is not None or not folder.is_dir():
        return exact
    wanted = [each.lower() for each in names]
    return next((path for path in sorted(folder.iterdir()) if path.name.lower() in wanted and path.is_file()), None)


# -- numbers and words of Fortran


def number(word: str) -> float:
    """A number as Fortran writes or reads it: "3.3d0", "1.04D+01", and "0.1234-100", whose exponent left no place for
    its letter. Raises ValueError for anything else, NaN too.
    """
    found = _NUMBER.fullmatch(word) or _LETTERLESS.fullmatch(word)
    if found is None:
        raise ValueError(f"{word!r} is no number")
    mantissa, exponent = found.groups()
    return float(f"{mantissa}e{exponent or 0}")


def numbers(words: Sequence[str]) -> np.ndarray:
    """(N,) the numbers of these words, as :func:`number`; where all are plain, NaN and infinities too.

    Raises ValueError for a word that is none.
    """
    try:
        return np.array(words, dtype=float)  # much faster, and most files have plain numbers only
    except ValueError:
        return np.array([number(word) for word in words])


def all_numbers(text: str) -> np.ndarray:
    """(N,) the numbers of a text, between blanks and ends of lines; as :func:`numbers`, in C where all are plain."""
    if not text or text.isspace():
        return np.zeros(0)  # np.fromstring finds −1 there
    try:
        with warnings.catch_warnings(action="error", category=DeprecationWarning):  # of NumPy before it was an error
            return np.fromstring(text, sep=" ")
    except (ValueError, DeprecationWarning):
        return numbers(text.split())


def numbers_below(text: str) -> np.ndarray:
    """(N,) the numbers of a text below its first line; a ValueError tells the line."""
    try:
        return all_numbers(text.partition("\n")[2])
    except ValueError:
        for at, line in enumerate(text.splitlines()[1:], 2):
            try:
                numbers(line.split())
            except ValueError as error:
                raise ValueError(f"line {at}: {error}") from error
        raise


def whole(values: np.ndarray, what: str) -> np.ndarray:
    """The same as integers. Raises ValueError if one is not whole."""
    rounded = np.rint(values)
    if not ((rounded == values) & (abs(rounded) < 2**53)).all():  # NaN too
        raise ValueError(f"{what} are not whole numbers")
    return rounded.astype(int)


def words_of(line: str) -> list[str]:
    """The words of a line, between blanks or commas; "3*0.5" is the word three times."""
    return list(_repeated(line.replace(",", " ").split()))


def _repeated(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        count, star, rest = word.partition("*")
        yield from [rest] * int(count) if star and rest and count.isdecimal() else [word]


def table(rows: Sequence[str], columns: slice, what: str) -> np.ndarray:
    """(rows, columns) numbers: these columns of each row. Raises ValueError, with the row, if they are not there."""
    parts = [words_of(row)[columns] for row in rows]
    count = columns.stop - (columns.start or 0)
    for row, part in zip(rows, parts):
        if len(part) != count:
            raise ValueError(f"{what} {row!r}: too few numbers")
    return numbers([word for part in parts for word in part]).reshape(len(rows), count)


def energy(value: Any, path: Path, key: str) -> float | None:
    """A Fermi energy in eV as a file has it, text or number; None stands for none.

    Raises IrrepnetError, with file and key, if something is there that is no finite number.
    """
    if value is None:
        return None
    try:
        found = number(next(iter(words_of(value)), "")) if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        found = np.nan
    if not np.isfinite(found) or isinstance(value, bool):
        raise IrrepnetError(f"{path}: {key} is {value!r}, which is no energy in eV")
    return found


# -- labels of atoms


def element_of(label: str) -> str:
    """The element of an atom's label, whatever follows it: Fe of "Fe1" and "FE_up", O of "OA" and "o-2".

    Two letters count if they are an element, else the first alone. Raises ValueError if that is none either.
    """
    letters = re.match(r"[A-Za-z]*", label.strip())
    assert letters is not None
    for length in (2, 1):
        symbol = letters[0][:length].capitalize()
        # no element begins with Va: it is how a vacancy is called, not vanadium
        if len(symbol) == length and not letters[0].lower().startswith("va"):
            try:
                atomic_number(symbol)
            except IrrepnetError:
                continue
            return symbol
    raise ValueError(f"the label {label!r} begins with no element")
