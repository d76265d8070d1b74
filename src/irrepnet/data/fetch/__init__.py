"""Data from elsewhere: source → raw files, kept as they came → records.

`SOURCES` is the table of them; :func:`fetch` does all of it.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from irrepnet import __version__
from irrepnet.data.fetch import jarvis, matbench, mp, optimade, plain
from irrepnet.data.fetch.http import OnProgress
from irrepnet.data.fetch.raw import FetchRequest, Raw, raw_folder
from irrepnet.data.records import STRUCTURE_KEYS, Record, Rejection
from irrepnet.data.sources.files import Items, is_file
from irrepnet.data.sources.kinds import sound_items
from irrepnet.data.targets import METADATA, target_unit
from irrepnet.errors import IrrepnetError

__all__ = ["SOURCES", "FetchRequest", "Origin", "fetch", "raw_folder"]


class Origin(NamedTuple):
    """Where data come from."""

    about: str
    """For `irrepnet data list`."""
    get: Callable[[FetchRequest, OnProgress], Raw]
    read: Callable[[Raw], Items]
    units: dict[str, str]
    """Of properties, besides those that are known and those that the manifest has."""
    left_out: dict[str, str]
    """What is not in the records, and why."""
    takes: frozenset[str]
    """The options that mean something to it."""


_PAGES = frozenset({"query", "filter", "fields", "url"})
_FILES = frozenset({"query", "url"})
SOURCES: dict[str, Origin] = {
    "mp": Origin(
        f"Materials Project, with a key; --query {', '.join(mp.QUERIES)}",
        mp.fetch_mp, mp.read_mp, mp.UNITS, {}, _PAGES | {"key_file"},
    ),
    "optimade": Origin(
        f"any OPTIMADE server, by --url, or --query {', '.join(optimade.PROVIDERS)}",
        optimade.fetch_optimade, optimade.read_optimade, {}, {}, _PAGES,
    ),
    "jarvis": Origin(
        f"JARVIS-DFT's archives; --query {', '.join(jarvis.ARCHIVES)}",
        jarvis.fetch_jarvis, jarvis.read_jarvis, jarvis.UNITS, jarvis.LEFT_OUT, _FILES,
    ),
    "matbench": Origin(
        f"matminer's files; --query {', '.join(matbench.FRAMES)}",
        matbench.fetch_matbench, matbench.read_matbench, {}, {}, _FILES,
    ),
}  # fmt: skip
_ADDRESS = Origin("a file at an address", plain.fetch_address, plain.read_plain, {}, {}, frozenset())
_PATH = Origin("a file", plain.fetch_path, plain.read_plain, {}, {}, frozenset())


def fetch(request: FetchRequest, out: Path, progress: OnProgress = lambda text: None) -> dict[str, Any]:
    """Get data and write them as JSON lines (docs/data.md), with a manifest beside them.

    What was asked before is taken from the raw files that are kept, without network.

    Args:
        request: what is asked of which source: a key of `SOURCES`, an address or a file.
        out: a file called .jsonl or .jsonl.gz; the manifest's name ends in .manifest.json instead.
        progress: told now and then how much there is.

    Returns:
        The manifest: what the raw files' has (`asked`, `time`, `version`, `licence`, `citation`, `files` with sha256),
        and `most`, `records` (how many), `targets` (names of what is no text, with units, "" where there is none or it
        is not known), `rejected` (id and reason), `left_out`, `out`, `sha256` of it.

    Raises:
        IrrepnetError: an unknown source, an option that it does not take, no network, no key, a damaged file, or
            nothing in it that can be used.
    """
    manifest_path = out.with_name(_stem(out) + ".manifest.json")
    source = _source(request)
    raw = source.get(request, progress)
    units = {**source.units, **raw.manifest.get("units", {})}
    names: dict[str, None] = {}
    rejections: list[Rejection] = []
    count = 0
    with _written(out) as file:
        for item in sound_items(source.read(raw), request.source):
            if request.most is not None and count + len(rejections) == request.most:
                break
            if isinstance(item, Rejection):
                rejections.append(item)
                continue
            file.write(json.dumps(record_line(item), ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
            names |= dict.fromkeys(key for key, value in item.properties.items() if not isinstance(value, str | None))
            count += 1
            progress(f"{count} records")
        if not count:
            raise IrrepnetError(f"{request.source}: nothing can be used of {len(rejections)}: {rejections[0].reason}")
    with out.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    manifest = {
        **raw.manifest,
        "irrepnet": __version__,
        "most": request.most,
        "records": count,
        "targets": {name: units.get(name) or target_unit(name) for name in names if name not in METADATA},
        "left_out": source.left_out,
        "rejected": [vars(rejection) for rejection in rejections],
        "out": str(out),
        "sha256": sha256,
    }
    del manifest["next"]
    with _written(manifest_path) as file:
        text = json.dumps(manifest, indent=1, ensure_ascii=False) + "\n"
        file.write(text.encode("utf-8", "backslashreplace"))
    return manifest


def record_line(record: Record) -> dict[str, Any]:
    """A record in the record format, of which `Record.from_dict` makes it again; properties that are named like a part
    of the crystal are left out."""
    return {
        "material_id": record.id,
        "formula": record.formula,
        "species": list(record.species),
        "frac_coords": record.frac_coords.tolist(),
        "lattice": record.lattice.tolist(),
        **{name: value for name, value in record.properties.items() if name not in STRUCTURE_KEYS},
    }


def _source(request: FetchRequest) -> Origin:
    """The source of a request, which must take all of its options."""
    name = request.source
    if name in SOURCES:
        source = SOURCES[name]
    elif name.startswith(("http://", "https://")):
        source = _ADDRESS
    elif is_file(Path(name)):
        source = _PATH
    else:
        raise IrrepnetError(f"{name[:200]}: no such file; sources are {', '.join(SOURCES)}, an address, a file")
    given = {key for key in _PAGES | {"key_file"} if getattr(request, key)}
    if wrong := sorted(given - source.takes):
        flags = ", ".join(f"--{key.replace('_', '-')}" for key in wrong)
        raise IrrepnetError(f"{flags}: means nothing to {name[:200]}")
    if request.most is not None and request.most < 1:
        raise IrrepnetError("--most: at least 1")
    return source


def _stem(out: Path) -> str:
    for ending in (".jsonl", ".jsonl.gz"):
        if out.name.endswith(ending) and out.name != ending:
            return out.name.removesuffix(ending)
    raise IrrepnetError(f"--out {out}: a name that ends in .jsonl or .jsonl.gz")


def _packed(raw: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile("", "wb", fileobj=raw, mtime=0)  # the same bytes whenever it is made


@contextmanager
def _written(out: Path) -> Iterator[Any]:
    """A file that takes its place when the block ends, and is gzipped if its name says so."""
    part = out.with_name(out.name + ".part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as raw, _packed(raw) if out.name.endswith(".gz") else nullcontext(raw) as file:
            yield file
        os.replace(part, out)
    except OSError as error:
        raise IrrepnetError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()
