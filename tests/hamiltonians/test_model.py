"""H(k) by real products over half of the cells is the plain sum."""

import numpy as np
import pytest

from irrepnet.hamiltonians import Hamiltonian

K = np.random.default_rng(1).normal(size=(2, 3, 3))


def plain_sum(R: np.ndarray, blocks: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Σ_R exp(2πi k·R) B(R), one cell after the other."""
    total = np.zeros((*k.shape[:-1], *blocks.shape[1:]), complex)
    for cell, block in zip(R, blocks):
        total += np.exp(2j * np.pi * (k @ cell))[..., None, None] * block
    return total


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32, np.int64])
@pytest.mark.parametrize("cells", [1, 2, 27, 60])
@pytest.mark.parametrize("hermitian", [True, False])
def test_sums_over_cells(cells, hermitian, dtype):
    """With −R or without, in any order, with H(−R) = H(R)ᴴ or not."""
    random = np.random.default_rng(cells)
    R = random.permutation(np.stack(np.unravel_index(np.arange(125), (5, 5, 5)), axis=1) - 2)[:cells]
    if hermitian:
        R = np.unique(np.concatenate([R, -R]), axis=0)
    H, S = random.integers(-9, 9, size=(2, len(R), 3, 3, 2)) @ ([1, 0.5j] if dtype == np.complex128 else [1, 0])
    if hermitian:
        reverse = [int(np.flatnonzero((-cell == R).all(1))[0]) for cell in R]
        H = H + H[reverse].conj().swapaxes(1, 2)
    hamiltonian = Hamiltonian(R, H.astype(dtype), S.astype(dtype))
    for k in (K, K[0], K[0, 0], np.zeros((0, 3)), random.normal(size=(300, 3))):
        assert hamiltonian.H_at(k).dtype == complex
        assert np.allclose(hamiltonian.H_at(k), plain_sum(R, H, k), rtol=0, atol=1e-12)
        assert np.allclose(hamiltonian.S_at(k), plain_sum(R, S, k), rtol=0, atol=1e-12)
