"""What a test of a layer needs; also for layers of your own."""

from typing import Any

import torch

from irrepnet.nn.irreps import Irreps


def assert_equivariant(
    layer: Any, *irreps_in: Irreps, irreps_out: Irreps | None = None, tolerance: float = 1e-10
) -> None:
    """Check layer(D(g) x, …) = D(g) layer(x, …) in float64 for **every** element g of the group.

    Args:
        layer: a module that takes one tensor (n, dim) an argument.
        irreps_in: of the arguments; by default ``layer.irreps_in``.
        irreps_out: of the result; by default ``layer.irreps_out``.
        tolerance: largest absolute difference allowed.

    Raises:
        AssertionError: names the first element that fails, and the difference.
    """
    arguments = irreps_in or (layer.irreps_in,)
    result = irreps_out or layer.irreps_out
    assert all(isinstance(i, Irreps) for i in (*arguments, result)), "the layer does not say its irreps"
    layer = layer.double()
    inputs = [torch.randn(5, i.dim, dtype=torch.float64) for i in arguments]
    output = layer(*inputs)
    for g in range(result.group.order):
        moved = layer(*(x @ torch.from_numpy(i.matrix(g)).T for x, i in zip(inputs, arguments)))
        difference = (moved - output @ torch.from_numpy(result.matrix(g)).T).abs().max().item()
        assert difference < tolerance, f"element {g} of {result.group.name}: differs by {difference:.2e}"
