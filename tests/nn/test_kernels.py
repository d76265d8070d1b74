"""The compiled code against the same functions of PyTorch's operations, forward and backward, in both types."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn.functional import silu

from irrepnet import compiled
from irrepnet.errors import IrrepnetError
from irrepnet.nn import GroupConvolution, MeanSpread, Moments
from irrepnet.nn.convolution import convolved, mlp
from irrepnet.nn.edges import Edges
from irrepnet.nn.kernels import neighbour_features, pair_features
from irrepnet.training.loop import threads

needs_compiled = pytest.mark.skipif(compiled.state() != "compiled", reason=f"kernels are {compiled.state()}")
needs_rounding = pytest.mark.skipif(not compiled.has_rounded_products(), reason="no products in bfloat16 here")
TOLERANCES = {torch.float32: {"rtol": 1e-5, "atol": 2e-5}, torch.float64: {"rtol": 1e-12, "atol": 1e-12}}
# nodes, edges, classes, directed edges, channels, largest l, channels of the moments
GRAPHS = {
    "usual": (6, 40, 9, 0, 8, 3, 4),
    "with directions": (6, 40, 9, 25, 8, 2, 4),
    "all with directions": (5, 30, 4, 30, 8, 1, 16),
    "odd numbers": (7, 33, 5, 11, 13, 3, 5),
    "one channel": (3, 20, 4, 7, 1, 8, 1),
    "no moments": (6, 40, 9, 0, 8, 0, 0),
    "one edge": (3, 1, 1, 1, 5, 2, 3),
    "no edges": (3, 0, 2, 0, 5, 2, 3),
    "nothing": (0, 0, 1, 0, 5, 2, 3),
    "several blocks": (210, 500, 90, 230, 24, 3, 4),
}
# rows, inputs, hidden, outputs
SIZES = [(5, 3, 7, 2), (0, 3, 7, 2), (1, 1, 1, 1), (12, 64, 32, 64), (200, 300, 270, 33)]


@pytest.fixture(autouse=True)
def one_thread():
    """On several, PyTorch's products of matrices are taken."""
    with threads(1):
        yield


