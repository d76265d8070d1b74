"""Any file that `read_records` takes, at an address or on disk."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from irrepnet.data.fetch.http import Client, OnProgress, check_address
from irrepnet.data.fetch.raw import FetchRequest, Raw, fetch_file, keep_file, sound_name
from irrepnet.data.records import Record, Rejection
from irrepnet.data.sources import KINDS, stream_records
from irrepnet.errors import IrrepnetError


def fetch_address(request: FetchRequest, progress: OnProgress) -> Raw:
    """The file at an address of http or https; its name, the last part of the path, says of which kind it is.

    Raises:
        IrrepnetError: no such address, a name of no kind that is known, and as `fetch_file`.
    """
    check_address(request.source)
    name = sound_name(unquote(urlsplit(request.source).path.rpartition("/")[2]))
    _check_name(name)

    def describe(client: Client) -> dict[str, Any]:
        return {"name": name, "version": "", "licence": "not stated", "citation": []}

    return fetch_file(request, {"source": "address", "url": request.source}, describe, progress)


def fetch_path(request: FetchRequest, progress: OnProgress) -> Raw:
    """A file on disk; it is read each time."""
    _check_name(Path(request.source).name)
    return keep_file(Path(request.source))


def read_plain(raw: Raw) -> Iterator[Record | Rejection]:
    """What `read_records` finds in it."""
    (path,) = raw.paths
    for item in stream_records(path):
        if isinstance(item, Rejection):
            item = replace(item, reason=item.reason.replace(str(path), path.name))
        yield item


def _check_name(name: str) -> None:
    if not any(kind.matches(Path(name)) for kind in KINDS if "*" in kind.name):
        known = "; ".join(kind.name for kind in KINDS if "(*" in kind.name or "POSCAR*" in kind.name)
        raise IrrepnetError(f"{name}: by its name of no kind that is known; a file is one of {known}")
