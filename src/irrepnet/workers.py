"""What processes that work for another one do."""

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from irrepnet.errors import IrrepnetError

T = TypeVar("T")

_works_for: int | None = None


def end_with(parent: int) -> None:
    """From now on this process works for another one: it ends, within a second, when that is gone, killed perhaps.

    Args:
        parent: the number of the process that has started this one.
    """
    global _works_for
    _works_for = parent
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def is_worker() -> bool:
    """Whether this process works for another one, which has others too, so that it should start none itself."""
    return _works_for is not None


def in_processes(
    work: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    workers: int | None,
    died: str,
    pre_dispatch: int | str = "2 * n_jobs",
) -> Iterator[T]:
    """``work(*job)`` of each job, in their order, by other processes.

    Args:
        work: a function that another process can import.
        workers: how many on this machine; None for all of the cluster of Dask's client that is open.
        died: what to say if one is killed.
        pre_dispatch: how many jobs are taken before the first is done.

    Raises:
        IrrepnetError: a process was killed.
    """
    from joblib import Parallel, delayed, parallel_config
    from joblib.externals.loky.process_executor import BrokenProcessPool

    config: dict[str, Any] = {"backend": "dask", "n_jobs": -1}
    if workers is not None:
        config = {"backend": "loky", "n_jobs": workers, "inner_max_num_threads": 1}
        config |= {"initializer": end_with, "initargs": (os.getpid(),)}
    with parallel_config(**config):
        run = Parallel(return_as="generator", pre_dispatch=pre_dispatch)  # type: ignore[arg-type]
        results: Iterator[T] = iter(run(delayed(work)(*job) for job in jobs))  # type: ignore[arg-type]
        end = object()
        try:
            while True:
                with warnings.catch_warnings():
                    # joblib renews a process that has grown by 300 MB, which is no reason to worry anyone
                    warnings.filterwarnings("ignore", "A worker stopped", UserWarning)
                    found = next(results, end)
                if found is end:
                    return
                yield found  # type: ignore[misc]
        except BrokenProcessPool as error:
            raise IrrepnetError(died) from error


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
