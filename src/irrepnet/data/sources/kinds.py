"""The table of the kinds of sources, and the reader of them all."""

import difflib
import gzip
import os
import re
import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace
from glob import glob, has_magic
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from irrepnet.crystals.text import read_text
from irrepnet.data.records import Record, Rejection
from irrepnet.data.sets import DATASETS
from irrepnet.data.sources.crystal import attempt, id_of, is_crystal, record_of
from irrepnet.data.sources.files import (
    STRUCTURE_FILES,
    Items,
    Kind,
    kind_of_files,
    read_database,
    read_json_lines,
)
from irrepnet.data.sources.tables import (
    ID_PROP,
    read_csv,
    read_files,
    read_folder,
    read_frame,
    read_id_prop,
    read_parquet,
)
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.inlets import json_value

LONGEST_ID = 500


def embedded(name: str) -> list[Record]:
    """The records of an embedded set.

    Raises:
        IrrepnetError: no set has the name, or its file is not the one that was released.
    """
    if name not in DATASETS:
        raise IrrepnetError(f"no embedded set {name!r}; there are: {', '.join(DATASETS)}")
    lines = gzip.decompress(DATASETS[name].read_bytes()).splitlines()
    return [Record.from_dict(json_value(line), source=name) for line in lines]


def read_crystals(crystals: Iterable[Any], start: int = 1) -> Items:
    """Crystals of any kind (`record_of`); those without an id are called by their number."""
    for number, crystal in enumerate(crystals, start):
        yield attempt(id_of(crystal, str(number)), f"crystal {number}", record_of, crystal, str(number), {}, "list")


def _is_embedded(source: Any) -> bool:
    return isinstance(source, str | Path) and str(source) in DATASETS


def _is_frame(source: Any) -> bool:
    return hasattr(source, "itertuples") and hasattr(source, "columns")


def _is_list(source: Any) -> bool:
    return isinstance(source, Iterable) and not isinstance(source, str | bytes | Path)


def _is_pattern(source: Any) -> bool:
    return isinstance(source, str) and has_magic(source)


def _read_pattern(pattern: str) -> Items:
    """The files that a pattern names, by name."""
    paths = [Path(path) for path in sorted(glob(pattern, recursive=True)) if is_file(Path(path))]
    if not paths:
        raise IrrepnetError(f"{pattern}: no such file; no name fits the pattern")
    return read_files(paths, KINDS)


def _is_standard_input(source: Any) -> bool:
    return isinstance(source, str) and source == "-"


def _read_standard_input(_: str) -> Items:
    """What comes in by a pipe, of the kind that it looks like."""
    content = sys.stdin.buffer.read()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(content)
        path = path.rename(path.with_suffix(_ending(read_text(path))))
        for item in read_files([path], KINDS):
            yield replace(item, reason=item.reason.replace(str(path), "-")) if isinstance(item, Rejection) else item


def _ending(text: str) -> str:
    """Of the name of a file with this text."""
    lines = text.split("\n", 2)
    if text.lstrip().startswith(("{", "[")):
        try:
            return ".jsonl" if isinstance(json_value(lines[0]), dict) else ".json"
        except ValueError:
            return ".json"
    if re.search(r"(?mi)^\s*data_", text):
        return ".cif"
    return ".extxyz" if lines[0].strip().isdigit() and "lattice=" in text.lower() else ".vasp"


KINDS: list[Kind] = [
    Kind("embedded set, by name", _is_embedded, lambda s: iter(embedded(str(s)))),
    Kind(f"folder with {ID_PROP}", lambda s: isinstance(s, Path) and is_file(s / ID_PROP), read_id_prop),
    Kind("folder of structure files", lambda s: isinstance(s, Path) and s.is_dir(), read_folder),
    kind_of_files("JSON lines", "*.jsonl", read=read_json_lines),
    *STRUCTURE_FILES,
    kind_of_files("CSV", "*.csv", read=read_csv),
    kind_of_files("Parquet", "*.parquet", read=read_parquet),
    kind_of_files("ASE database", "*.db", read=read_database),
    Kind("pattern of names of files (set/*.cif)", _is_pattern, _read_pattern),
    Kind("standard input (-)", _is_standard_input, _read_standard_input),
    Kind("pandas DataFrame", _is_frame, read_frame),
    Kind("one pymatgen Structure, ASE Atoms or Record", is_crystal, lambda s: read_crystals([s])),
    Kind("list of pymatgen Structures, ASE Atoms, Records or mappings in the record format", _is_list, read_crystals),
]
"""All kinds of sources; the first that matches counts."""


