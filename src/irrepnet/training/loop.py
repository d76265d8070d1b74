"""The epochs: AdamW on a one-cycle schedule, a running average of the weights, validation after every epoch.

A bare loop rather than a trainer framework: a step costs 0.5 ms less, a process starts 3 s sooner, and the
state that exact resuming has to restore is four lists of tensors. The order of the crystals, the learning
rate and the random numbers are functions of the seed and the epoch, so an epoch that was cut off is simply
run again.
"""

import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irrepnet import compiled
from irrepnet.errors import IrrepnetError
from irrepnet.tasks import Learning, TrainingConfig
from irrepnet.training.checkpoint import State
from irrepnet.training.optimizer import Update
from irrepnet.training.ranks import ALONE, Ranks
from irrepnet.training.schedule import one_cycle


def run_epochs(
    state: State,
    size: int,
    learning: Learning,
    config: TrainingConfig,
    checkpoint: Path | None = None,
    advance: Callable[[int], None] = lambda n: None,
    report: Callable[[State], None] = lambda state: None,
    ranks: Ranks = ALONE,
    run: str = "",
) -> None:
    """Train the state's model, on the device on which it is, for the epochs that are left.

    At the end ``state.best`` has the weights to keep.

    Args:
        state: fresh, or loaded from a checkpoint.
        size: number of training examples.
        learning: loss of the model on some of them, loss and figures of its average on the validation examples.
        config: the schedule.
        checkpoint: file that is replaced at the end of every epoch, if any.
        advance: called with the number of examples after every step.
        report: called with the state after every epoch.
        ranks: this process among those that train together.
        run: what the checkpoint says of the run that it is of.

    Raises:
        IrrepnetError: the loss is no longer finite; the step cannot be compiled, or not have products in bfloat16.
    """
    if config.compile:
        _compile(state.model)
    if config.products == "bfloat16" and next(state.model.parameters()).device.type != "cpu":
        raise IrrepnetError(
            "training.products: bfloat16 is for processors; set training.device to cpu, or leave it out"
        )
    keep_freed_memory()
    for epoch in range(state.epoch, state.epoch if has_stalled(state, config) else config.epochs):
        start, cpu_start = time.perf_counter(), time.process_time()
        with compiled.rounded_products(config.products == "bfloat16"):
            rate, loss = _train_epoch(state, epoch, size, learning, config, advance, ranks)
        seconds = time.perf_counter() - start
        validation_loss, figures = learning.validate(state.average, ranks.together)
        if not np.isfinite(loss + validation_loss):
            raise IrrepnetError(
                f"training diverged in epoch {epoch + 1} (loss {loss}, in validation {validation_loss}); "
                f"lower training.learning_rate ({config.learning_rate:g}) and start a new run"
            )
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "learning_rate": rate,
            "train_loss": loss,
            "validation_loss": validation_loss,
            **figures,
        }
        row |= {
            "seconds": time.perf_counter() - start,
            "cpu_seconds": time.process_time() - cpu_start,  # comparable on a machine that is shared
            "crystals_per_second": size / seconds,
        }
        state.history.append(row)
        row["best"] = state.keep_if_best(validation_loss)
        if checkpoint is not None:
            state.save(checkpoint, run)
        report(state)
        if has_stalled(state, config):
            break


def has_stalled(state: State, config: TrainingConfig) -> bool:
    """Whether so many epochs were no better than one before that the training ends."""
    return config.patience is not None and state.epoch - state.best_epoch >= config.patience


def _train_epoch(
    state: State,
    epoch: int,
    size: int,
    learning: Learning,
    config: TrainingConfig,
    advance: Callable[[int], None],
    ranks: Ranks,
) -> tuple[float, float]:
    """One pass over the training split; returns the last learning rate and the mean loss of the steps."""
    random = np.random.default_rng([config.seed, epoch])
    torch.manual_seed(int(random.integers(2**63)) + ranks.rank)
    order = random.permutation(size)
    parts = [order[i : i + config.batch_size] for i in range(0, len(order), config.batch_size)]
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), config.clip)
    state.model.train().zero_grad()
    rate, total = 0.0, torch.zeros((), device=update.weights[0].device)
    for i, part in enumerate(parts):
        step = epoch * len(parts) + i
        rate, momentum = one_cycle(step, config.epochs * len(parts), config.learning_rate, config.warmup)
        for group in state.optimizer.param_groups:
            group["lr"], group["betas"] = rate, (momentum, group["betas"][1])
        own = ranks.share(part)
        share = len(own) / len(part)
        if share:
            loss = learning.loss(state.model, own)
            loss.backward()
            total += share * loss.detach()
        ranks.sum_gradients(update.weights, share)
        # the average forgets faster at first, or short runs would validate their initial weights
        update(1 - min(config.ema, (1 + step) / (10 + step)))
        advance(len(part))
    for average, buffer in zip(state.average.buffers(), state.model.buffers()):
        average.copy_(buffer)  # the running statistics of batch norms are averages already
    return rate, ranks.sum(total).item() / len(parts)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed: fetching the same pages again every step costs a fifth of its time."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        trim, pad, largest = -1, -2, -3  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD (at most 32 MiB)
        # an int holds no more than 2 GiB, the amount to be trimmed is a size_t: -1 is never
        for parameter, value in ((largest, 2**25), (trim, -1), (pad, 2**26)):
            libc.mallopt(parameter, value)


def _compile(model: torch.nn.Module) -> None:
    try:
        torch.compile(torch.sin)(torch.zeros(2))
    except Exception as error:  # PyTorch has no type in common for what may go wrong
        reason = str(error).splitlines()[0]
        raise IrrepnetError(
            f"training.compile: PyTorch cannot compile here ({reason}); "
            "install a C++ compiler such as g++, or leave it out"
        ) from None
    model.compile(dynamic=True)


def chosen_device(name: str) -> torch.device:
    """Where to compute; a request that cannot be met is an error, never a silent fallback."""
    if name not in ("auto", "cpu", "cuda"):
        raise IrrepnetError(f"device: no {name!r}; choose auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise IrrepnetError("device: PyTorch finds no CUDA device; use cpu or auto")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Within the block PyTorch uses so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
