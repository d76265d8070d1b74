"""Graphs of records, made once and kept on disk by what they are made of.

A *shard* is a file with the graphs of up to 128 records. Its name is a digest of all that its content follows from: the
records' ids and crystals, the options of the graphs, the code of the rooms that make them, the versions of the
libraries that find symmetries and neighbours. So a shard is never out of date, several processes may write the same
one, and what was interrupted goes on with the first shard that is missing. Its arrays are views of the file: graphs
take no memory until they are used. Shards lie in the folder `graphs` of the cache (:mod:`irrepnet.graphs.cache`).

The format is safetensors', with a text in the header: the layout of the graphs (:func:`irrepnet.graphs.pack`), the
records that have none, with reasons, and a checksum.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import time
import uuid
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

import irrepnet
from irrepnet.crystals import SymmetricCrystal
from irrepnet.data.records import Record
from irrepnet.errors import IrrepnetError, each_or_error
from irrepnet.graphs import GraphOptions, Packed, pack
from irrepnet.graphs.cache import folder as cache_folder
from irrepnet.graphs.cache import is_bypassed
from irrepnet.groups import PointGroup
from irrepnet.inlets import json_value
from irrepnet.workers import in_processes, is_worker

SHARD = 128
"""Records a shard."""

IN_MEMORY = 65536
"""Graphs that are held ready at a time; more are made again when they are needed."""

PROCESSES_PAY = 4.0
"""Seconds of work that is left; with less, no processes are started, which takes a second or two."""

_ROOMS = ("groups", "tensors", "crystals", "graphs")
_LIBRARIES = ("moyopy", "vesin", "numpy", "scipy")


@dataclass(frozen=True)
class Shard:
    """Graphs of consecutive records.

    Attributes:
        graphs: of those records that have one; :class:`irrepnet.graphs.Packed`, or a list.
        number: (n_records,) which of the graphs is a record's; -1 for none.
        refused: why a record has none, by its place.
        failures: of the graphs of some records, by their places; see :class:`irrepnet.graphs.Hypergraph`.
        rotations: (n_graphs, 3, 3) proper, x_input = rotation @ x_standard.
    """

    graphs: Sequence[Any]
    number: np.ndarray
    refused: dict[int, str]
    failures: dict[int, tuple[str, ...]]
    rotations: np.ndarray


class RecordGraphs(Sequence[Any]):
    """The graph of each of n records, made when it is asked for.

    Attributes:
        refused: why a record has none, by its place.
        failures: of the graphs of some records, by their places; see :class:`irrepnet.graphs.Hypergraph`.
        rotations: (n, 3, 3) proper, x_input = rotation @ x_standard; NaN where there is no graph.
    """

    def __init__(self, shards: Iterable[Shard]) -> None:
        self._shards = list(shards)
        self._starts = np.cumsum([0, *(len(shard.number) for shard in self._shards)])
        self.refused: dict[int, str] = {}
        self.failures: dict[int, tuple[str, ...]] = {}
        self.rotations = np.full((len(self), 3, 3), np.nan)
        for start, shard in zip(self._starts.tolist(), self._shards):
            self.refused |= {start + k: reason for k, reason in shard.refused.items()}
            self.failures |= {start + k: sites for k, sites in shard.failures.items()}
            self.rotations[start + np.flatnonzero(shard.number >= 0)] = shard.rotations
        self._graph = lru_cache(IN_MEMORY)(self._made)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, k: Any) -> Any:
        return self._graph(int(k))

    def _made(self, k: int) -> Any:
        s = int(np.searchsorted(self._starts, k, side="right")) - 1
        shard = self._shards[s]
        return shard.graphs[int(shard.number[k - self._starts[s]])]


class Chosen(Sequence[Any]):
    """Some items of a sequence, by their places in it."""

    def __init__(self, items: Sequence[Any], places: Sequence[int] | np.ndarray) -> None:
        self._items, self._places = items, np.asarray(places, int)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, k: Any) -> Any:
        return Chosen(self._items, self._places[k]) if isinstance(k, slice) else self._items[int(self._places[k])]


def record_graphs(
    records: Sequence[Record],
    options: GraphOptions,
    point_groups: Sequence[str] | None = None,
    keep: bool = True,
    workers: int | str | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> RecordGraphs:
    """The graphs of records, those that are kept from their files, the others made by several processes.

    Args:
        options: of the graphs, the tolerance of the symmetry among them.
        point_groups: names of the crystals' point groups to admit; None admits all.
        keep: take graphs from the store, and keep there those that are made. Graphs in which a user's code has a part
            never are, nor do other processes make them.
        workers: processes, as many as there are cores by default; none is started for a few seconds' work. Or the
            address of a Dask scheduler, to work there.
        progress: called with the number of records that are done, now and then.

    Raises:
        IrrepnetError: the workers died, or no Dask scheduler answers.
    """
    if is_bypassed() or not options.by_irrepnet:
        return RecordGraphs([_made(records, options, point_groups, progress)])
    parts = [records[i : i + SHARD] for i in range(0, len(records), SHARD)]
    paths = [store_folder() / f"{_digest(part, options, point_groups)}.safetensors" for part in parts] if keep else []
    shards: dict[int, Shard] = {}
    for k, path in enumerate(paths):
        if (shard := _kept(path)) is not None:
            shards[k] = shard
            progress(len(parts[k]))
    missing = [k for k in range(len(parts)) if k not in shards]
    jobs = [(parts[k], options, point_groups) for k in missing]
    for k, content in zip(missing, _in_processes(jobs, workers)):
        if keep:
            _write(paths[k], content)
        shards[k] = (_kept(paths[k]) if keep else None) or _read(content)
        progress(len(parts[k]))
    return RecordGraphs(shards[k] for k in range(len(parts)))


@dataclass(frozen=True)
class StoredShard:
    """A file of the store.

    Attributes:
        options: of its graphs, in words; "damaged" if the file cannot be read.
        records, graphs: how many.
        size: bytes.
        unused_days: since it was read or written.
        is_current: made by the code and the libraries that are running.
    """

    path: Path
    options: str
    records: int
    graphs: int
    size: int
    unused_days: float
    is_current: bool


def store_folder() -> Path:
    """Where the shards lie."""
    return cache_folder() / "graphs"


def stored() -> Iterator[StoredShard]:
    """What is on disk."""
    from safetensors import SafetensorError, safe_open

    for path in sorted(store_folder().glob("*.safetensors")):
        try:
            state = path.stat()
            with safe_open(path, framework="np") as file:
                head = json_value(file.metadata()["irrepnet"].partition(" ")[2])
            said = head["options"], head["records"], head["graphs"]
            is_current = head["made_by"] == _made_by()
        except FileNotFoundError:  # another process deleted it
            continue
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            said, is_current = ("damaged", 0, 0), False
        yield StoredShard(path, *said, state.st_size, (time.time() - state.st_mtime) / 86400, is_current)


def collect_garbage(days: float) -> tuple[int, int]:
    """Delete the shards that nothing will use again, and those that nothing has used for so many days.

    Returns:
        How many files went, and how many bytes they had.
    """
    gone = [shard.path for shard in stored() if not shard.is_current or shard.unused_days >= days]
    parts = store_folder().glob("*.part")  # of processes that were killed, unless they write just now
    gone += [path for path in parts if time.time() - path.stat().st_mtime > 3600]
    size = sum(path.stat().st_size for path in gone)
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone), size


def _made(
    records: Sequence[Record],
    options: GraphOptions,
    point_groups: Sequence[str] | None,
    progress: Callable[[int], object] = lambda n: None,
) -> Shard:
    graphs, rotations = [], []
    number = np.full(len(records), -1, np.int32)
    refused: dict[int, str] = {}
    failures: dict[int, tuple[str, ...]] = {}

    def admitted(crystal: SymmetricCrystal) -> SymmetricCrystal:
        check_admitted(crystal.point_group.name, point_groups)
        return crystal

    for start in range(0, len(records), SHARD):
        found = SymmetricCrystal.from_structures(records[start : start + SHARD], options.symprec)
        crystals = each_or_error(admitted, found)
        for k, (crystal, graph) in enumerate(zip(crystals, each_or_error(options.graph, crystals)), start):
            progress(1)
            if isinstance(graph, IrrepnetError):
                refused[k] = str(graph)
                continue
            number[k] = len(graphs)
            if failed := getattr(graph, "failures", ()):
                failures[k] = failed
            graphs.append(graph)
            rotations.append(crystal.rotation)
    return Shard(graphs, number, refused, failures, np.reshape(rotations, (-1, 3, 3)))


def check_admitted(name: str, admitted: Sequence[str] | None) -> None:
    """Raise IrrepnetError for a crystal's point group that is not among those that are admitted; None admits all."""
    if admitted is not None and name not in {PointGroup(one).name for one in admitted}:
        raise IrrepnetError(f"point group {name} is not admitted (only {', '.join(sorted(admitted))})")


