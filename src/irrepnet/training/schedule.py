"""The learning rate as a function of the step, so that a resumed run needs no scheduler's memory."""

import math


def one_cycle(step: int, steps: int, peak: float, warmup: float) -> tuple[float, float]:
    """The one-cycle policy with cosine ramps (Smith and Topin, arXiv:1708.07120).

    The learning rate rises from peak/25 to ``peak`` over the first ``warmup`` of the steps and falls to
    peak/250000 at the last; Adam's first momentum goes the other way, 0.95, 0.85, 0.95.

    Args:
        step: 0 … steps − 1.
        steps: of the whole run.
        peak: highest learning rate.
        warmup: fraction of the steps.

    Returns:
        The learning rate and the first momentum.
    """
    top = warmup * steps - 1
    if step < top:
        turn = _cosine(step / top)
        low = peak / 25
    else:
        turn = 1 - _cosine((step - top) / (steps - 1 - top)) if steps - 1 > top else 1.0
        low = peak / 25e4
    return low + (peak - low) * turn, 0.95 - 0.1 * turn


def _cosine(x: float) -> float:
    """From 0 at x = 0 to 1 at x = 1."""
    return (1 - math.cos(math.pi * x)) / 2
