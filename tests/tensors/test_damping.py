"""Tensors whose size runs over decades."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from irrepnet.tensors import SHG
from irrepnet.tensors.damping import damped, undamped


def test_small_ones_stay_and_of_large_ones_the_root_is_left():
    unit = np.eye(3)[0]
    assert damped(1e-6 * unit, 2.0) == pytest.approx(5e-7 * unit)
    assert damped(1e6 * unit, 2.0) == pytest.approx(1000 * unit, rel=2e-3)
    assert (damped(0 * unit, 2.0) == 0).all()


def test_it_is_undone():
    values = np.random.default_rng(0).standard_normal((7, 10)) * np.geomspace(1e-4, 1e4, 7)[:, None]
    values[3] = 0
    assert np.allclose(undamped(damped(values, 0.3), 0.3), values, rtol=1e-10)


def test_it_turns_as_the_tensor_does_and_has_its_form():
    values = SHG.from_irreps(np.random.default_rng(0).standard_normal((5, 10)))

    def of(tensors):
        return SHG.from_irreps(damped(SHG.to_irreps(tensors), 0.5))

    g = -Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    assert np.allclose(of(SHG.rotate(values, g)), SHG.rotate(of(values), g))
    for group in ("-43m", "3", "mm2", "-42m"):
        form = SHG.allowed(group)
        assert form.residual(of(form.project(values))).max() < 1e-12