def read_records(source: Any) -> tuple[list[Record], list[Rejection]]:
    """All records of a source, and what in it could not be used.

    Args:
        source: of one of the `KINDS`; docs/data.md says what each holds.

    Returns:
        Records in the order of the source, with ids of their own, and a Rejection for every crystal that cannot be
        read, is not ordered or has an id that came before; its reason names the file and the line, frame or row.

    What a library warns of is passed on as a warning with the name of the source and of the first crystal it is about.

    Raises:
        IrrepnetError: the source does not exist, is of no known kind, is empty, or is damaged as a whole.
    """
    items = list(stream_records(source))
    records = [item for item in items if isinstance(item, Record)]
    return records, [item for item in items if isinstance(item, Rejection)]


def stream_records(source: Any) -> Items:
    """The same one after the other, so that JSON lines, for example, are never in memory as a whole."""
    if isinstance(source, str | os.PathLike):
        source = _existing(source)
    kind = next((kind for kind in KINDS if kind.matches(source)), None)
    if kind is None:
        known = "; ".join(kind.name for kind in KINDS)
        what = source if isinstance(source, Path) else f"a {type(source).__name__}"
        raise IrrepnetError(f"{what}: no kind of source that is known; there are: {known}")
    name = str(source) if isinstance(source, str | Path) else type(source).__name__
    yield from sound_items(kind.read(source), name)


def sound_items(items: Items, name: str) -> Items:
    """What a source of this name holds, with ids that are its own and that every file can hold; warnings name the
    source. Raises IrrepnetError if it holds nothing."""
    ids: set[str] = set()
    told: dict[tuple[str, type[Warning]], str] = {}
    item: Record | Rejection | None = None
    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("ignore", DeprecationWarning)
            item, last = next(items, None), item
        if item is None:
            break
        item = _with_sound_id(item, name)
        for warning in caught:
            told.setdefault((str(warning.message), warning.category), item.id)
        if isinstance(item, Record) and item.id in ids:
            item = Rejection(item.id, f"{name}: the id {item.id} came before; only the first is kept")
        elif isinstance(item, Record):
            ids.add(item.id)
        yield item
    for (text, category), id in told.items():
        warnings.warn(f"{name}: {id}: {text}", category, stacklevel=2)
    if last is None:
        raise IrrepnetError(f"{name}: holds no crystal")


def _with_sound_id(item: Record | Rejection, name: str) -> Record | Rejection:
    """With an id that every file can hold, however it is called: lone surrogates, as names of files that are no UTF-8
    have them, are written out, and a crystal whose id is too long for any table is refused."""
    id = item.id.encode("utf-8", "backslashreplace").decode()
    if len(id) > LONGEST_ID:
        begin = id[:40]
        return Rejection(
            f"{begin}…", f"{name}: the id {begin}… has {len(id)} characters, {LONGEST_ID} at most are read"
        )
    return item if id == item.id else replace(item, id=id)


def _existing(source: Any) -> str | Path:
    """The name of an embedded set, or a path at which there is something."""
    if str(source) in DATASETS or str(source) == "-":
        return str(source)
    try:
        if Path(source).exists():
            return Path(source)
    except (OSError, ValueError):
        pass  # a name that no file can have
    if has_magic(str(source)):
        return str(source)
    close = difflib.get_close_matches(str(source), DATASETS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"embedded sets: {', '.join(DATASETS)}"
    raise IrrepnetError(f"{str(source)[:200]}: no such file, folder or embedded set; {hint}")
