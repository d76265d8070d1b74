"""Files of text: their names, and what is in them whatever the encoding, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from irrepnet.errors import IrrepnetError

_GZIP = b"\x1f\x8b"


def read_text(path: Path) -> str:
    """The text of a file; see `decode`. It may be gzipped, whatever its name; lines end in a newline alone.

    Raises:
        IrrepnetError: it is missing, cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
        text = decode(gzip.decompress(content) if content.startswith(_GZIP) else content)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, one after the other, gzipped or not, whatever its name.

    Raises:
        IrrepnetError: as `read_text`.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
            yield from gzip.GzipFile(fileobj=raw) if zipped else raw
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


def decode(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or else Latin-1, as older databases write; a mark at the start is left out."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def is_named(path: Path, patterns: Iterable[str]) -> bool:
    """Whether the name, in lower case and without .gz, matches one of the patterns."""
    name = path.name.lower().removesuffix(".gz")
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _unreadable(path: Path, error: Exception) -> IrrepnetError:
    if isinstance(error, FileNotFoundError):
        return IrrepnetError(f"{path}: no such file")
    if isinstance(error, OSError) and error.strerror:
        return IrrepnetError(f"{path}: cannot be read: {error.strerror}")
    return IrrepnetError(f"{path}: damaged file, get it again: {error}")
