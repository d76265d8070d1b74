"""A process that looks at uploads, so that no crystal stops the server: what takes too long ends with it, and it is
replaced. It cannot write into files."""

from __future__ import annotations

import json
import logging
import os
import signal
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any

from irrepnet.crystals import FileInMemory
from irrepnet.errors import IrrepnetError

_START = 120.0  # s, for imports


@dataclass(frozen=True)
class Limits:
    """Of an upload."""

    megabytes: int = 8
    """Of the file, and unpacked."""
    atoms: int = 400
    seconds: float = 60.0
    """Of looking at it; as long may sending it take."""
    waiting: int = 8
    """Uploads at a time; one is looked at, the others wait."""
    memory: int = 8_000
    """MB, of the process that looks at them, beyond what it has when it begins (on Linux)."""

    @property
    def bytes(self) -> int:
        return 1_000_000 * self.megabytes


class Unanswered(IrrepnetError):
    """Nothing is known of an upload; ``status`` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Worker:
    """The process, started at once and again whenever it has ended. Threads may share it; they take turns."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = Lock()
        self._closed = False
        self._start()

    def ask(self, work: str, file: FileInMemory, **options: Any) -> str:
        """What one of the functions in :data:`WORKS` says of a file.

        Raises:
            IrrepnetError: the file cannot be used.
            Unanswered: it takes too long (504) or too much memory (507), the process died (500), or there is an error
                in the program (500).
        """
        with self._turn:
            if not self._process.is_alive():
                self._restart()
            try:
                self._wait_until_ready()
                self._connection.send((work, file, options))
                if not self._connection.poll(self._limits.seconds):
                    self._restart()
                    raise Unanswered(
                        f"{file.name}: it takes longer than the {self._limits.seconds:g} s that are allowed here", 504
                    )
                outcome, text = json.loads(self._connection.recv_bytes())
            except (EOFError, OSError):
                self._restart()
                raise Unanswered(
                    f"{file.name}: the process that looked at it died, perhaps for want of memory", 500
                ) from None
        if outcome == "refused":
            raise IrrepnetError(text)
        if outcome == "large":
            raise Unanswered(
                f"{file.name}: it takes more than the {self._limits.memory} MB of memory that are allowed here", 507
            )
        if outcome == "failed":
            logging.getLogger(__name__).error(text)
            raise Unanswered(f"{file.name}: this crystal shows an error in irrepnet, which its log describes", 500)
        return text

    def close(self) -> None:
        """End the process; what is asked now has no answer."""
        self._closed = True
        self._end()

    def _start(self) -> None:
        processes = get_context("spawn")
        self._connection, theirs = processes.Pipe()
        self._process = processes.Process(target=_work, args=(theirs, self._limits), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def _end(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _restart(self) -> None:
        self._end()
        if not self._closed:
            self._start()

    def _wait_until_ready(self) -> None:
        if not self._ready:
            if not self._connection.poll(_START):
                raise EOFError
            self._connection.recv_bytes()
            self._ready = True


def _work(connection: Connection, limits: Limits) -> None:
    """The process: answers until nobody can ask any more."""
    import matplotlib.font_manager  # noqa: F401  (keeps a list of fonts in a file)

    import irrepnet.report  # noqa: F401  (so that no answer waits for it)

    with suppress(ImportError):
        import pyscf  # noqa: F401  (tries whether it can write)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    os.environ |= {"IRREPNET_MAX_ATOMS": str(limits.atoms), "IRREPNET_MAX_MB": str(limits.megabytes)}
    _write_nothing()
    _take_at_most(limits.memory)
    connection.send_bytes(b"ready")
    while True:
        try:
            work, file, options = connection.recv()
        except EOFError:
            return
        connection.send_bytes(json.dumps(_outcome(work, file, options)).encode())


def _write_nothing() -> None:
    """From here on the system refuses to write a byte of this process into a file, and its memory when it dies."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(kind, (0, 0))


def _take_at_most(megabytes: int) -> None:
    """From here on an allocation fails beyond so much memory more than there is now."""
    try:
        import resource

        # of what the system counts for this limit, private memory that can be written: pages of 4 kB or so
        now = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    except (ImportError, OSError):  # not on Linux
        return
    most = now + 1_000_000 * megabytes
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _outcome(work: str, file: FileInMemory, options: dict[str, Any]) -> tuple[str, str]:
    try:
        return "done", WORKS[work](file, **options)
    except IrrepnetError as error:
        return "refused", str(error)
    except (MemoryError, RuntimeError) as error:
        wants_memory = isinstance(error, MemoryError) or "can't allocate memory" in str(error)  # of PyTorch
        return ("large", "") if wants_memory else ("failed", traceback.format_exc())
    except Exception:  # of whatever kind: it must not end the process, and the server's log has it
        return "failed", traceback.format_exc()


def _page(file: FileInMemory, symprec: float, bands_seconds: float, runs: Sequence[Path]) -> str:
    from irrepnet.report import crystal_page, describe

    return crystal_page(describe(file, symprec, bands_seconds=bands_seconds, runs=runs), connects=True)


def _report(file: FileInMemory, symprec: float, bands_seconds: float, runs: Sequence[Path]) -> str:
    from irrepnet.report import describe

    return _as_json(describe(file, symprec, bands_seconds=bands_seconds, runs=runs))


def _predictions(file: FileInMemory, model: str, runs: Sequence[Path]) -> str:
    """As `irrepnet predict MODEL --json` has it, for one crystal."""
    from irrepnet.crystals import read_cell
    from irrepnet.data import Record
    from irrepnet.training import load_run, predict
    from irrepnet.training.where import named_runs

    models = named_runs(runs)
    if model not in ("all", *models):
        raise IrrepnetError(f"there is no model {model[:40]!r}; take all, or one of {', '.join(models)}")
    cell = read_cell(file)
    record = Record.from_cell(cell, id=file.name)
    documents = {}
    for name in models if model == "all" else [model]:
        run = load_run(models[name])
        units = {target.name: target.value_unit for target in run.targets}
        rows = [row | {"file": file.name} for row in predict(run, [record])]
        documents[name] = {"units": units, "predictions": rows}
    return _as_json(documents)


def _as_json(document: object) -> str:
    try:
        return json.dumps(document, allow_nan=False)  # in ASCII, which holds whatever text a file has
    except ValueError:
        raise IrrepnetError("the result has a number that is not finite, and JSON cannot hold it") from None


WORKS: dict[str, Callable[..., str]] = {"page": _page, "report": _report, "predictions": _predictions}
"""What can be asked: functions of a file that give text, HTML or JSON."""
