"""Files of text: their names, and what is in them whatever the encoding, gzipped or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import IO, Literal, NamedTuple

from irrepnet.errors import IrrepnetError
from irrepnet.inlets import limit

_GZIP = b"\x1f\x8b"


class FileInMemory(NamedTuple):
    """What a file holds, and its name: read as a file is, without being on any disk."""

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    def open(self, mode: Literal["rb"]) -> BytesIO:
        return BytesIO(self.content)


def read_text(path: Path | FileInMemory) -> str:
    """The text of a file; see `decode`. It may be gzipped, whatever its name; lines end in a newline alone.

    Raises:
        IrrepnetError: it is missing, cannot be read, is damaged, or too large (:data:`irrepnet.inlets.LIMITS`).
    """
    try:
        with _unpacked(path) as stream:
            content = stream.read(_most() + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if len(content) > _most():
        raise _too_large(path, "it")
    text = decode(content)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a file, one after the other, gzipped or not, whatever its name.

    Raises:
        IrrepnetError: as `read_text`.
    """
    try:
        with _unpacked(path) as stream:
            while line := stream.readline(_most() + 1):
                if len(line) > _most():
                    raise _too_large(path, "a line of it")
                yield line
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error


@contextmanager
def _unpacked(path: Path | FileInMemory) -> Iterator[IO[bytes]]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP
        raw.seek(0)
        yield gzip.GzipFile(fileobj=raw) if zipped else raw  # pyright: ignore[reportReturnType] (it is one to read)


def _most() -> int:
    return 1_000_000 * limit("IRREPNET_MAX_MB")


def _too_large(path: Path | FileInMemory, what: str) -> IrrepnetError:
    number = limit("IRREPNET_MAX_MB")
    return IrrepnetError(f"{path}: {what} has more than {number} MB, unpacked; set IRREPNET_MAX_MB to read more")


def decode(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or else Latin-1, as older databases write; a mark at the start is left out."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def is_named(path: Path | FileInMemory, patterns: Iterable[str]) -> bool:
    """Whether the name, in lower case and without .gz, matches one of the patterns."""
    name = path.name.lower().removesuffix(".gz")
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _unreadable(path: Path | FileInMemory, error: Exception) -> IrrepnetError:
    if isinstance(error, FileNotFoundError):
        return IrrepnetError(f"{path}: no such file")
    if isinstance(error, OSError) and error.strerror:
        return IrrepnetError(f"{path}: cannot be read: {error.strerror}")
    return IrrepnetError(f"{path}: damaged file, get it again: {error}")