def _content(records: Sequence[Record], options: GraphOptions, point_groups: Sequence[str] | None) -> bytes:
    """The file of a shard."""
    from safetensors.numpy import save

    shard = _made(records, options, point_groups)
    layout, arrays = pack(shard.graphs)
    arrays |= {"number": shard.number, "rotations": shard.rotations}
    head = {
        "records": len(records),
        "graphs": len(shard.graphs),
        "layout": layout,
        "refused": shard.refused,
        "failures": shard.failures,
        "options": repr(options),
        "made_by": _made_by(),
        "digest": _digest(records, options, point_groups),
    }
    about = json.dumps(head)
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return save(whole, {"irrepnet": f"{_crc(about, whole)} {about}"})


def _read(content: bytes) -> Shard:
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    _, _, about = json_value(content[8 : 8 + size])["__metadata__"]["irrepnet"].partition(" ")
    return _opened(json_value(about), load(content))


def _kept(path: Path) -> Shard | None:
    """The shard of a file, None if there is none or a damaged one."""
    from safetensors import SafetensorError, safe_open

    try:
        # of the two faces that safetensors has, PyTorch's maps the file, NumPy's copies it
        with safe_open(path, framework="pt") as file:
            crc, _, about = file.metadata()["irrepnet"].partition(" ")
            arrays = {name: file.get_tensor(name).numpy() for name in list(file.keys())}
        if crc != str(_crc(about, arrays)):
            raise ValueError("its checksum is another")
        head = json_value(about)
        if head["digest"] != path.stem:
            raise ValueError("it is the file of other records")
        with suppress(OSError):  # in a store that others keep
            os.utime(path)  # used today
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        warnings.warn(f"{path} is damaged ({error}) and is made anew", stacklevel=3)
        return None
    return _opened(head, arrays)


