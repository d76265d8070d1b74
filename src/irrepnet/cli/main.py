"""The `irrepnet` command: assembles the sub-commands; every module here imports what it needs lazily."""

import errno
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any

import typer
from typer.core import TyperGroup

from irrepnet import __version__
from irrepnet.cli import (
    data,
    doctor,
    graph,
    groups,
    hamiltonian,
    induce,
    path,
    phonons,
    report,
    serve,
    symmetrize,
    symmetry,
    tensor,
    train,
    verify,
)
from irrepnet.cli.printing import say
from irrepnet.errors import IrrepnetError
from irrepnet.outlets import for_terminal


class _Stopped(KeyboardInterrupt):
    """Another signal that ends a command as Ctrl-C does."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def _cause(error: BaseException | None) -> KeyboardInterrupt | None:
    """The signal that an error comes of: what is given up in the midst of something may fail once more."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error


def _for_people(error: BaseException) -> BaseException:
    """The error with which a command ends: that of a file by its name, and that of a wrong argument without anything
    that is a command to the terminal."""
    if isinstance(error, OSError) and error.errno != errno.EPIPE:
        return IrrepnetError(f"{error.filename or 'a file'}: {error.strerror or error}")
    if isinstance(text := getattr(error, "message", None), str):  # of typer's own errors
        error.message = for_terminal(text)  # pyright: ignore[reportAttributeAccessIssue]
    return error


class _Commands(TyperGroup):
    """Every command ends alike by Ctrl-C, SIGTERM and SIGHUP: what it has begun is given up, the processes that it has
    started are ended, and it says so in one line; the exit code is 128 and the number of the signal."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        try:
            return super().make_context(*arguments, **more)
        except Exception as error:
            raise _for_people(error) from error.__cause__

    def invoke(self, ctx: Any) -> Any:
        with _signals_stop():
            try:
                return super().invoke(ctx)
            except BaseException as error:
                stopped = _cause(error)
                if stopped is None:
                    raise _for_people(error) from error.__cause__
                number = getattr(stopped, "number", signal.SIGINT)
                say(next(iter(stopped.args), f"stopped by {signal.Signals(number).name}"), err=True)
                raise typer.Exit(128 + number) from None


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP are exceptions, as SIGINT is; only the main thread is told of signals."""

    def stop(number: int, _: object) -> None:
        raise _Stopped(number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    own = threading.current_thread() is threading.main_thread()
    before = {}
    for name in names if own else []:
        number = getattr(signal, name)
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP, and so do we
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


app = typer.Typer(
    name="irrepnet",
    cls=_Commands,
    help="Neural networks that obey the actual symmetry of a crystal.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(groups.app, name="groups")
app.add_typer(data.app, name="data")
app.add_typer(tensor.app, name="tensor")
app.add_typer(hamiltonian.app, name="hamiltonian")
app.command("symmetry")(symmetry.symmetry)
app.command("phonons")(phonons.phonons)
app.command("induce")(induce.induce)
app.command("symmetrize")(symmetrize.symmetrize)
app.command("graph")(graph.graph)
app.command("train")(train.train)
app.command("config")(train.config)
app.command("evaluate")(train.evaluate)
app.command("predict")(train.predict)
app.command("models")(train.models)
app.command("verify")(verify.verify)
app.command("report")(report.report)
app.command("serve")(serve.serve)
app.command("path")(path.path)
app.command("doctor")(doctor.doctor)


def _version(value: bool) -> None:
    if value:
        say(f"irrepnet {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Neural networks that obey the actual symmetry of a crystal."""


def run() -> None:
    """Entry point: input errors become one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names of files may be no text
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except IrrepnetError as error:
        say(f"error: {error}", err=True)
        sys.exit(2)
