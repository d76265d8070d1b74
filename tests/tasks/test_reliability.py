"""Bounds of errors, and the nearest training crystals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrepnet.tasks import reliability
from irrepnet.tasks.reliability import Reliability


def places(rng, n, spread=1.0, features=24):
    """Features of which six directions matter."""
    return spread * rng.normal(size=(n, 6)) @ np.linspace(-1, 1, 6 * features).reshape(6, features) + 3.0


def errors_at(features, rng):
    """Errors that grow with the distance from the origin of the features."""
    return np.abs(rng.normal(size=len(features))) * (0.1 + np.linalg.norm(features - 3.0, axis=1))


def test_nine_of_ten_are_within_their_bounds():
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        train, held, fresh = (places(rng, n) for n in (400, 200, 500))
        found = Reliability.fit(train, held, {"y": errors_at(held, rng)})
        bounds = found.bound("y", found.neighbours(fresh).distance.mean(1))
        shares.append((errors_at(fresh, rng) <= bounds).mean())
    assert 0.88 < np.mean(shares) < 0.93
    assert min(shares) > 0.8


def test_bounds_grow_with_the_distance_where_errors_do():
    rng = np.random.default_rng(0)
    train, held, far = places(rng, 400), places(rng, 200), places(rng, 200, spread=5.0)
    found = Reliability.fit(train, held, {"y": errors_at(held, rng)})
    near_by, away = (found.neighbours(x).distance.mean(1) for x in (held, far))
    assert found.bound("y", away).mean() > 1.5 * found.bound("y", near_by).mean()
    assert (away > found.far).mean() > 0.5 > 0.05 > (near_by > found.far).mean()
    assert np.median(near_by) == pytest.approx(1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 100), st.floats(-10, 10))
def test_the_units_of_features_do_not_matter(seed, scale, shift):
    rng = np.random.default_rng(seed)
    train, held = places(rng, 60), places(rng, 40)
    error = errors_at(held, rng)
    one = Reliability.fit(train, held, {"y": error}).neighbours(held)
    other = Reliability.fit(scale * train + shift, scale * held + shift, {"y": error}).neighbours(scale * held + shift)
    np.testing.assert_allclose(one.distance, other.distance, rtol=0.02, atol=0.02)  # positions are float16


def test_a_training_crystal_is_its_own_neighbour():
    rng = np.random.default_rng(0)
    train = places(rng, 50)
    found = Reliability.fit(train, places(rng, 20), {}).neighbours(train)
    assert (found.index[:, 0] == np.arange(50)).all()
    assert found.distance[:, 0].max() < 0.05
    assert (np.diff(found.distance, axis=1) >= 0).all()


def test_few_crystals():
    rng = np.random.default_rng(0)
    train, held = places(rng, 2), places(rng, 8)
    found = Reliability.fit(train, held, {"y": np.ones(8), "z": np.full(8, np.nan)})
    assert found.bounds == {}  # of eight none is the ninth of ten
    index = found.neighbours(held).index
    assert (np.sort(index, axis=1) == [-1, 0, 1]).all()
    assert np.isfinite(found.neighbours(held).distance).all()
    enough = places(rng, 9)
    assert set(Reliability.fit(train, enough, {"y": np.arange(9.0)}).bounds) == {"y"}


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_one_huge_error_among_others(size):
    """An error of a target's outlier: the bounds of the others stay what they are."""
    rng = np.random.default_rng(0)
    train, held = places(rng, 400), places(rng, 200)
    error = size * errors_at(held, rng)
    distance = Reliability.fit(train, held, {}).neighbours(held).distance.mean(1)
    usual = Reliability.fit(train, held, {"y": error}).bound("y", distance)
    error[0] *= 1e20
    bound = Reliability.fit(train, held, {"y": error}).bound("y", distance)
    np.testing.assert_allclose(bound, usual, rtol=0.1)


def test_mostly_no_errors():
    rng = np.random.default_rng(0)
    error = np.where(np.arange(200) % 20, 0.0, 1.0)
    found = Reliability.fit(places(rng, 50), places(rng, 200), {"y": error})
    assert np.isfinite(found.bounds["y"]).all()


def test_equal_features_and_no_errors():
    found = Reliability.fit(np.ones((5, 3)), np.ones((12, 3)), {"y": np.zeros(12)})
    assert found.bounds == {}
    assert not found.neighbours(np.ones((1, 3))).distance.any()


def test_written_and_read():
    rng = np.random.default_rng(0)
    held = places(rng, 40)
    made = Reliability.fit(places(rng, 60), held, {"y": rng.random(40)})
    read = Reliability.read(made.written())
    assert (read.unit, read.far, read.bounds) == (made.unit, made.far, made.bounds)
    for one, other in zip(made.neighbours(held), read.neighbours(held)):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_blocks_make_no_difference(monkeypatch):
    rng = np.random.default_rng(1)
    train, held = places(rng, 500), places(rng, 90)
    found = Reliability.fit(train, held, {"y": errors_at(held, rng)})
    whole = found.neighbours(held)
    monkeypatch.setattr(reliability, "_DISTANCES", 3 * len(train) + 1)
    parts = found.neighbours(held)
    np.testing.assert_array_equal(parts.index, whole.index)
    np.testing.assert_allclose(parts.distance, whole.distance, rtol=1e-12)


def test_of_very_many_validation_crystals_some_tell_enough(monkeypatch):
    rng = np.random.default_rng(2)
    train, held = places(rng, 400), places(rng, 4000)
    errors = {"y": errors_at(held, rng)}
    errors["y"][::7] = np.nan
    whole = Reliability.fit(train, held, errors)
    monkeypatch.setattr(reliability, "_HELD", 1000)
    some = Reliability.fit(train, held, errors)
    assert some.unit == pytest.approx(whole.unit, rel=0.05)
    distance = some.neighbours(held).distance.mean(1)
    np.testing.assert_allclose(some.bound("y", distance), whole.bound("y", distance), rtol=0.2)
    assert (errors["y"] <= some.bound("y", distance))[np.isfinite(errors["y"])].mean() == pytest.approx(0.9, abs=0.03)
