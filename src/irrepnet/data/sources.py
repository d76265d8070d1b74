"""Reading records: embedded sets, JSON lines, folders of CIFs and single structure files."""

import csv
import difflib
import gzip
import json
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from irrepnet.data.records import Record, Rejection
from irrepnet.data.sets import DATASETS
from irrepnet.errors import IrrepnetError

TABLE = "id_prop.csv"
MISSING = frozenset({"", "nan", "none", "null", "na", "n/a"})
"""Cells of the table that stand for an unknown value, in any case."""


def read_records(source: str | Path) -> tuple[list[Record], list[Rejection]]:
    """All records of a source, and what in it could not be used.

    Args:
        source: one of

            * the name of an embedded set (`DATASETS`);
            * a file of JSON lines (.jsonl, .jsonl.gz), one crystal a line: see `Record.from_dict`; a record
              without an id is called by its line number;
            * a folder with `id_prop.csv` and one CIF an id: lines `id,value[,value…]` for the file `id.cif`.
              A first line whose values are not numbers names the targets; without it they are called
              `target`, `target_2` and so on. An empty cell, nan or null is an unknown value;
            * a structure file (CIF, POSCAR, extended XYZ, JSON), called by its name without the ending.

    Returns:
        Records in the order of the source, and a Rejection for every crystal that cannot be read, is not
        ordered or has an id that came before; its reason names the file and the line.

    Raises:
        IrrepnetError: the source does not exist, is empty, or is damaged as a whole.
    """
    if str(source) in DATASETS:
        return embedded(str(source)), []
    path = Path(source)
    if path.is_dir():
        items = _read_folder(path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")) and path.is_file():
        items = _read_lines(_lines_of(path), str(path))
    elif path.is_file():
        items = _read_structure_file(path)
    else:
        close = difflib.get_close_matches(str(source), DATASETS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"embedded sets: {', '.join(DATASETS)}"
        raise IrrepnetError(f"{source}: no such file, folder or embedded set; {hint}")
    return _sort_out(items, str(path))


def embedded(name: str) -> list[Record]:
    """The records of an embedded set.

    Raises:
        IrrepnetError: no set has the name, or its file is not the one that was released.
    """
    if name not in DATASETS:
        raise IrrepnetError(f"no embedded set {name!r}; there are: {', '.join(DATASETS)}")
    lines = gzip.decompress(DATASETS[name].read_bytes()).splitlines()
    return [Record.from_dict(json.loads(line), source=name) for line in lines]


def _sort_out(items: Iterable[Record | Rejection], source: str) -> tuple[list[Record], list[Rejection]]:
    records: dict[str, Record] = {}
    rejections: list[Rejection] = []
    for item in items:
        if isinstance(item, Rejection):
            rejections.append(item)
        elif item.id in records:
            rejections.append(Rejection(item.id, f"{source}: the id {item.id} came before; only the first is kept"))
        else:
            records[item.id] = item
    if not records and not rejections:
        raise IrrepnetError(f"{source}: holds no crystal")
    return list(records.values()), rejections


def _lines_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            yield from gzip.GzipFile(fileobj=raw) if zipped else raw
        except (OSError, EOFError, zlib.error) as error:
            raise IrrepnetError(f"{path}: damaged file, get it again: {error}") from error


def _read_lines(lines: Iterable[bytes], source: str) -> Iterator[Record | Rejection]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name = str(number)
        try:
            content = json.loads(line)
            if not isinstance(content, dict):
                raise IrrepnetError("not a JSON object")
            name = str(content.get("material_id") or content.get("id") or name)
            yield Record.from_dict(content, id=name, source=source)
        except IrrepnetError as error:
            yield Rejection(name, f"{source}:{number}: {error}")
        except (ValueError, RecursionError) as error:
            yield Rejection(name, f"{source}:{number}: not JSON: {error}")


def _read_structure_file(path: Path) -> Iterator[Record | Rejection]:
    from irrepnet.crystals.reading import read_structures

    try:
        structures = read_structures(path)
    except IrrepnetError as error:
        yield Rejection(path.stem, str(error))
        return
    for number, structure in enumerate(structures, start=1):
        name = path.stem if len(structures) == 1 else f"{path.stem}:{number}"
        try:
            yield Record.from_structure(structure, name, source=str(path))
        except IrrepnetError as error:
            yield Rejection(name, f"{path}: {error}")


def _read_folder(folder: Path) -> Iterator[Record | Rejection]:
    table = folder / TABLE
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, skipinitialspace=True)
            rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IrrepnetError(
            f"{table}: cannot be read ({error}); a folder of CIFs needs it, with lines id,value"
        ) from error
    if rows and _is_header(rows[0][1], folder):
        targets = rows.pop(0)[1][1:]
    else:
        width = len(rows[0][1]) if rows else 0
        targets = ["target", *(f"target_{i}" for i in range(2, width))]
    for number, row in rows:
        try:
            yield _read_row(row, targets, folder)
        except IrrepnetError as error:
            yield Rejection(row[0], f"{table}:{number}: {error}")


def _is_header(row: list[str], folder: Path) -> bool:
    return not _cif_of(row[0], folder).is_file() and any(_number(cell) is None for cell in row[1:])


def _cif_of(name: str, folder: Path) -> Path:
    return folder / (name if name.endswith(".cif") else f"{name}.cif")


def _number(cell: str) -> float | None:
    """The number in a cell, NaN for an unknown one, None for text."""
    try:
        return math.nan if cell.lower() in MISSING else float(cell)
    except ValueError:
        return None


def _read_row(row: list[str], targets: list[str], folder: Path) -> Record:
    from irrepnet.crystals.reading import read_structures

    name, cells = row[0], row[1:]
    if len(cells) != len(targets):
        raise IrrepnetError(f"{len(cells)} values, {len(targets)} were expected ({', '.join(targets) or 'none'})")
    properties: dict[str, Any] = {}
    for target, cell in zip(targets, cells, strict=True):
        properties[target] = _number(cell)
        if properties[target] is None:
            raise IrrepnetError(f"{target} is {cell!r}, not a number")
    path = _cif_of(name, folder)
    structures = read_structures(path)
    if len(structures) != 1:
        raise IrrepnetError(f"{path}: holds {len(structures)} structures, one was expected")
    try:
        return Record.from_structure(structures[0], name, properties, source=str(folder))
    except IrrepnetError as error:
        raise IrrepnetError(f"{path}: {error}") from error
