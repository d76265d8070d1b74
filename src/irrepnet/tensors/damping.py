"""Tensors whose size runs over decades, and which no logarithm can take since either sign occurs: damped.

|T| becomes √(1 + 2|T|/size) − 1, which is |T|/size where that is small and a root where it is large; the direction of T
stays. So the damped tensor turns as the tensor does and is allowed by the same point groups.
"""

import numpy as np


def damped(coefficients: np.ndarray, size: float) -> np.ndarray:
    """Of tensors as coefficients (…, dim) on an orthonormal basis; size in their unit."""
    ratio = np.linalg.norm(coefficients, axis=-1, keepdims=True) / size
    return coefficients / size * 2 / (1 + np.sqrt(1 + 2 * ratio))


def undamped(coefficients: np.ndarray, size: float) -> np.ndarray:
    """The inverse of `damped`: a square, in which an error grows no faster than the tensor does."""
    return coefficients * size * (1 + np.linalg.norm(coefficients, axis=-1, keepdims=True) / 2)
