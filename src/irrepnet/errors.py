"""The one exception that a user's input can cause."""

from collections.abc import Callable, Iterable
from typing import Any


class IrrepnetError(ValueError):
    """Input that cannot be used; the message names the file, site or key, and what to do.

    The command line prints the message and exits with 2; a batch lists it and goes on.
    """


def each_or_error(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """The results of some work on each item; where it raises an IrrepnetError, or the item is one, that error."""
    results: list[Any] = []
    for item in items:
        try:
            results.append(item if isinstance(item, IrrepnetError) else work(item))
        except IrrepnetError as error:
            results.append(error)
    return results
