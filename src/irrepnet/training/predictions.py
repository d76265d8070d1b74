"""Predictions as tables and files."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from irrepnet.errors import IrrepnetError
from irrepnet.files import replacing
from irrepnet.outlets import csv_line
from irrepnet.tasks.config import COLUMNS
from irrepnet.tasks.targets import Target


def prediction_table(rows: Sequence[dict[str, Any]], targets: Sequence[Target]) -> tuple[list[str], list[list[Any]]]:
    """Predictions as a table: header and lines, a line a structure, or a line an atom if a target has values of atoms.

    Headings name the units, and a tensor takes a column a component; a missing value is None. The nearest crystals are
    in one column, by formula and id.
    """
    named = {target.name: target for target in targets}
    blocks = [{key: named[key].rows(value) if key in named else None for key, value in row.items()} for row in rows]
    lengths = [max(len(block) for block in own.values() if block is not None) for own in blocks]
    by_atom = max(lengths) > 1 or any(target.of_atoms for target in targets)
    header: list[str] = []
    for key in rows[0]:
        if key in named:
            target = named[key]
            header += [column.replace(f"[{target.unit}]", f"[{target.value_unit}]") for column in target.columns]
        else:
            target = named.get(key.removesuffix("_bound").removesuffix("_spread"))
            heading = f"{key} [{target.unit}]" if target and target.unit else key
            header += [heading, "atom"] if by_atom and key == "formula" else [heading]
    lines = []
    for row, own, length in zip(rows, blocks, lengths):
        for atom in range(length):
            line: list[Any] = []
            for key, value in row.items():
                if (block := own[key]) is not None:
                    line += block[atom] if atom < len(block) else [None] * len(named[key].columns)
                elif key == "nearest":
                    line.append(value and "; ".join(f"{near['formula']} ({near['id']})" for near in value))
                else:
                    line += [value, atom + 1] if by_atom and key == "formula" else [value]
            lines.append(line)
    return header, lines


class PredictionFile:
    """A file of predictions, written while they are made; it has its name when it is whole.

    Its ending says how: .csv, or none, a table; .parquet the same table (pyarrow); .json a list of the rows as they
    are, .jsonl a row a line. A link, such as /dev/stdout, and what is no file, are written as they are.

    Raises:
        IrrepnetError: another ending, pyarrow is missing, or it cannot be written.
    """

    def __init__(self, path: Path, targets: Sequence[Target]) -> None:
        if path.suffix.lower() not in _WRITERS:
            endings = ", ".join(filter(None, _WRITERS))
            raise IrrepnetError(f"{path}: predictions are written to {endings}; give one of these endings")
        self.path, self.targets = path, targets

    def __enter__(self) -> "PredictionFile":
        with self._named(), ExitStack() as stack:
            part = stack.enter_context(replacing(self.path))
            self.writer = _WRITERS[self.path.suffix.lower()](part, self.targets)
            stack.callback(self.writer.close)
            self._stack = stack.pop_all()
        return self

    def write(self, rows: list[dict[str, Any]]) -> None:
        with self._named():
            self.writer.write(rows)

    def __exit__(self, *error: Any) -> None:
        with self._named():
            self._stack.__exit__(*error)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise IrrepnetError(f"{self.path}: cannot be written ({error.strerror or error})") from None


class _Text:
    def __init__(self, path: Path, targets: Sequence[Target]) -> None:
        self.stream: TextIO = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self.targets, self.begun = targets, False

    def write(self, rows: list[dict[str, Any]]) -> None:
        self.put(rows)
        self.begun = True

    def put(self, rows: list[dict[str, Any]]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self.stream.close()


class _Csv(_Text):
    def put(self, rows: list[dict[str, Any]]) -> None:
        header, lines = prediction_table(rows, self.targets)
        table = lines if self.begun else [header, *lines]
        csv.writer(self.stream, lineterminator="\n").writerows(map(csv_line, table))


class _JsonLines(_Text):
    def put(self, rows: list[dict[str, Any]]) -> None:
        self.stream.writelines(_json(row) + "\n" for row in rows)


class _Json(_Text):
    def put(self, rows: list[dict[str, Any]]) -> None:
        self.stream.write((",\n" if self.begun else "[\n") + ",\n".join(map(_json, rows)))

    def close(self) -> None:
        self.stream.write("\n]\n" if self.begun else "[]\n")
        super().close()


class _Parquet:
    """A row group a part; what is no text in the table is a number."""

    def __init__(self, path: Path, targets: Sequence[Target]) -> None:
        try:
            import pyarrow
            from pyarrow.parquet import ParquetWriter
        except ImportError:
            raise IrrepnetError(f"{path}: Parquet needs pyarrow: pip install 'irrepnet[parquet]'") from None
        self.arrow, self.make, self.path, self.targets, self.writer = pyarrow, ParquetWriter, path, targets, None

    def write(self, rows: list[dict[str, Any]]) -> None:
        header, lines = prediction_table(rows, self.targets)
        types = [self.arrow.string() if name in COLUMNS - {"atom"} else self.arrow.float64() for name in header]
        schema = self.arrow.schema(zip(header, types))
        columns = dict(zip(header, zip(*([_encodable(cell) for cell in line] for line in lines))))
        self.writer = self.writer or self.make(self.path, schema)
        self.writer.write_table(self.arrow.table(columns, schema))

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _encodable(cell: Any) -> Any:
    """Text without lone surrogates, as names of files may have them."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, allow_nan=False, ensure_ascii=False)


_WRITERS: dict[str, Callable[[Path, Sequence[Target]], Any]] = {
    ".csv": _Csv,
    ".parquet": _Parquet,
    ".json": _Json,
    ".jsonl": _JsonLines,
    "": _Csv,
}
