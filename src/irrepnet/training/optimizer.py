"""What is done with the gradients of a step: clipped, taken by AdamW, and the running average of the weights moved."""

import ctypes
from collections.abc import Iterable

import torch

from irrepnet.nn import compiled


class Update:
    """Clip the gradients to a common norm, take a step of AdamW, average += forget · (weights − average).

    The gradients are gone then. By compiled code it is one pass over the weights; the state is the optimiser's in both
    forms.

    Args:
        optimizer: AdamW over ``weights``, in one group.
        weights, averages: of the model and of its average.
        clip: largest norm.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        weights: Iterable[torch.Tensor],
        averages: Iterable[torch.Tensor],
        clip: float,
    ) -> None:
        self.optimizer, self.weights, self.averages, self.clip = optimizer, list(weights), list(averages), clip
        tensors = [*self.weights, *self.averages]
        self.tables: list[ctypes.Array] | None = None
        if len({t.dtype for t in tensors}) == 1 and all(compiled.takes(t) and t.is_contiguous() for t in tensors):
            for weight in self.weights:  # what AdamW makes in its first step
                if not optimizer.state[weight]:
                    moments = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
                    optimizer.state[weight] = {"step": torch.zeros(()), **moments}
            sizes = (ctypes.c_int64 * len(self.weights))(*(weight.numel() for weight in self.weights))
            states = [optimizer.state[weight] for weight in self.weights]
            moments = [[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")]
            self.tables = [sizes, *map(compiled.pointers, (self.weights, *moments, self.averages))]

    @torch.no_grad()
    def __call__(self, forget: float) -> None:
        if self.tables is None:
            torch.nn.utils.clip_grad_norm_(self.weights, self.clip, foreach=True)
            self.optimizer.step()
            torch._foreach_lerp_(self.averages, self.weights, forget)
        else:
            (group,) = self.optimizer.param_groups
            numbers = (group["lr"], *group["betas"], group["eps"], group["weight_decay"], self.clip, forget)
            sizes, weights, *others = self.tables
            gradients = [None if weight.grad is None else weight.grad.contiguous() for weight in self.weights]
            tables = (sizes, weights, compiled.pointers(gradients), *others)
            compiled.call("averaged_adamw", self.weights[0].dtype, len(gradients), *numbers, *tables)
        for weight in self.weights:
            weight.grad = None
