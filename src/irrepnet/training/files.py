"""Files that a run writes, and how they are checked when they are read. Without PyTorch.

The card, model.json, keeps under ``sha256`` what the other files of its folder and the card itself were when the run
was finished, so that a file that was cut off, changed or taken from another run is refused by name. Cards of earlier
versions have no such key, and their files are read as they are.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from irrepnet.errors import IrrepnetError
from irrepnet.files import write_text
from irrepnet.inlets import json_value
from irrepnet.outlets import csv_line, from_csv

CARD = "model.json"
AGAIN = "copy the whole folder again"
REQUIRED: dict[str, type] = {
    "format": int,
    "irrepnet": str,
    "task": str,
    "config": dict,
    "targets": list,
    "domain": dict,
    "data": dict,
    "errors": dict,
}
"""Keys of a card, and what their values are."""


def json_text(document: Any) -> str:
    """As files of a run have it; raises IrrepnetError for a number that is not finite."""
    try:
        return json.dumps(document, indent=1, allow_nan=False) + "\n"
    except ValueError as error:
        raise IrrepnetError(f"a number is not finite, and JSON cannot hold it ({error})") from None


def write_json(path: Path, document: Any) -> None:
    write_text(path, json_text(document))


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as text; unknown values are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(csv_line(header))
    writer.writerows(map(csv_line, rows))
    return stream.getvalue()


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a file that a run wrote.

    Raises:
        IrrepnetError: it is missing, cannot be read, or holds something else.
    """
    try:
        return as_mapping(path, path.read_bytes())
    except OSError as error:
        raise _unreadable(path, error) from None


def as_mapping(path: Path, content: bytes) -> dict[str, Any]:
    """The mapping in the content of a JSON file; raises IrrepnetError, by the path, if there is none."""
    try:
        document = json_value(content)
    except ValueError as error:
        raise IrrepnetError(f"{path}: damaged ({error}); {AGAIN}") from None
    if not isinstance(document, dict):
        raise IrrepnetError(f"{path}: damaged (a mapping was expected); {AGAIN}")
    return document


def as_table(path: Path, content: bytes) -> list[dict[str, str]]:
    """The rows of a table; raises IrrepnetError, by the path, if it is none or a row is not whole."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    except (ValueError, csv.Error) as error:
        raise IrrepnetError(f"{path}: damaged ({error}); {AGAIN}") from None
    if any(None in row or None in row.values() for row in rows):
        raise IrrepnetError(f"{path}: damaged (a row is not whole); {AGAIN}")
    return [{key: from_csv(cell) for key, cell in row.items()} for row in rows]


def sha256_of(content: bytes) -> str:
    """sha256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sealed(card: Mapping[str, Any], folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """The card with the digests of itself and of those of the files that the folder holds."""
    found = {name: sha256_of((folder / name).read_bytes()) for name in names if (folder / name).exists()}
    return {**card, "sha256": {CARD: _own_digest({**card, "sha256": found}), **found}}


def read_sealed(folder: Path) -> dict[str, Any]:
    """The card of a folder as it was written.

    Raises:
        IrrepnetError: it cannot be read, was changed, or has not what a card has.
    """
    path = folder / CARD
    card = read_mapping(path)
    digests = card.get("sha256")
    if digests is None and any(isinstance(value, dict) and CARD in value for value in card.values()):
        raise _foreign(path)  # they are there, under another name
    if digests is not None:
        before = {key: value for key, value in card.items() if key != "sha256"}  # what earlier versions sealed
        if not isinstance(digests, dict) or digests.get(CARD) not in (_own_digest(card), _own_digest(before)):
            raise _foreign(path)
    needed = {key: kind for key, kind in REQUIRED.items() if key not in ("task", "targets", "domain") or "task" in card}
    lacking = [key for key, kind in needed.items() if not isinstance(card.get(key), kind)]
    if lacking:
        raise IrrepnetError(f"{path}: not a card of a run (without a sound {', '.join(lacking)}); {AGAIN}")
    return card


def file_of(folder: Path, card: Mapping[str, Any], name: str) -> bytes:
    """The content of a file of a finished run.

    Raises:
        IrrepnetError: it is missing, cannot be read, or is not the one of which the card knows.
    """
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None
    if card.get("sha256", {}).get(name, wanted := sha256_of(content)) != wanted:
        raise _foreign(path)
    return content


def _own_digest(card: Mapping[str, Any]) -> str:
    """Of all but itself, the digests of the other files included."""
    plain = json.loads(json.dumps(card))
    if isinstance(plain.get("sha256"), dict):
        plain["sha256"].pop(CARD, None)
    return sha256_of(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode())


def _foreign(path: Path) -> IrrepnetError:
    return IrrepnetError(f"{path.parent}: {path.name} is not the file that this run wrote; {AGAIN}")


def _unreadable(path: Path, error: OSError) -> IrrepnetError:
    if isinstance(error, FileNotFoundError):
        return IrrepnetError(f"{path}: is missing; {AGAIN}")
    return IrrepnetError(f"{path}: cannot be read ({error.strerror}); {AGAIN}")
