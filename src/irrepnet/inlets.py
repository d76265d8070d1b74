"""Text from outside on its way in: how large it may be, and JSON and YAML that build nothing but plain values."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

from irrepnet.errors import IrrepnetError

LIMITS = {"IRREPNET_MAX_ATOMS": 10_000, "IRREPNET_MAX_MB": 512, "IRREPNET_MAX_DOWNLOAD_MB": 4096}
"""Environment variables that change what may be read, and what holds without them: atoms of a crystal; MB, unpacked, of
a file that is read as a whole, or of one line of another; MB of what is fetched at a time, packed or unpacked."""

_RECURSION = 3_000  # Python's own limit is 1,000; torch.compile makes it a million
_YAML_CHARACTERS = 1_000_000
_YAML_DEPTH = 50
_YAML_VALUES = 100_000  # with every alias written out


def limit(name: str) -> int:
    """One of :data:`LIMITS`; raises IrrepnetError if its variable is no positive whole number."""
    text = os.environ.get(name, "")
    if not text:
        return LIMITS[name]
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10 and int(text)):
        raise IrrepnetError(f"{name} is {text[:40]!r}, not a positive whole number")
    return int(text)


def check_atoms(number: int) -> None:
    """Raise IrrepnetError when a crystal has more atoms than may be read."""
    most = limit("IRREPNET_MAX_ATOMS")
    if number > most:
        raise IrrepnetError(f"{number} atoms are more than the {most} that are read; set IRREPNET_MAX_ATOMS for more")


@contextmanager
def bounded_recursion() -> Iterator[None]:
    """Within the block what recurses too deep raises RecursionError, also where another library has raised Python's
    limit so far that a parser in C would overflow its stack and end the process."""
    before = sys.getrecursionlimit()
    if before <= _RECURSION:
        yield
        return
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + _RECURSION)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def fraction_of(text: str) -> Fraction:
    """The number in text such as "2", "-1/3" or "0.25"; ValueError if it is none, or has more than nine digits in a
    part (a power of ten may fill the memory)."""
    if not re.fullmatch(r"\s*[+-]?(\d{1,9}(/\d{1,9}|\.\d{0,17})?|\.\d{1,17})(e-\d{1,2})?\s*", text, re.ASCII | re.I):
        raise ValueError(f"{text[:40]!r} is no number that is taken")
    return Fraction(text)


def json_value(text: str | bytes) -> Any:
    """The value of a JSON text; raises ValueError if it is not JSON or nested too deep."""
    try:
        with bounded_recursion():
            return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def yaml_value(text: str) -> Any:
    """The value of a YAML text: mappings, lists, text, numbers, truth values, dates and None.

    Raises:
        IrrepnetError: it is not YAML, asks for other objects, is longer than a million characters or deeper than 50
            levels, or its aliases would unfold to more than 100,000 values. The message does not name the file.
    """
    import yaml

    if len(text) > _YAML_CHARACTERS:
        raise IrrepnetError(f"not readable as YAML: {len(text)} characters; at most {_YAML_CHARACTERS} are read")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _YAML_DEPTH:
                raise IrrepnetError(f"not readable as YAML: nested more than {_YAML_DEPTH} levels deep")
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            if _values(node, {}) > _YAML_VALUES:
                raise IrrepnetError(f"not readable as YAML: its aliases stand for more than {_YAML_VALUES} values")
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except IrrepnetError:
        raise
    except (yaml.YAMLError, ValueError, TypeError, KeyError, OverflowError, AttributeError, IndexError) as error:
        # the constructors of numbers and dates raise what Python raises
        raise IrrepnetError(f"not readable as YAML: {' '.join(str(error).split())}") from None


def _values(node: Any, known: dict[int, int]) -> int:
    """How many values a node stands for."""
    if id(node) not in known:
        known[id(node)] = _YAML_VALUES + 1  # what holds itself has no end
        parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
        inner = sum(_values(part, known) for part in parts) if not isinstance(node.value, str) else 0
        known[id(node)] = 1 + inner
    return known[id(node)]
