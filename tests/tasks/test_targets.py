"""Schedule, loss, normalisation and metrics against PyTorch, SciPy and counting."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from torch.nn import functional as F

from irrepnet.errors import IrrepnetError
from irrepnet.tasks.metrics import classification_metrics, regression_metrics
from irrepnet.tasks.targets import ClassTarget, NumberTarget, fit_number, mean_loss
from irrepnet.training.schedule import one_cycle

ENERGY = NumberTarget("energy", "regression", "eV", -1.0, 2.0)
METAL = ClassTarget("metal", "classification", "", 0.3, 1.0)


@pytest.mark.parametrize(("steps", "warmup"), [(10, 0.15), (97, 0.15), (400, 0.3), (20, 0.5)])
def test_the_schedule_is_pytorchs(steps, warmup):
    optimizer = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.5e-3, total_steps=steps, pct_start=warmup)
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert one_cycle(step, steps, 1.5e-3, warmup) == pytest.approx((group["lr"], group["betas"][0]), rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            scheduler.step()


@given(steps=st.integers(1, 50), warmup=st.floats(0, 1), data=st.data())
def test_the_schedule_stays_within_its_bounds(steps, warmup, data):
    step = data.draw(st.integers(0, steps - 1))
    rate, momentum = one_cycle(step, steps, 1.0, warmup)
    assert 1 / 25e4 - 1e-12 <= rate <= 1 + 1e-12
    assert 0.85 - 1e-12 <= momentum <= 0.95 + 1e-12


values = st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40)


@given(values)
def test_auc_is_the_mann_whitney_statistic(pairs):
    true = np.array([t for t, _ in pairs], dtype=float)
    score = np.array([s for _, s in pairs]) / 5
    found = classification_metrics(true, score)
    assert found["n"] == len(pairs)
    assert found["accuracy"] == pytest.approx(np.mean([(s > 0.5) == t for t, s in zip(true == 1, score)]))
    if 0 < true.sum() < len(true):
        statistic = mannwhitneyu(score[true == 1], score[true == 0]).statistic
        assert found["auc"] == pytest.approx(statistic / (true.sum() * (len(true) - true.sum())))
    else:
        assert found["auc"] is None


def test_regression_metrics():
    random = np.random.default_rng(0)
    x, noise = random.normal(size=(2, 200))
    true = x + noise
    slope, intercept = np.polyfit(x, true, 1)
    found = regression_metrics(true, intercept + slope * x, mean=0.5)
    correlation = np.corrcoef(x, true)[0, 1]
    assert found["r2"] == pytest.approx(correlation**2)  # as for every least-squares line
    assert found["rmse"] == pytest.approx(np.sqrt((1 - correlation**2) * true.var()))
    assert found["mae"] == pytest.approx(np.mean([abs(intercept + slope * a - b) for a, b in zip(x, true)]))
    assert found["mae_of_mean"] == pytest.approx(np.abs(true - 0.5).mean())
    assert regression_metrics(np.ones(3), np.zeros(3), 0.0)["r2"] is None
    assert regression_metrics(np.empty(0), np.empty(0), 0.0)["mae"] is None
    assert classification_metrics(np.empty(0), np.empty(0))["auc"] is None


def test_a_target_knows_only_the_known_values():
    target = fit_number("energy", np.array([[1.0], [np.nan], [3.0]]))
    assert (target.mean, target.scale, target.kind) == (2.0, 1.0, "regression")
    assert fit_number("energy", np.array([[5.0], [5.0]])).scale == 1.0
    metal = fit_number("metal", np.array([[1.0], [0.0], [np.nan], [0.0]]))
    assert (metal.mean, metal.scale, metal.kind) == (pytest.approx(1 / 3), 1.0, "classification")
    with pytest.raises(IrrepnetError, match="no crystal of the training split has a value of energy"):
        fit_number("energy", np.array([[np.nan]]))
    with pytest.raises(IrrepnetError, match="other than 0 and 1"):
        fit_number("metal", np.array([[0.0], [2.0]]))


def test_decoding_undoes_encoding_and_headings_name_the_unit():
    x = np.array([-3.0, 0.0, 2.5])
    assert ENERGY.decode(ENERGY.encode(x)) == pytest.approx(x)
    assert METAL.decode(np.array([0.0, 100.0])) == pytest.approx([0.5, 1.0])
    assert ENERGY.columns + METAL.columns == ["energy [eV]", "metal [probability]"]


def test_unknown_values_change_neither_loss_nor_gradient():
    random = torch.Generator().manual_seed(0)
    outputs = torch.randn(6, 2, generator=random, requires_grad=True)
    wanted = torch.stack([torch.randn(6, generator=random), torch.tensor([1.0, 0, 1, 0, 0, 1])], 1)
    wanted[:2, 0] = wanted[5, 1] = torch.nan
    loss = mean_loss([ENERGY, METAL], outputs, wanted)
    expected = F.l1_loss(outputs[2:, 0], wanted[2:, 0]) + F.binary_cross_entropy_with_logits(
        outputs[:5, 1], wanted[:5, 1]
    )
    assert loss.item() == pytest.approx(expected.item() / 2)
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert torch.isfinite(gradient).all()
    assert (gradient[:2, 0] == 0).all()
    assert gradient[5, 1] == 0
    assert mean_loss([ENERGY], outputs[:, :1], torch.full((6, 1), torch.nan)).item() == 0


def test_metrics_leave_out_unknown_values():
    true = np.array([[1.0], [np.nan], [2.0]])
    assert ENERGY.metrics(true, np.array([[1.5], [9.0], [2.5]]))["mae"] == pytest.approx(0.5)
