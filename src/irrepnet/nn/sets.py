"""Sets of group elements, bit k of an integer for element k, as rows of numbers."""

import torch


def members(sets: torch.Tensor, order: int = 64) -> torch.Tensor:
    """(n,) int64 → (n, order) int64: 1 for the elements of the set, else 0."""
    return sets[:, None] >> torch.arange(order, device=sets.device) & 1


def shares(sets: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(n,) int64 → (n, 64): 1/|H| for the operations of a set H of crystallographic ones, else 0."""
    inside = members(sets).to(dtype)
    return inside / inside.sum(1, keepdim=True)
