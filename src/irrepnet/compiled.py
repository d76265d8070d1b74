"""The compiled code of the package: plain C without headers of Python, called with pointers.

``geometry.c`` is for crystals and graphs, ``nn/kernels.c`` for networks. What calls it has a form of NumPy's or
PyTorch's operations beside, for installations without a compiler.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError

_INTERFACE = 6  # irrepnet_interface of kernels.c
_TYPES = {"i": ctypes.c_int64, "d": ctypes.c_double, "p": ctypes.c_void_p}
_KERNELS = {
    "pair_features": "iiiiii" + 9 * "p",
    "pair_features_backward": "iii" + 14 * "p",
    "neighbour_features": "iiiii" + 8 * "p",
    "neighbour_features_backward": "iiiii" + 11 * "p",
    "messages": 10 * "i" + "d" + 24 * "p",
    "messages_backward": 9 * "i" + 36 * "p",
    "two_layers": "iiiii" + 8 * "p",
    "two_layers_backward": "iiiii" + 11 * "p",
    "mean_spread": "iii" + 5 * "p",
    "mean_spread_backward": "ii" + 7 * "p",
    "sent_tensors": "iii" + 7 * "p",
    "sent_tensors_backward": "ii" + 7 * "p",
    "arrived_tensors": "iii" + 9 * "p",
    "arrived_tensors_backward": "iii" + 12 * "p",
    "updated_tensors": "ii" + 8 * "p",
    "updated_tensors_backward": "ii" + 14 * "p",
    "averaged_adamw": "iddddddd" + 7 * "p",
}
_SIGNATURES = {f"{name}_{real}": types for name, types in _KERNELS.items() for real in ("float", "double")} | {
    "pairs": "iididdi" + 8 * "p",
    "averaged_sites": "iid" + 7 * "p",
    "vector_orbits": "id" + 6 * "p",
}
_ARRAYS = (np.dtype(np.float64), np.dtype(np.int64))
_switched_off = False


@cache
def _library() -> ctypes.CDLL | str:
    """The compiled code, or why there is none."""
    paths = [Path(__file__).with_name(f"_compiled{suffix}") for suffix in EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return "not compiled: install irrepnet again where there is a C compiler"
    try:
        library = ctypes.CDLL(str(path))
        if library.irrepnet_interface() != _INTERFACE:
            return f"{path.name} is of another version: install irrepnet again"
        for name, types in _SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [_TYPES[t] for t in types], ctypes.c_int64
        library.irrepnet_round.argtypes = [ctypes.c_int64]
    except (OSError, AttributeError) as error:
        return f"{path.name} cannot be loaded: {error}"
    return library


def state() -> str:
    """Which form runs on processors: "compiled", or "plain" and why."""
    if _switched_off:
        return "plain (switched off)"
    library = _library()
    return f"plain ({library})" if isinstance(library, str) else "compiled"


def is_there() -> bool:
    """Whether the compiled code runs."""
    return not _switched_off and not isinstance(_library(), str)


@cache
def has_fast_products() -> bool:
    """Whether its products of matrices are fast on this processor."""
    library = _library()
    return not isinstance(library, str) and bool(library.irrepnet_multiplies())


def has_rounded_products() -> bool:
    """Whether this processor multiplies numbers in bfloat16, and the compiled code is there that lets it."""
    library = _library()
    return not isinstance(library, str) and bool(library.irrepnet_rounds())


@contextmanager
def rounded_products(on: bool = True) -> Iterator[None]:
    """Within the block the factors of the compiled code's products of float32 are rounded to bfloat16, sums are not.

    Raises:
        IrrepnetError: the processor, or the compiled code, cannot.
    """
    if not on:
        yield
        return
    if _switched_off or not has_rounded_products():
        why = "this processor has no AVX512-BF16" if is_there() else f"the kernels are {state()}"
        raise IrrepnetError(f"products in bfloat16: {why}; set training.products to float32")
    library: Any = _library()
    library.irrepnet_round(1)
    try:
        yield
    finally:
        library.irrepnet_round(0)


@contextmanager
def switched_off() -> Iterator[None]:
    """Within the block the operations of NumPy and PyTorch do everything."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def function(name: str) -> Any:
    """A function of the compiled code, which is there."""
    return getattr(_library(), name)


def run(name: str, *arguments: float | np.ndarray | None) -> int:
    """Call a function with numbers and arrays of float64 or int64, which it reads or writes; None is the null pointer.

    Raises:
        TypeError: an array is of another type, or not contiguous.
    """
    values: list[float | None] = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            if argument.dtype not in _ARRAYS or not argument.flags.c_contiguous:
                raise TypeError(f"{name} takes contiguous arrays of float64 and int64")
            argument = argument.ctypes.data
        values.append(argument)
    return function(name)(*values)
