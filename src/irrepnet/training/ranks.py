"""Training by several processes, each with its share of every batch, as torchrun starts them.

Every process reads the same data and draws the same order from the seed; of a batch it takes every n-th example. The
gradients are summed over the processes before they are clipped, so that all take the step of the whole batch and have
the same weights at every moment. A share counts as it has examples, also where some of these lack the value of a
target. After an epoch each predicts a share of the validation examples. The first process alone has the run folder, the
others work in a copy that goes away.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist

from irrepnet.errors import IrrepnetError
from irrepnet.nn import WeightedBatchNorm


class Ranks(NamedTuple):
    """This process among those that train together.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, part: np.ndarray) -> np.ndarray:
        """What of a batch is this process's."""
        return part[self.rank :: self.size]

    def sum_gradients(self, weights: Sequence[torch.Tensor], share: float) -> None:
        """Make every gradient the sum over the processes of their gradients, each times the process's share."""
        if self.size == 1:
            return
        flat = torch.cat([(torch.zeros_like(w) if w.grad is None else w.grad).flatten() for w in weights]) * share
        dist.all_reduce(flat)
        for weight, gradient in zip(weights, flat.split([weight.numel() for weight in weights])):
            weight.grad = gradient.view_as(weight)

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of a number over the processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def together(self, compute: Callable[[np.ndarray], Iterable[Any]], size: int) -> list[Any]:
        """What ``compute`` makes of positions 0 … size − 1, one after the other, a share of them by each process."""
        own = self.share(np.arange(size))
        found = list(compute(own)) if len(own) else []
        if self.size == 1:
            return found
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, found)
        return [parts[k % self.size][k // self.size] for k in range(size)]

    @contextmanager
    def folder(self, out: Path) -> Iterator[Path]:
        """The run folder, or a copy of it; when the block has ended in all processes, the first one's is complete."""
        with TemporaryDirectory() as elsewhere:
            copy = out if self.rank == 0 else Path(elsewhere) / "run"
            if copy is not out and out.is_dir():
                shutil.copytree(out, copy)
            self._wait()
            yield copy
            self._wait()

    @contextmanager
    def one_before_the_others(self) -> Iterator[None]:
        """The first process runs the block, then the others, which find what it has left on disk."""
        if self.rank:
            self._wait()
        yield
        if self.rank == 0:
            self._wait()

    def _wait(self) -> None:
        if self.size > 1:
            dist.barrier()


ALONE = Ranks()


def is_first() -> bool:
    """Whether this process is the first of those that torchrun has started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def rendezvous(device: str) -> Iterator[Ranks]:
    """Within the block the processes that torchrun has started know of each other; there may be one alone.

    Args:
        device: as in `training.device`; CUDA devices are dealt out by torchrun's LOCAL_RANK.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    on_cuda = device != "cpu" and torch.cuda.is_available()
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_cuda else "gloo", timeout=timedelta(days=1))  # for the graphs of all data
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def check_shares(name: str, network: torch.nn.Module, ranks: Ranks) -> None:
    """Raise IrrepnetError when a network cannot be trained by shares of batches."""
    if ranks.size > 1 and any(isinstance(part, WeightedBatchNorm) for part in network.modules()):
        raise IrrepnetError(
            f"the network {name} normalises over the batch, of which {ranks.size} processes see a share each; "
            "train it without torchrun"
        )
