"""Calls of the compiled code (:mod:`irrepnet.compiled`, kernels.c) with tensors."""

import ctypes
from collections.abc import Callable, Sequence

import torch

from irrepnet import compiled

_NAMES = {torch.float32: "float", torch.float64: "double"}


def takes(tensor: torch.Tensor) -> bool:
    """Whether there is compiled code for tensors of this type on this device."""
    here = tensor.device.type == "cpu" and tensor.dtype in _NAMES and not torch.compiler.is_compiling()
    return here and compiled.is_there()


def multiplies(tensor: torch.Tensor) -> bool:
    """Whether, besides, its products of matrices are the fastest: with AVX2 or AVX-512, on one thread."""
    return takes(tensor) and compiled.has_fast_products() and torch.get_num_threads() == 1


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
    return compiled.function(f"{name}_{_NAMES[dtype]}")(*values)


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
