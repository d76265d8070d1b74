"""The step of the optimiser in one pass against PyTorch's clipping, AdamW and interpolation."""

from copy import deepcopy

import pytest
import torch

from irrepnet import compiled
from irrepnet.training.checkpoint import State
from irrepnet.training.optimizer import Update

SHAPES = [(7, 5), (33,), (), (16, 4)]
needs_compiled = pytest.mark.skipif(compiled.state() != "compiled", reason=f"kernels are {compiled.state()}")


class Weights(torch.nn.Module):
    def __init__(self, dtype):
        super().__init__()
        torch.manual_seed(0)
        self.all = torch.nn.ParameterList(torch.randn(shape, dtype=dtype) for shape in SHAPES)


def start(dtype):
    state = State.start(Weights(dtype), 0.01)
    state.optimizer.param_groups[0].update(lr=0.03, betas=(0.85, 0.999))
    return state


def steps(state, numbers, size=1.0, clip=1.0):
    """Steps with gradients that depend on their number; some are absent."""
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), clip)
    for number in numbers:
        random = torch.Generator().manual_seed(number)
        for k, weight in enumerate(state.model.parameters()):
            gradient = size * torch.randn(weight.shape, generator=random, dtype=weight.dtype)
            weight.grad = None if (number + k) % 3 == 0 else gradient
        update(0.1 / (1 + number))
    return state


def numbers_of(state):
    own = [state.optimizer.state[weight] for weight in state.model.parameters()]
    moments = [each[name] for each in own for name in ("exp_avg", "exp_avg_sq", "step")]
    return [*state.model.state_dict().values(), *state.average.state_dict().values(), *moments]


@needs_compiled
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1.0, 1e-3])  # with and without clipping
def test_both_forms_agree(dtype, size):
    found = steps(start(dtype), range(1, 20), size)
    again = steps(start(dtype), range(1, 20), size)
    with compiled.switched_off():
        expected = steps(start(dtype), range(1, 20), size)
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-13}
    for one, same, other in zip(*map(numbers_of, (found, again, expected))):
        assert torch.equal(one, same)
        torch.testing.assert_close(one, other, **tolerance)


@needs_compiled
@pytest.mark.parametrize("first", [True, False])
def test_one_form_goes_on_where_the_other_stopped(first, tmp_path):
    """A checkpoint does not tell which it was."""
    expected = steps(start(torch.float64), range(1, 12))
    state = start(torch.float64)
    if first:
        steps(state, range(1, 6))
    else:
        with compiled.switched_off():
            steps(state, range(1, 6))
    state.save(tmp_path / "checkpoint")
    state = start(torch.float64)
    state.load(tmp_path / "checkpoint")
    if first:
        with compiled.switched_off():
            steps(state, range(6, 12))
    else:
        steps(state, range(6, 12))
    for one, other in zip(numbers_of(state), numbers_of(expected)):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_a_saved_state_goes_on_with_the_same_bits(tmp_path):
    whole = steps(steps(start(torch.float32), range(1, 6)), range(6, 9))
    half = steps(start(torch.float32), range(1, 6))
    half.save(tmp_path / "checkpoint")
    state = start(torch.float32)
    state.load(tmp_path / "checkpoint")
    for one, other in zip(numbers_of(steps(state, range(6, 9))), numbers_of(whole)):
        assert torch.equal(one, other)


def test_a_gradient_that_is_not_a_number_shows():
    state = start(torch.float32)
    before = deepcopy(state.model.state_dict())
    update = Update(state.optimizer, state.model.parameters(), state.average.parameters(), 1.0)
    for weight in state.model.parameters():
        weight.grad = torch.full_like(weight, torch.nan)
    update(0.5)
    for name, weight in state.model.state_dict().items():
        assert weight.isnan().all(), name
        assert before[name].isfinite().all()
