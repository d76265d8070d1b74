"""What a run tells its user: lines, also kept in a file, and progress with rate and time left."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from irrepnet.outlets import for_terminal

QUIET_SECONDS = 20.0


class Log:
    """Lines and progress on standard error, and the lines in a file; nothing but the file when ``quiet``."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet)
        self._path: Path | None = None
        self._last = time.monotonic()

    def keep(self, path: Path) -> None:
        """From now on append the lines to ``path``."""
        self._path = path

    def line(self, text: str) -> None:
        self._say(text)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {for_terminal(text)}\n")

    @contextmanager
    def progress(self, label: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Progress through ``total`` crystals, ``done`` of which need no work; yields what advances it.

        A bar on a terminal; elsewhere a line whenever nothing has been said for a while.
        """
        if self._console.is_terminal and not self._console.quiet:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                _Rate(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=self._console, transient=True) as bar:
                task = bar.add_task(label, total=total, completed=done)
                yield lambda n: bar.advance(task, n)
            return
        start, now = time.monotonic(), done
        self._last = start

        def advance(n: int) -> None:
            nonlocal now
            now += n
            passed = time.monotonic() - start
            if time.monotonic() - self._last > QUIET_SECONDS:
                rate = (now - done) / passed
                self._say(f"{label}: {now}/{total}, {rate:.0f} crystals/s, {duration((total - now) / rate)} left")

        yield advance

    def _say(self, text: str) -> None:
        self._console.print(for_terminal(text), markup=False, highlight=False, soft_wrap=True)
        self._last = time.monotonic()


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} crystals/s" if task.speed else "")


def duration(seconds: float) -> str:
    """As one reads it: 41 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
