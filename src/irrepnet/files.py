"""Files and folders that are written: each file whole or not at all, and one writer at a time.

Where the system has no locks, or the file system none, writers are not kept apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from irrepnet.errors import IrrepnetError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Within the block no other process works in this folder, which is made; yields whether it was.

    Raises:
        IrrepnetError: it is a file, or another process works in it.
        OSError: it cannot be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise IrrepnetError(f"{folder}: is a file; give a folder")
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder / LOCK)
    if lock is None:
        process = (folder / LOCK).read_bytes()[:20].decode("ascii", "replace").strip()
        raise IrrepnetError(
            f"{folder}: process {process or '(unknown)'} works in this folder; wait until it has ended, or choose "
            "another folder"
        )
    try:
        with suppress(OSError):  # of a full disk: the lock holds without a number
            os.ftruncate(lock, 0)
            os.write(lock, str(os.getpid()).encode())
        yield made
    finally:
        (folder / LOCK).unlink(missing_ok=True)
        os.close(lock)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that the system cannot have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def part_of(path: Path) -> Path:
    """What a file is called until it is whole; what a killed process leaves of it the next one overwrites."""
    return path.with_name(path.name + ".part")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of ``path`` when the block ends, in one go; nothing is left if it fails.

    A link, such as /dev/stdout, and what is no file, are written as they are.

    Raises:
        IrrepnetError: another process writes this file.
        OSError: it cannot be written.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        yield path
        return
    part = part_of(path)
    try:
        lock = _lock(part)
        if lock is None:
            raise IrrepnetError(f"{path}: another process writes this file; wait until it has ended, or give another")
        try:
            yield part
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            os.close(lock)
    except OSError as error:
        if error.filename == str(part):
            error.filename = str(path)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    with replacing(path) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """UTF-8, with what no file can hold, lone surrogates, written out."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_picture(figure: Figure, path: str | Path | BinaryIO, dpi: int = 150) -> None:
    """Of the kind that the ending of the name tells, PNG without one and in a stream.

    Raises:
        IrrepnetError: it cannot be written, or there is no such kind.
    """
    try:
        if not isinstance(path, str | Path):
            figure.savefig(path, dpi=dpi)
            return
        path, stream = Path(path), BytesIO()
        path = path if path.suffix else path.with_name(f"{path.name}.png")
        figure.savefig(stream, format=path.suffix[1:].lower(), dpi=dpi)
        write_bytes(path, stream.getvalue())
    except IrrepnetError:
        raise
    except (OSError, ValueError) as error:
        raise IrrepnetError(f"{path}: the picture cannot be written: {error}") from error


def _lock(path: Path) -> int | None:
    """The open file, which is made and which no other process holds; None if one does."""
    try:
        import fcntl
    except ImportError:
        return os.open(os.devnull, os.O_RDWR)
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        except OSError:
            return lock
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        os.close(lock)  # who held it before has just taken the file away
