"""What is measured of a tensor of second-harmonic generation."""

import numpy as np

from irrepnet.tensors.cartesian import CartesianTensor

SHG = CartesianTensor("ijk=ikj=jik")
"""d_ijk of second-harmonic generation in the static limit, where no order of the indices is left (Kleinman)."""


def kurtz_perry(values: np.ndarray) -> np.ndarray:
    """(…,) effective coefficient of a powder, of tensors (…, 3, 3, 3) without order of their indices; in their unit.

    S. K. Kurtz and T. T. Perry, J. Appl. Phys. 39, 3798 (1968), give its square as a sum over components with the
    coefficients 19/105 (of d_iii²), 13/105, 44/105 and 5/7. It does not depend on the axes, so that it is a sum of the
    two invariants of such a tensor: d_ijk d_ijk, and the square of the vector d_ijj.
    """
    traces = np.einsum("...ijj->...i", values)
    return np.sqrt(5 / 42 * (values**2).sum(axis=(-3, -2, -1)) + 13 / 210 * (traces**2).sum(axis=-1))
