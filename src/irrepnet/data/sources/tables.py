"""Tables with a crystal a row: CSV, Parquet and pandas DataFrames, and folders of structure files."""

import csv
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from irrepnet.crystals.text import read_text
from irrepnet.data.records import Record, Rejection
from irrepnet.data.sources.crystal import attempt, id_of, is_crystal, record_of
from irrepnet.data.sources.files import (
    STRUCTURE_FILES,
    Items,
    Kind,
    is_structure_file,
    record_in,
    stem,
)
from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.inlets import json_value

if TYPE_CHECKING:
    import pandas

CRYSTAL_COLUMNS = ("structure", "atoms", "file", "filename", "file_name", "path", "cif", "poscar")
"""Names, in lower case, of columns of crystals or file names; the first that holds any is taken."""
CRYSTAL_KEYS = ("species", "frac_coords", "lattice", "cell", "lattice_ieee")
"""Columns of a table in the record format."""
ID_COLUMNS = ("id", "material_id", "name", "", "__index_level_0__")
"""Columns of ids; the last two are what pandas makes of an index without a name."""
ID_PROP = "id_prop.csv"
MISSING = frozenset({"", "nan", "none", "null", "na", "n/a"})
"""Cells that stand for an unknown value, in any case."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)


class Row(NamedTuple):
    """One row of a table."""

    place: str
    """In messages."""
    id: str
    """If no column has one."""
    cells: dict[str, Any]


# --- tables


def read_csv(path: Path) -> Items:
    """A file with a header; columns are separated by commas, semicolons or tabs, whichever the header has most of."""
    lines = iter(read_text(path).splitlines(keepends=True))
    limit = csv.field_size_limit(2**31 - 1)  # a structure as JSON is long
    try:
        first = next(lines, "")
        reader = csv.reader([first, *lines], delimiter=max(",;\t", key=first.count), skipinitialspace=True)
        found = [(reader.line_num, cells) for cells in reader if any(cells)]
    except csv.Error as error:
        raise IrrepnetError(f"{path}: cannot be read as CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)
    if not found:
        return
    columns = [cell.strip() for cell in found.pop(0)[1]]
    rows = []
    for number, cells in found:
        if len(cells) == len(columns):
            rows.append(Row(f"{path}:{number}", str(number), dict(zip(columns, map(str.strip, cells)))))
        else:
            yield Rejection(str(number), f"{path}:{number}: {len(cells)} cells, the header has {len(columns)}")
    yield from _read_rows(columns, rows, path.parent, str(path), _of_text)


def read_parquet(path: Path) -> Items:
    """A file of Parquet, read by pyarrow."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import read_table
    except ImportError:
        raise IrrepnetError(f"{path}: Parquet needs pyarrow: pip install 'irrepnet[parquet]'") from None
    try:
        table = read_table(path)
        found = table.to_pylist()
    except (ArrowException, OSError, ValueError) as error:
        raise IrrepnetError(f"{path}: cannot be read as Parquet: {error}") from error
    rows = [Row(f"{path}: row {number}", str(number), cells) for number, cells in enumerate(found, start=1)]
    yield from _read_rows(table.column_names, rows, path.parent, str(path))


def read_frame(frame: "pandas.DataFrame") -> Items:
    """A pandas DataFrame; rows are called by its index, file names are relative to the working directory."""
    if any(frame.index.names):
        frame = frame.reset_index()
    columns = list(map(str, frame.columns))
    found = (dict(zip(columns, cells)) for cells in frame.itertuples(index=False, name=None))
    rows = [Row(f"DataFrame: row {label}", str(label), cells) for label, cells in zip(frame.index, found)]
    yield from _read_rows(columns, rows, Path(), "DataFrame")


def _read_rows(
    columns: Sequence[str],
    rows: Sequence[Row],
    folder: Path,
    source: str,
    value_of: Callable[[Any], Any] | None = None,
) -> Items:
    """The records of a table.

    Args:
        columns: their names.
        rows: with a cell for each of the columns.
        folder: to which file names are relative.
        source: kept in the records.
        value_of: what a cell means; by default, text that is JSON's list or object is that, all else itself.

    Raises:
        IrrepnetError: two columns of one name, or no column of crystals.
    """
    value_of = value_of or _of_json
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise IrrepnetError(f"{source}: two columns are called {twice[0]!r}")
    if not rows:
        return
    is_record_format = {"species", "frac_coords"} <= set(columns) and bool({"lattice", "cell"} & set(columns))
    where = None if is_record_format else _crystal_column(columns, rows, folder, source)
    called = {name.strip().lower(): name for name in columns if name != where}
    named = next((called[name] for name in ID_COLUMNS if name in called), None)

    def record(row: Row, id: str) -> Record:
        cells = {name: value_of(cell) for name, cell in row.cells.items() if name not in (named, where)}
        if where is None:
            crystal = {name: cells.pop(name) for name in CRYSTAL_KEYS if name in cells}
            return Record.from_dict(crystal, id, source).with_properties(cells)
        crystal = _of_json(row.cells[where])
        if _is_blank(crystal):
            raise IrrepnetError(f"no crystal in the column {where}")
        if isinstance(crystal, str):
            if "\n" in crystal:
                raise IrrepnetError(f"the column {where} holds text, not the name of a file")
            return record_in(folder / crystal, id, cells, source)
        return replace(record_of(crystal, id, cells, source), id=id, source=source)

    for row in rows:
        id = "" if named is None or _is_blank(row.cells[named]) else str(row.cells[named])
        if not id and where is not None:
            crystal = row.cells[where]
            id = crystal if isinstance(crystal, str) and _names_file(crystal, folder) else id_of(_of_json(crystal), "")
        yield attempt(id or row.id, row.place, record, row, id or row.id)


