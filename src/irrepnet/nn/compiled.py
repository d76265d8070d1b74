"""The compiled code of the package (kernels.c): plain C without headers of PyTorch, called with pointers.

What calls it has a form of PyTorch's operations beside, for other devices and installations without a compiler.
"""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import torch

_INTERFACE = 3  # irrepnet_interface of kernels.c
_NAMES = {torch.float32: "float", torch.float64: "double"}
_TYPES = {"i": ctypes.c_int64, "d": ctypes.c_double, "p": ctypes.c_void_p}
_SIGNATURES = {
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
    "averaged_adamw": "iddddddd" + 7 * "p",
}
_switched_off = False


@cache
def _library() -> ctypes.CDLL | str:
    """The compiled code, or why there is none."""
    paths = [Path(__file__).with_name(f"_kernels{suffix}") for suffix in EXTENSION_SUFFIXES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        return "not compiled: install irrepnet again where there is a C compiler"
    try:
        library = ctypes.CDLL(str(path))
        if library.irrepnet_interface() != _INTERFACE:
            return f"{path.name} is of another version: install irrepnet again"
        for name, types in _SIGNATURES.items():
            for kind in _NAMES.values():
                function = getattr(library, f"{name}_{kind}")
                function.argtypes, function.restype = [_TYPES[t] for t in types], ctypes.c_int64
    except (OSError, AttributeError) as error:
        return f"{path.name} cannot be loaded: {error}"
    return library


def state() -> str:
    """Which form runs on processors: "compiled", or "plain" and why."""
    if _switched_off:
        return "plain (switched off)"
    library = _library()
    return f"plain ({library})" if isinstance(library, str) else "compiled"


@contextmanager
def switched_off() -> Iterator[None]:
    """Within the block PyTorch's operations do everything."""
    global _switched_off
    before, _switched_off = _switched_off, True
    try:
        yield
    finally:
        _switched_off = before


def takes(tensor: torch.Tensor) -> bool:
    """Whether there is compiled code for tensors of this type on this device."""
    here = tensor.device.type == "cpu" and tensor.dtype in _NAMES and not torch.compiler.is_compiling()
    return here and not _switched_off and not isinstance(_library(), str)


def multiplies(tensor: torch.Tensor) -> bool:
    """Whether, besides, its products of matrices are the fastest: with AVX2 or AVX-512, on one thread."""
    return takes(tensor) and _has_vectors() and torch.get_num_threads() == 1


@cache
def _has_vectors() -> bool:
    library = _library()
    return not isinstance(library, str) and bool(library.irrepnet_multiplies())


def call(name: str, dtype: torch.dtype, *arguments: float | torch.Tensor | ctypes.Array | None) -> int:
    """Call a function of kernels.c with numbers, tensors of this type or of integers, and arrays of pointers.

    Raises:
        TypeError: a tensor is of another type or device, or not contiguous.
    """
    values = []
    for argument in arguments:
        if isinstance(argument, torch.Tensor):
            if not (argument.is_cpu and argument.is_contiguous() and argument.dtype in (dtype, torch.int64)):
                raise TypeError(f"{name} takes contiguous tensors of {dtype} and integers on the processor")
            argument = argument.data_ptr()
        values.append(argument)
    return getattr(_library(), f"{name}_{_NAMES[dtype]}")(*values)


def again(
    plain: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], by_output: torch.Tensor
) -> list[torch.Tensor | None]:
    """Gradients that can be differentiated again, by the inputs that want one: those of PyTorch's operations."""
    wanted = [x for x in inputs if x.requires_grad]
    found = iter(torch.autograd.grad(plain(*inputs), wanted, by_output, create_graph=True))
    return [next(found) if x.requires_grad else None for x in inputs]


def pointers(tensors: Sequence[torch.Tensor | None]) -> ctypes.Array:
    """An array of pointers to tensors, which have to outlive it; null where there is none."""
    return (ctypes.c_void_p * len(tensors))(*(None if t is None else t.data_ptr() for t in tensors))
