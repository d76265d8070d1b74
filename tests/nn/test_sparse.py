"""Sparse maps against dense matrices, in both types, with gradients of first and second order."""

import pytest
import torch

from irrepnet.nn.convolution import GroupConvolution
from irrepnet.nn.edges import Edges
from irrepnet.nn.sparse import SparseMap, gather


def entries(n_entries=40, shape=(7, 9), seed=0):
    """Rows that are empty, entries that occur twice, columns that are not used."""
    torch.manual_seed(seed)
    row = torch.randint(shape[0] - 2, (n_entries,)).sort().values
    return row, torch.randint(shape[1] - 1, (n_entries,)), shape


def dense(row, column, shape, value=None):
    value = torch.ones(len(row)) if value is None else value
    return torch.zeros(shape, dtype=value.dtype).index_put((row, column), value, accumulate=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_a_dense_matrix(dtype, weighted):
    row, column, shape = entries()
    value = torch.randn(len(row), dtype=dtype) if weighted else None
    sparse, matrix = SparseMap(row, column, shape, value), dense(row, column, shape, value).to(dtype)
    x, g = torch.randn(shape[1], 5, dtype=dtype, requires_grad=True), torch.randn(shape[0], 5, dtype=dtype)
    torch.testing.assert_close(sparse(x), matrix @ x)
    (by_x,) = torch.autograd.grad(sparse(x), x, g)
    torch.testing.assert_close(by_x, matrix.T @ g)
    torch.testing.assert_close(sparse.transposed(g), matrix.T @ g)
    torch.testing.assert_close(sparse(x[:, 1:3]), matrix @ x[:, 1:3])  # not contiguous


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_by_the_values(dtype):
    row, column, shape = entries()
    value = torch.randn(len(row), dtype=dtype, requires_grad=True)
    x = torch.randn(shape[1], 3, dtype=dtype, requires_grad=True)
    weights = torch.randn(shape[0], 3, dtype=dtype)

    def gradients(output):
        first = torch.autograd.grad((output**2 * weights).sum(), (x, value), create_graph=True)
        return [*first, *torch.autograd.grad(sum((part**2).sum() for part in first), (x, value))]

    found = gradients(SparseMap(row, column, shape, value)(x))
    for one, other in zip(found, gradients(dense(row, column, shape, value) @ x)):
        torch.testing.assert_close(one, other, rtol=1e-4 if dtype == torch.float32 else 1e-10, atol=1e-3)


def test_gradients_against_differences():
    row, column, shape = entries(12, (4, 5))
    value = torch.randn(len(row), dtype=torch.float64, requires_grad=True)
    x = torch.randn(shape[1], 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, a: SparseMap(row, column, shape, a)(x), (x, value))
    assert torch.autograd.gradgradcheck(lambda x, a: SparseMap(row, column, shape, a)(x), (x, value))


def test_no_entries_and_a_wrong_order():
    nothing = torch.zeros(0, dtype=torch.long)
    assert SparseMap(nothing, nothing, (3, 2))(torch.ones(2, 4)).tolist() == [[0.0] * 4] * 3
    assert SparseMap(nothing, nothing, (0, 0))(torch.ones(0, 4)).shape == (0, 4)
    with pytest.raises(ValueError, match="sorted by row"):
        SparseMap(torch.tensor([1, 0]), torch.tensor([0, 0]), (2, 1))


def test_gather():
    index, x = torch.tensor([2, 0, 2, 1]), torch.randn(4, 3)
    torch.testing.assert_close(gather(index, 4)(x), x[index])


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_convolution_in_both_types_against_a_plain_one(dtype, twice):
    """The layer with its weights, its gradients too, from gathering and adding up row by row."""
    torch.manual_seed(1)
    n, n_edges, n_classes, directed = 6, 30, 8, 20
    layer = GroupConvolution((), 4, 5, 3, None, (2, 3)).to(dtype)
    receiver, sender = torch.randint(n, (n_edges,)).sort().values, torch.randint(n, (n_edges,))
    edge_class = torch.cat([torch.randint(5, (directed,)), torch.randint(5, n_classes, (n_edges - directed,))])
    weight, harmonics = torch.rand(n_edges, dtype=dtype), torch.randn(n_edges, 8, dtype=dtype)
    hidden, covariants = torch.randn(n_classes, 5, dtype=dtype), torch.randn(directed, 3, dtype=dtype)
    inverse_count = torch.rand(n, 1, dtype=dtype)
    v = torch.randn(n, 4, dtype=dtype)

    def plain():
        x = layer.norm(v)
        pair = layer.receiver(x)[receiver] + layer.sender(x)[sender] + layer.filter.scalar(hidden)[edge_class]
        own = layer.filter.scale(hidden)[edge_class[:directed]] * layer.filter.direction(covariants)
        pair = torch.nn.functional.silu(torch.cat([pair[:directed] + own, pair[directed:]]))
        gate, value = layer.message(pair).chunk(2, -1)
        m, a = torch.zeros_like(v), torch.zeros(n, 8, 3, dtype=dtype)
        m = m.index_add(0, receiver, torch.sigmoid(gate) * value * weight[:, None]) * inverse_count
        l = torch.tensor([0] * 3 + [1] * 5)
        terms = layer.moments.weight(pair).view(-1, 2, 3)[:, l] * harmonics[:, :, None]
        a = a.index_add(0, receiver, terms) * inverse_count[:, :, None]
        s = [(part.square().mean(1) + 1e-3).sqrt() for part in a.split([3, 5], 1)]
        return v + layer.update(torch.cat([x, m, *s], -1))

    edges = Edges(receiver, sender, edge_class, n_classes, inverse_count, weight, harmonics, directed, twice)
    found, expected = layer(v, hidden, [(slice(None), covariants)], edges), plain()
    tolerance = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 1e-12, "rtol": 1e-12}
    torch.testing.assert_close(found, expected, **tolerance)
    weights = list(layer.parameters())
    for one, other in zip(*(torch.autograd.grad((y**2).sum(), weights) for y in (found, expected))):
        torch.testing.assert_close(one, other, **{name: 100 * t for name, t in tolerance.items()})
