"""Work in a process of its own, which can be killed, held to limits, and looked at."""

import multiprocessing
import os
import resource
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.trust.warm"])


class Outcome(NamedTuple):
    code: int | None
    """0 if it came to its end, 1 if it was refused by an IrrepnetError or one from which a command ends so; else what
    the process ended with, None if it was still running and had to be killed."""
    said: str
    value: Any
    seconds: float
    """Of processor time."""
    peak: float
    """MB."""


def start(work: Callable[..., Any], *arguments: Any, file_size: int | None = None) -> tuple[Any, Any]:
    """A process that does some work, and where its outcome will come from.

    Args:
        file_size: bytes, as if the disk were full after so many of a file.
    """
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(theirs, file_size, dict(os.environ), work, arguments))
    process.start()
    theirs.close()
    return process, ours


def outcome(process: Any, ours: Any, timeout: float = 600) -> Outcome:
    """What became of it, at the latest after so many seconds; then it is killed."""
    try:
        found = ours.recv() if ours.poll(timeout) else Outcome(None, "", None, timeout, 0.0)
    except EOFError:
        found = None
    if found is not None and found.code is None:
        process.kill()
    process.join(60)
    return found or Outcome(process.exitcode or -1, "it died", None, 0.0, 0.0)


def alone(work: Callable[..., Any], *arguments: Any, file_size: int | None = None, timeout: float = 600) -> Outcome:
    return outcome(*start(work, *arguments, file_size=file_size), timeout)


def killed_after(seconds: float, work: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a process was killed by SIGKILL after so many seconds, or had come to its end before."""
    process, _ = start(work, *arguments)
    process.join(seconds)
    running = process.is_alive()
    process.kill()
    process.join()
    return running


def _work(answer: Any, file_size: int | None, environment: dict[str, str], work: Any, arguments: Any) -> None:
    from irrepnet.errors import IrrepnetError

    os.environ.update(environment)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    start, code, said, value = time.process_time(), 0, "", None
    try:
        value = work(*arguments)
    except IrrepnetError as error:
        code, said = 1, str(error)
    except BaseException:
        code, said = 3, traceback.format_exc()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    answer.send(Outcome(code, said, value, time.process_time() - start, peak))


def command(*arguments: Any) -> tuple[int, str]:
    """The exit code of a command and what it printed; what no command may end with is raised."""
    from typer.testing import CliRunner

    from irrepnet.cli.main import app
    from irrepnet.errors import IrrepnetError
    from irrepnet.outlets import for_terminal

    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, IrrepnetError):
        return 2, result.output + for_terminal(f"error: {result.exception}")  # as cli.main.run says it
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output