def _crystal_column(columns: Iterable[str], rows: Sequence[Row], folder: Path, source: str) -> str:
    def holds(cell: Any) -> bool:
        return _names_file(cell, folder) if isinstance(cell, str) and "{" not in cell else is_crystal(_of_json(cell))

    named = [name for wanted in CRYSTAL_COLUMNS for name in columns if name.strip().lower() == wanted]
    for name in named:
        if any(holds(row.cells[name]) for row in rows):
            return name
    likely = []
    for name in columns:
        cells = [row.cells[name] for row in rows if not _is_blank(row.cells[name])]
        if cells and all(map(holds, cells)):
            likely.append(name)
    if len(likely) == 1 or (named and not likely):
        return (likely or named)[0]
    found = f"{' and '.join(likely)} hold such" if likely else f"the columns are {', '.join(map(repr, columns))}"
    raise IrrepnetError(
        f"{source}: which column holds the crystals, or the names of their files? {found}; call one 'structure' or "
        "'file'"
    )


def _names_file(cell: str, folder: Path) -> bool:
    return is_structure_file(Path(cell)) or (not _is_blank(cell) and is_file(folder / cell))


def _is_blank(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or (isinstance(cell, float) and cell != cell)


def _of_json(cell: Any) -> Any:
    """What a cell's text says if it is JSON's list or object, else the cell."""
    if isinstance(cell, str) and cell.lstrip().startswith(("[", "{")):
        try:
            return json_value(cell)
        except ValueError:
            return cell
    return cell


def _of_text(cell: str) -> Any:
    """What a cell of a CSV file says: nothing, a number, true or false, JSON, or text."""
    if cell.lower() in MISSING and cell != "Na":  # sodium
        return None
    if cell.lower() in ("true", "false"):
        return cell.lower() == "true"
    if _NUMBER.fullmatch(cell):
        return int(cell) if cell.lstrip("+-").isdecimal() else float(cell)
    return _of_json(cell)


# --- folders


def read_id_prop(folder: Path) -> Items:
    """A folder with `id_prop.csv`: an id, which names a file, and values in every line."""
    table = folder / ID_PROP
    try:
        reader = csv.reader(read_text(table).splitlines(keepends=True), skipinitialspace=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise IrrepnetError(f"{table}: cannot be read ({error})") from error
    while rows and all(len(row) > 1 and not row[-1] for _, row in rows):  # a comma ends every line
        rows = [(number, row[:-1]) for number, row in rows]
    if rows and _is_header(rows[0][1], folder):
        targets = rows.pop(0)[1][1:]
    else:
        width = len(rows[0][1]) if rows else 0
        targets = ["target", *(f"target_{i}" for i in range(2, width))]
    for number, row in rows:
        yield attempt(row[0], f"{table}:{number}", _record_of_line, row, targets, folder)


def read_folder(folder: Path) -> Items:
    """The structure files in a folder, by name; crystals are called by the files' names, without endings if these
    are all different."""
    try:
        paths = sorted(path for path in folder.iterdir() if is_structure_file(path) and is_file(path))
    except OSError as error:
        raise IrrepnetError(f"{folder}: cannot be read: {error.strerror}") from error
    if not paths:
        names = "; ".join(kind.name for kind in STRUCTURE_FILES)
        raise IrrepnetError(f"{folder}: holds no {ID_PROP} and no structure file: {names}")
    yield from read_files(paths, STRUCTURE_FILES)


def read_files(paths: Sequence[Path], kinds: Iterable[Kind]) -> Items:
    """What several files hold. Crystals that are called by their file have its name without ending; with it, or the
    whole path, where these are not all different."""
    names = ([name(path) for path in paths] for name in (stem, lambda path: path.name, str))
    called = next(own for own in names if len({*own}) == len(own))
    for path, name in zip(paths, called):
        kind = next((kind for kind in kinds if kind.matches(path)), None)
        if kind is None:
            yield Rejection(name, f"{path}: of no kind that is known")
            continue
        for item in kind.read(path):
            if item.id == stem(path) or item.id.startswith(f"{stem(path)}:"):
                item = replace(item, id=name + item.id.removeprefix(stem(path)))
            yield item


def _is_header(row: list[str], folder: Path) -> bool:
    return not is_file(_file_of(row[0], folder)) and any(_number(cell) is None for cell in row[1:])


def _file_of(name: str, folder: Path) -> Path:
    """The file that an id names: the one so called, else the first with a usual ending, else where a CIF would be."""
    paths = [folder / f"{name}{ending}" for ending in (".cif", ".vasp", ".poscar", ".extxyz", ".xyz", ".json")]
    if is_structure_file(folder / name):
        paths.insert(0, folder / name)
    return next(filter(is_file, paths), paths[0])


def _number(cell: str) -> float | None:
    """The number in a cell, NaN for an unknown one, None for text."""
    try:
        return math.nan if cell.lower() in MISSING else float(cell)
    except ValueError:
        return None


def _record_of_line(row: list[str], targets: list[str], folder: Path) -> Record:
    name, cells = row[0], row[1:]
    if len(cells) != len(targets):
        raise IrrepnetError(f"{len(cells)} values, {len(targets)} were expected ({', '.join(targets) or 'none'})")
    properties: dict[str, Any] = {}
    for target, cell in zip(targets, cells, strict=True):
        properties[target] = _number(cell)
        if properties[target] is None:
            raise IrrepnetError(f"{target} is {cell!r}, not a number")
    return record_in(_file_of(name, folder), name, properties, str(folder))
