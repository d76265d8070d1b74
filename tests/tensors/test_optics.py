"""The effective coefficient of a powder."""

import numpy as np
import pytest

from irrepnet.tensors import SHG, kurtz_perry


def test_it_is_the_published_sum():
    """Kurtz and Perry's coefficients, in the components of any axes."""
    d = SHG.from_irreps(np.random.default_rng(0).standard_normal((5, 10)))
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    squares = 19 / 105 * sum(d[:, i, i, i] ** 2 for i in range(3)) + 5 / 7 * d[:, 0, 1, 2] ** 2
    squares += sum(13 / 105 * d[:, i, i, i] * d[:, i, j, j] + 44 / 105 * d[:, i, i, j] ** 2 for i, j in pairs)
    squares += 13 / 105 * sum(d[:, i, i, j] * d[:, j, k, k] for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)))
    assert np.allclose(kurtz_perry(d), squares**0.5)


def test_a_zinc_blende_by_hand():
    d = SHG.from_voigt(2.0 * np.eye(3, 6, 3))  # d14 = d25 = d36
    assert kurtz_perry(d) == pytest.approx(2 * (5 / 7) ** 0.5)
