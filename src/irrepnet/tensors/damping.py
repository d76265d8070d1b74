"""Tensors whose size runs over decades, and which no logarithm can take since either sign occurs: damped.

|T| becomes asinh(|T|/size), which is |T|/size where that is small and a logarithm where it is large; the direction of T
stays. So the damped tensor turns as the tensor does and is allowed by the same point groups.
"""

import numpy as np


def damped(coefficients: np.ndarray, size: float) -> np.ndarray:
    """T asinh(|T|/size)/|T|, of tensors as coefficients (…, dim) on an orthonormal basis; size in their unit."""
    return coefficients * _ratio(np.linalg.norm(coefficients, axis=-1, keepdims=True), np.arcsinh, 1 / size)


def undamped(coefficients: np.ndarray, size: float) -> np.ndarray:
    """The inverse of `damped`: size · T sinh|T|/|T|."""
    return size * coefficients * _ratio(np.linalg.norm(coefficients, axis=-1, keepdims=True), np.sinh, 1.0)


def _ratio(x: np.ndarray, function: np.ufunc, slope: float) -> np.ndarray:
    """function(slope · x)/x, for x = 0 its limit, the slope."""
    return np.divide(function(slope * x), x, out=np.full_like(x, slope), where=x > 0)
