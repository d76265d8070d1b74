"""Results that took long to compute, kept on disk by content.

One SQLite file that any number of processes share. It lies in $IRREPNET_CACHE, else in $XDG_CACHE_HOME/irrepnet,
else in ~/.cache/irrepnet, and may be deleted at any time. Nothing that goes wrong with it stops a computation.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.inlets import json_value

_WAIT = 60  # s, for another process to finish writing


def folder() -> Path:
    """Where results are kept."""
    if own := os.environ.get("IRREPNET_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "irrepnet"


def digest(*parts: Any) -> str:
    """A name for the content of arrays (reals to 1e-8) and of what ``str`` tells apart."""
    content = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            whole = np.round(part / 1e-8) if part.dtype.kind == "f" else part
            content.update(f"{part.shape}".encode() + whole.astype(np.int64).tobytes())
        else:
            content.update(f"{part!s}\n".encode())
    return content.hexdigest()


class Cache:
    """Key → JSON value, in a file; in memory, after a warning, if the file cannot be used.

    Args:
        path: of the file; made if need be.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open(path)
        except (OSError, sqlite3.OperationalError) as error:
            self._forget(error)
        except sqlite3.DatabaseError as error:
            self._rebuild(error)

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        """The values that are there, by key; a damaged one counts as missing."""
        found = {}
        try:
            for key in keys:
                row = self._file.execute("SELECT value, crc FROM results WHERE key = ?", (key,)).fetchone()
                if row and _crc(key, row[0]) == row[1]:
                    found[key] = json_value(row[0])
        except sqlite3.OperationalError as error:
            self._forget(error)
        except sqlite3.DatabaseError as error:
            self._rebuild(error)
        return found

    def put(self, values: Mapping[str, Any]) -> None:
        """Keep values: all of them or, if the process is killed meanwhile, none."""
        rows = [(key, text := json.dumps(value).encode(), _crc(key, text)) for key, value in values.items()]
        if not rows:
            return
        try:
            self._write(rows)
        except sqlite3.OperationalError as error:
            self._forget(error)
            self._write(rows)
        except sqlite3.DatabaseError as error:
            self._rebuild(error)
            self._write(rows)

    def _write(self, rows: list[tuple[str, bytes, int]]) -> None:
        with self._file:
            self._file.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", rows)

    def _open(self, path: Path | str) -> None:
        self._file = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False)
        # A result lost to a power failure is computed again: no need to wait for the disk.
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value BLOB, crc INTEGER)")
        self._inode = os.stat(path).st_ino if isinstance(path, Path) else None

    def _forget(self, error: Exception) -> None:
        warnings.warn(f"{self.path} cannot be used ({error}); descriptors are not kept after this run", stacklevel=4)
        self._open(":memory:")

    def _rebuild(self, error: Exception) -> None:
        """Begin a damaged file anew, unless another process already did."""
        warnings.warn(f"{self.path} is damaged ({error}) and is begun anew", stacklevel=4)
        self._file.close()
        try:
            with contextlib.suppress(FileNotFoundError):
                if getattr(self, "_inode", None) in (None, os.stat(self.path).st_ino):
                    self.path.unlink()
                    Path(f"{self.path}-journal").unlink(missing_ok=True)
            self._open(self.path)
        except (OSError, sqlite3.Error) as again:
            self._forget(again)


def _crc(key: str, text: bytes) -> int:
    """A checksum of a value, at its place."""
    return zlib.crc32(text, zlib.crc32(key.encode()))


class _Nothing(Cache):
    """Keeps nothing."""

    def __init__(self) -> None:
        pass

    def get(self, keys: Iterable[str]) -> dict[str, Any]:
        return {}

    def put(self, values: Mapping[str, Any]) -> None:
        pass


_bypassed: ContextVar[bool] = ContextVar("bypassed", default=False)


@contextlib.contextmanager
def bypassed() -> Iterator[None]:
    """Meanwhile results are neither taken from the cache nor kept in it: a check sees what is computed anew."""
    token = _bypassed.set(True)
    try:
        yield
    finally:
        _bypassed.reset(token)


def is_bypassed() -> bool:
    """Whether this is such a time."""
    return _bypassed.get()


def cache() -> Cache:
    """The cache of this process."""
    return _Nothing() if is_bypassed() else _cache(folder(), os.getpid())


@lru_cache(maxsize=4)
def _cache(where: Path, process: int) -> Cache:
    return Cache(where / "descriptors.sqlite")
