"""Files that hold crystals and nothing else: JSON lines, structure files and ASE's databases."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from irrepnet.crystals.reading import STRUCTURE_FORMATS, cells_in
from irrepnet.crystals.text import decode, is_named, lines_of, read_text
from irrepnet.data.records import Record, Rejection, merged
from irrepnet.data.sources.crystal import attempt, id_of, record_of, record_of_atoms
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.inlets import json_value

if TYPE_CHECKING:
    from ase.db.row import AtomsRow

Items = Iterator[Record | Rejection]
_T = TypeVar("_T")


class Kind(NamedTuple):
    """A kind of source."""

    name: str
    """What messages and documents call it."""
    matches: Callable[[Any], bool]
    read: Callable[[Any], Items]


def kind_of_files(name: str, *patterns: str, read: Callable[[Path], Items]) -> Kind:
    """The kind of the files whose names match one of the patterns."""
    return Kind(
        f"{name} ({', '.join(patterns)})", lambda source: isinstance(source, Path) and is_named(source, patterns), read
    )


def stem(path: Path) -> str:
    """The name of a file without its ending; .gz is one with the ending before it."""
    return path.with_suffix("").stem if path.suffix.lower() == ".gz" else path.stem


def read_json_lines(path: Path) -> Items:
    """One crystal a line."""
    for number, line in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        name = str(number)
        try:
            content = json_value(decode(line))
            if not isinstance(content, dict):
                raise IrrepnetError("not a JSON object")
            name = id_of(content, name)
            yield record_of(content, name, source=str(path))
        except IrrepnetError as error:
            yield Rejection(name, f"{path}:{number}: {error}")
        except ValueError as error:
            yield Rejection(name, f"{path}:{number}: not JSON: {error}")


def read_cells(path: Path) -> Items:
    """A CIF, one crystal a data block, or a POSCAR."""
    name = stem(path)
    try:
        for name, cell in _numbered(cells_in(path), stem(path)):
            if isinstance(cell, IrrepnetError):
                yield Rejection(name, str(cell))
            else:
                yield attempt(name, str(path), Record.from_cell, cell, name, str(path))
    except IrrepnetError as error:
        yield Rejection(name, str(error))


def read_extxyz(path: Path) -> Items:
    """Extended XYZ, one crystal a frame, with what ASE finds in it."""
    from irrepnet.crystals.extxyz import read_frames

    for name, atoms in _numbered(read_frames(map(decode, lines_of(path))), stem(path)):
        if isinstance(atoms, IrrepnetError):
            yield Rejection(name, f"{path}: {atoms}")
        else:
            yield attempt(name, f"{path}: {name}", record_of_atoms, atoms, name, {}, str(path))


def read_json(path: Path) -> Items:
    """A record, pymatgen's dictionary of a Structure, a list of these, or an ASE database in JSON."""
    try:
        content = json_value(read_text(path))
    except ValueError as error:
        yield Rejection(stem(path), f"{path}: cannot be read as JSON: {error}")
        return
    if isinstance(content, dict) and {"ids", "nextid"} <= content.keys():
        yield from _read_json_rows(content, path)
        return
    for name, entry in _numbered(content if isinstance(content, list) else [content], stem(path)):
        yield attempt(id_of(entry, name), f"{path}: {name}", record_of, entry, name, {}, str(path))


def read_database(path: Path) -> Items:
    """An ASE database in SQLite; a row is called by the file and its id.

    Raises:
        IrrepnetError: it is no such database.
    """
    from ase.db import connect

    try:
        # ASE would write its tables into any other database
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            ids = [row[0] for row in connection.execute("SELECT id FROM systems ORDER BY id")]
        database: Any = connect(str(path), type="db", use_lock_file=False)
        with database:
            for number in ids:
                yield _attempt_row(path, number, partial(database.get, id=number))
    except (sqlite3.Error, OSError) as error:
        raise IrrepnetError(f"{path}: is no ASE database that can be read: {error}") from error


def _read_json_rows(content: Mapping[str, Any], path: Path) -> Items:
    from ase.db.row import AtomsRow
    from ase.io.jsonio import decode

    def get(number: int) -> "AtomsRow":
        return AtomsRow(decode(json.dumps(content[str(number)])))

    for number in content["ids"]:
        yield _attempt_row(path, number, partial(get, number))


def _attempt_row(path: Path, number: int, get: Callable[[], "AtomsRow"]) -> Record | Rejection:
    name = f"{stem(path)}:{number}"
    return attempt(name, f"{path}: row {number}", _record_of_row, get, name, str(path))


def _record_of_row(get: Callable[[], "AtomsRow"], name: str, source: str) -> Record:
    row = get()
    return record_of_atoms(row.toatoms(), name, merged(row.key_value_pairs, row.data), source)


def _numbered(items: Iterable[_T], name: str) -> Iterator[tuple[str, _T]]:
    """(name, item) of an only item, else (name:1, item), (name:2, item), …"""
    items = iter(items)
    first = list(islice(items, 2))
    for number, item in enumerate(chain(first, items), start=1):
        yield (name if len(first) == 1 else f"{name}:{number}"), item


_READERS = {"extended XYZ": read_extxyz, "JSON": read_json}
STRUCTURE_FILES = tuple(
    kind_of_files(form.name, *form.patterns, read=_READERS.get(form.name, read_cells)) for form in STRUCTURE_FORMATS
)
"""The files that a table or a folder may name; the first that matches counts."""


def is_structure_file(path: Path) -> bool:
    """Whether it is called like one; there may be none."""
    return any(kind.matches(path) for kind in STRUCTURE_FILES)


def record_in(path: Path, id: str, properties: Mapping[str, Any], source: str) -> Record:
    """The only crystal in a structure file, with these properties besides what the file says.

    Raises:
        IrrepnetError: the file is missing, of another kind, unreadable or holds several crystals.
    """
    if not is_file(path):
        raise IrrepnetError(f"{str(path)[:200]}: no such file")
    kind = next((kind for kind in STRUCTURE_FILES if kind.matches(path)), None)
    if kind is None:
        names = "; ".join(kind.name for kind in STRUCTURE_FILES)
        raise IrrepnetError(f"{path}: unknown format; a structure file is one of {names}")
    items = list(kind.read(path))
    if len(items) != 1:
        raise IrrepnetError(f"{path}: holds {len(items)} structures, one was expected")
    (item,) = items
    if isinstance(item, Rejection):
        raise IrrepnetError(item.reason)
    return replace(item, id=id, source=source).with_properties(properties)