def _opened(head: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> Shard:
    return Shard(
        graphs=Packed(head["layout"], arrays, head["graphs"]),
        number=arrays["number"],
        refused={int(k): reason for k, reason in head["refused"].items()},
        failures={int(k): tuple(sites) for k, sites in head["failures"].items()},
        rotations=arrays["rotations"],
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")  # of its own, for others may write the same shard
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        warnings.warn(f"{path.parent} cannot be written ({error}); graphs are not kept after this run", stacklevel=3)


def _in_processes(
    jobs: Sequence[tuple[Sequence[Record], GraphOptions, Sequence[str] | None]], workers: int | str | None
) -> Iterator[bytes]:
    """The files of the jobs' shards, in their order."""
    if is_worker():
        workers = 1
    if not isinstance(workers, str):
        longest = 0.0  # seconds that a shard took
        while jobs and (workers == 1 or longest * len(jobs) <= PROCESSES_PAY):
            start = time.perf_counter()
            yield _content(*jobs[0])
            longest, jobs = max(longest, time.perf_counter() - start), jobs[1:]
        if not jobs:
            return
    died = (
        "a process that makes graphs died, perhaps for want of memory; run again with fewer data.workers, "
        "what is done is kept"
    )
    if isinstance(workers, str):
        with _dask(workers):
            yield from in_processes(_content, jobs, None, died)
        return
    from joblib import cpu_count  # a few crystals are ready before it is imported

    yield from in_processes(_content, jobs, min(workers or cpu_count(), len(jobs)), died)


def _dask(address: str) -> Any:
    """A client of the scheduler, which joblib takes while it is open."""
    try:
        from distributed import Client
    except ImportError as error:
        raise IrrepnetError("data.workers: Dask is not there: pip install 'irrepnet[dask]'") from error
    try:
        return Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise IrrepnetError(f"data.workers: {address}: no Dask scheduler answers there: {error}") from error


def _digest(records: Sequence[Record], options: GraphOptions, point_groups: Sequence[str] | None) -> str:
    digest = hashlib.blake2b(f"{_made_by()} {options!r} {point_groups}".encode(), digest_size=20)
    for record in records:
        digest.update(json.dumps([record.id, record.species]).encode())
        digest.update(record.lattice.tobytes() + record.frac_coords.tobytes())
    return digest.hexdigest()


@cache
def _made_by() -> str:
    """A digest of the code that makes graphs and keeps them, and the versions of the libraries that it uses."""
    digest = hashlib.blake2b(digest_size=8)
    package = Path(irrepnet.__file__).parent
    rooms = (sorted((package / room).glob("*.py")) for room in _ROOMS)
    for file in (*chain(*rooms), *package.glob("geometry.c"), Path(__file__)):
        digest.update(file.read_bytes())
    versions = (f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    return ", ".join([f"irrepnet {irrepnet.__version__} ({digest.hexdigest()})", *versions])


def _crc(about: str, arrays: Mapping[str, np.ndarray]) -> int:
    """A checksum of all that a shard's file says; the arrays are contiguous."""
    crc = zlib.crc32(about.encode())
    for name, array in sorted(arrays.items()):
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.data.cast("B") if array.size else b"", crc)
    return crc