class Case:
    """A graph and what the two functions take."""

    def __init__(self, name, dtype=torch.float64, **more):
        torch.manual_seed(0)
        n, n_edges, n_classes, directed, channels, l_max, size = GRAPHS[name]
        receiver, sender = (torch.randint(max(n, 1), (n_edges,)) for _ in range(2))
        first = torch.randint(max(n_classes // 2, 1), (directed,))
        classes = torch.cat([first, torch.randint(n_classes, (n_edges - directed,))])
        random = partial(torch.randn, dtype=dtype)
        harmonics = random(n_edges, (l_max + 1) ** 2 - 1) if l_max else None
        given = (receiver.sort().values, sender, classes, n_classes, torch.rand(n, 1, dtype=dtype))
        self.edges = Edges(*given, torch.rand(n_edges, dtype=dtype), harmonics, directed, **more)
        self.tables = [random(n, 4), random(n_classes, channels)]
        if directed:
            self.tables += [random(k, channels) for k in (self.edges.directed_classes, directed)]
        self.receiver = torch.nn.Linear(4, channels).to(dtype)
        self.sender = torch.nn.Linear(4, channels, bias=False).to(dtype)
        self.pair = random(n_edges, channels)
        self.message = torch.nn.Linear(channels, 2 * channels).to(dtype)
        self.moments = Moments(channels, l_max, size).to(dtype) if l_max else None

    def pairs(self, x, *tables):
        return pair_features(self.edges, x, self.receiver, self.sender, *tables)

    def neighbours(self, pair):
        return neighbour_features(self.edges, pair, self.message, self.moments)

    def weights(self, *layers):
        return [weight for layer in layers if layer for weight in layer.parameters()]


def with_gradients(function, inputs, weights=()):
    """The outputs, and gradients of a sum over them with random weights."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    found = function(*inputs)
    found = found if isinstance(found, tuple) else (found,)
    generator = torch.Generator().manual_seed(1)
    loss = sum((part * torch.randn(part.shape, generator=generator, dtype=part.dtype)).sum() for part in found)
    return [*found, *torch.autograd.grad(loss, [*inputs, *weights])]


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_both_forms_agree(graph, dtype):
    case = Case(graph, dtype)
    for work in (
        partial(with_gradients, case.pairs, case.tables, case.weights(case.receiver, case.sender)),
        partial(with_gradients, case.neighbours, [case.pair], case.weights(case.message, case.moments)),
    ):
        found = work()
        assert all(torch.equal(one, other) for one, other in zip(found, work())), "not the same bits again"
        with compiled.switched_off():
            expected = work()
        assert len(found) == len(expected) > 1
        for one, other in zip(found, expected):
            torch.testing.assert_close(one, other, **TOLERANCES[dtype])


def layer(graph, dtype, spoiled=None):
    """A layer of a network on that graph, as a function of its features, and with what it takes and its weights.

    ``spoiled``: an index of the edges, one of its entries, and another value for it.
    """
    case = Case(graph, dtype)
    if spoiled:
        name, edge, value = spoiled
        getattr(case.edges, name)[edge] = value
    n, _, n_classes, directed, channels, l_max, size = GRAPHS[graph]
    module = GroupConvolution((), channels, 6, 3 if directed else 0, None, (l_max, size) if l_max else None).to(dtype)
    for weight in module.parameters():
        torch.nn.init.normal_(weight, std=channels**-0.5)
    seen = [(slice(None), torch.randn(directed, 3, dtype=dtype))] if directed else []
    inputs = [torch.randn(n, channels, dtype=dtype), torch.randn(n_classes, 6, dtype=dtype)]
    return lambda v, hidden: module(v, hidden, seen, case.edges), inputs, list(module.parameters())


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_layer_in_both_forms(graph, dtype):
    work = partial(with_gradients, *layer(graph, dtype))
    found = work()
    assert all(torch.equal(one, other) for one, other in zip(found, work())), "not the same bits again"
    with compiled.switched_off():
        expected = work()
    for one, other in zip(found, expected):
        scale = max(1.0, other.detach().abs().max().item()) if other.numel() else 1.0
        torch.testing.assert_close(one / scale, other / scale, **TOLERANCES[dtype])


def stack(graph, dtype, number=3):
    """Layers one after the other that see no directions, as :func:`layer` has one."""
    case = Case(graph, dtype)
    case.edges.directed = 0
    n, _, n_classes, _, channels, l_max, size = GRAPHS[graph]
    moments = (l_max, size) if l_max else None
    modules = torch.nn.ModuleList(GroupConvolution((), channels, 6, 0, None, moments) for _ in range(number)).to(dtype)
    for weight in modules.parameters():
        torch.nn.init.normal_(weight, std=0.5 * channels**-0.5)
    inputs = [torch.randn(n, channels, dtype=dtype), torch.randn(n_classes, 6, dtype=dtype)]
    return case.edges, modules, inputs


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("graph", GRAPHS)
def test_layers_at_once_are_the_layers(graph, dtype):
    edges, modules, inputs = stack(graph, dtype)

    def work():
        return with_gradients(lambda v, hidden: convolved(modules, v, hidden, (), edges), inputs, modules.parameters())

    def one_by_one(v, hidden):
        for module in modules:
            v = module(v, hidden, (), edges)
        return v

    found = work()
    assert found[0].grad_fn.name() == "_LayersBackward"
    assert all(torch.equal(one, other) for one, other in zip(found, work())), "not the same bits again"
    with compiled.switched_off():
        expected = with_gradients(one_by_one, inputs, modules.parameters())
    for one, other in zip(found, expected):
        scale = max(1.0, other.detach().abs().max().item()) if other.numel() else 1.0
        torch.testing.assert_close(one / scale, other / scale, **TOLERANCES[dtype])


@needs_compiled
def test_layers_at_once_refuse_an_edge_that_points_nowhere():
    edges, modules, inputs = stack("usual", torch.float32)
    edges.sender[7] = 9
    with pytest.raises(IndexError, match="edge 7 points to a node or a class that is not there"):
        convolved(modules, *inputs, (), edges)


@needs_compiled
def test_where_products_are_slow_a_layer_takes_those_of_pytorch(monkeypatch):
    work = partial(with_gradients, *layer("with directions", torch.float64))
    expected = work()
    monkeypatch.setattr(compiled, "has_fast_products", lambda: False)
    for one, other in zip(work(), expected):
        torch.testing.assert_close(one, other, **TOLERANCES[torch.float64])


@needs_compiled
def test_gradients_of_a_layer_against_differences():
    module, inputs, weights = layer("odd numbers", torch.float64)
    leaves = [x.requires_grad_() for x in (*inputs, *weights)]
    assert torch.autograd.gradcheck(lambda v, hidden, *_: module(v, hidden), leaves)


@needs_compiled
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_two_layers_in_both_forms(size, dtype, residual):
    rows, *widths = size
    torch.manual_seed(0)
    layers = mlp(*widths).to(dtype)
    inputs = [torch.randn(rows, width, dtype=dtype) for width in (widths[0], widths[2])][: 1 + residual]
    work = partial(with_gradients, layers, inputs, list(layers.parameters()))
    found = work()
    with compiled.switched_off():
        expected = work()
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, **TOLERANCES[dtype])


class RoundedLinear(torch.autograd.Function):
    """A dense layer whose products have factors in bfloat16 and sums in float64."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return (rounded(x) @ rounded(weight).T).float() + bias

    @staticmethod
    def backward(ctx, by_y):
        x, weight = ctx.saved_tensors
        y = rounded(by_y)
        return (y @ rounded(weight)).float(), (y.T @ rounded(x)).float(), by_y.sum(0)


def rounded(x):
    return x.bfloat16().double()


@needs_rounding
@pytest.mark.parametrize("size", [(1, 3, 5, 4), (11, 32, 33, 64), (24, 96, 96, 96), (700, 300, 270, 65)], ids=str)
def test_two_layers_in_bfloat16(size):
    rows, *widths = size
    torch.manual_seed(0)
    layers, x = mlp(*widths), torch.randn(rows, widths[0])

    weights = list(layers.parameters())

    def by_rounded(x):
        return RoundedLinear.apply(silu(RoundedLinear.apply(x, *weights[:2])), *weights[2:])

    exact = with_gradients(layers, [x], weights)
    with compiled.rounded_products():
        found = with_gradients(layers, [x], weights)
    again = with_gradients(layers, [x], weights)
    expected = with_gradients(by_rounded, [x], weights)
    for one, other, wanted, same in zip(found, exact, expected, again):
        assert torch.equal(other, same)  # the block has ended
        # what rounding alone makes; a few numbers lie near a border between two roundings
        assert (one - wanted).abs().mean() <= 0.03 * (other - wanted).abs().mean() + 2e-6 * other.abs().mean()
        assert (one - other).abs().mean() <= 0.02 * other.abs().mean()


def test_bfloat16_is_refused_where_it_is_not_there(monkeypatch):
    refused = partial(pytest.raises, IrrepnetError)
    with compiled.switched_off(), refused(match="the kernels are plain"), compiled.rounded_products():
        pass
    monkeypatch.setattr(compiled, "has_rounded_products", lambda: False)
    with refused(match=r"set training\.products to float32"), compiled.rounded_products():
        pass
    with compiled.rounded_products(False):
        pass


@needs_compiled
def test_two_layers_and_pooling_can_be_differentiated_twice():
    torch.manual_seed(0)
    layers, pool = mlp(3, 5, 4).double(), MeanSpread()
    crystal, multiplicity = torch.tensor([0, 0, 2, 1, 2, 2]), torch.rand(6, dtype=torch.float64) + 0.5

    def both(x, v, *_):
        return pool(layers(x, v), crystal, 3, multiplicity)

    leaves = [torch.randn(6, k, dtype=torch.float64, requires_grad=True) for k in (3, 4)]
    leaves += layers.parameters()
    assert torch.autograd.gradcheck(both, leaves)
    assert torch.autograd.gradgradcheck(both, leaves)


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_pooling_in_both_forms(dtype):
    torch.manual_seed(0)
    crystal, multiplicity = torch.randint(5, (40,)), torch.randint(1, 9, (40,)).to(dtype)
    work = partial(
        with_gradients, lambda v: MeanSpread()(v, crystal, 5, multiplicity), [torch.randn(40, 7, dtype=dtype)]
    )
    found = work()
    with compiled.switched_off():
        expected = work()
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, **TOLERANCES[dtype])
    with pytest.raises(IndexError, match="node 3 belongs to a crystal that is not there"):
        MeanSpread()(torch.zeros(4, 7, dtype=dtype), torch.tensor([0, 1, 0, 2]), 2)


@pytest.mark.parametrize("form", [pytest.param("compiled", marks=needs_compiled), "plain"])
@pytest.mark.parametrize("graph", ["odd numbers", "no moments"])
def test_gradients_against_differences(graph, form, monkeypatch):
    monkeypatch.setattr(compiled, "_switched_off", form == "plain")
    case = Case(graph)
    weights = case.weights(case.receiver, case.sender, case.message, case.moments)

    def both(*inputs):
        *tables, pair = inputs[: -len(weights)]
        return case.pairs(*tables), *case.neighbours(pair)

    assert torch.autograd.gradcheck(both, [x.requires_grad_() for x in (*case.tables, case.pair, *weights)])


@needs_compiled
def test_rows_that_are_not_contiguous():
    case = Case("with directions")
    apart = [torch.stack([table, table], 2)[:, :, 0] for table in case.tables]
    for one, other in zip(with_gradients(case.pairs, apart), with_gradients(case.pairs, case.tables)):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def single(values):
    """silu of values (n,), by an edge each that hears nothing else."""
    edge, nothing = torch.arange(len(values)), torch.zeros(len(values), 1)
    edges = Edges(edge, edge, edge, len(values), nothing + 1)
    receiver, sender = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(receiver.bias)
    with torch.no_grad():
        return pair_features(edges, nothing, receiver, sender, values[:, None])[:, 0]


@needs_compiled
def test_the_exponential_is_exact_to_a_few_units_in_the_last_place():
    x = torch.cat([torch.linspace(-87, 100, 200_001), torch.logspace(-20, 1, 5_000), -torch.logspace(-20, 1, 5_000)])
    exact = silu(x.double())
    error = (single(x).double() - exact).abs() / exact.abs()
    assert error.max() < 4 * torch.finfo(torch.float32).eps
    assert single(torch.tensor([0.0, -1e4, -1e30, 1e30, torch.inf])).tolist() == pytest.approx(
        [0, 0, 0, 1e30, torch.inf]
    )


@needs_compiled
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_what_is_not_a_number_stays_so(dtype):
    """In the edge and the channel where it is, and in what is made of these."""
    case = Case("with directions", dtype)
    case.tables[1][int(case.edges.edge_class[-1]), 3] = torch.nan
    pair = case.pairs(*case.tables)
    assert pair[-1, 3].isnan()
    assert pair[:, [0, 1, 2, 4, 5, 6, 7]].isfinite().all()
    case.pair[-1, 2] = torch.nan
    means, lengths = case.neighbours(case.pair)
    last = case.edges.receiver[-1]
    assert means[last].isnan().all()
    assert lengths[last].isnan().all()
    assert means[:last].isfinite().all()


@needs_compiled
@pytest.mark.parametrize("index", ["receiver", "sender", "edge_class"])
@pytest.mark.parametrize("value", [-1, 9])
def test_an_edge_that_points_nowhere_is_refused(index, value):
    case = Case("usual")
    getattr(case.edges, index)[7] = value
    with pytest.raises(IndexError, match="edge 7 "):
        case.pairs(*case.tables)
    if index == "receiver":
        with pytest.raises(IndexError, match="edge 7 "):
            case.neighbours(case.pair)


@needs_compiled
@pytest.mark.parametrize("index", ["receiver", "sender", "edge_class"])
def test_a_layer_refuses_an_edge_that_points_nowhere(index):
    module, inputs, _ = layer("several blocks", torch.float32, spoiled=(index, 300, 210))
    with pytest.raises(IndexError, match="edge 300 points to a node or a class that is not there"):
        module(*inputs)


@needs_compiled
def test_tensors_of_other_sizes_and_types_are_refused():
    """There is no code behind a pointer that would look at them."""
    case = Case("with directions")
    x, scalar, *seen = case.tables
    with pytest.raises(ValueError, match="do not have 8 channels"):
        case.pairs(x, scalar[:, :5], *seen)
    with pytest.raises(TypeError, match="pair_features takes contiguous tensors"):
        case.pairs(x, scalar.float(), *seen)
    module, (v, hidden), _ = layer("usual", torch.float64)
    for others in ((v[:, :7], hidden), (v, hidden[:, :5])):
        with pytest.raises(ValueError, match="the layer is not for"):
            module(*others)
    with pytest.raises(ValueError, match="two layers with 3 inputs and 2 outputs do not fit"):
        mlp(3, 4, 2)(torch.zeros(5, 4))
    case.moments = Moments(8, 3, 4).double()
    with pytest.raises(ValueError, match="edges have 8 harmonics, and moments go to l = 3"):
        case.neighbours(case.pair)


def test_gradients_of_gradients_take_the_plain_form():
    twice = Case("usual", twice=True)
    varied = Case("usual")
    varied.edges.harmonics = varied.edges.harmonics.requires_grad_()
    for case in (twice, varied):
        pair = case.pair.requires_grad_()
        (first,) = torch.autograd.grad(case.neighbours(pair)[0].square().sum(), pair, create_graph=True)
        torch.autograd.grad(first.square().sum(), pair)


def test_without_compiled_code_a_layer_is_the_same_and_says_why(monkeypatch):
    case = Case("with directions", torch.float32)
    torch.manual_seed(0)
    layer = GroupConvolution((), 8, 6, 3, None, (2, 4))
    v, hidden, covariants = torch.randn(6, 8), torch.randn(9, 6), [(slice(None), torch.randn(25, 3))]
    before = layer(v, hidden, covariants, case.edges)
    monkeypatch.setattr(compiled, "_library", lambda: "not compiled: a reason")
    assert compiled.state() == "plain (not compiled: a reason)"
    torch.testing.assert_close(layer(v, hidden, covariants, case.edges), before, **TOLERANCES[torch.float32])
    monkeypatch.undo()
    with compiled.switched_off():
        assert compiled.state() == "plain (switched off)"


def test_files_that_are_missing_or_damaged(monkeypatch, tmp_path):
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    find = compiled._library.__wrapped__
    assert find().startswith("not compiled: install irrepnet again")
    Path(tmp_path / f"_compiled{compiled.EXTENSION_SUFFIXES[0]}").write_text("no code")
    assert "cannot be loaded: " in find()
