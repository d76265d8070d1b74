"""Sparse matrices that act on the rows of features: gathering, sums over neighbours, and their adjoints."""

from functools import cached_property

import torch


class SparseMap:
    """y_i = Σ_t a_t x_{c(t)} over the entries t of row i; gradients go the other way, through the transpose.

    One call in place of gathering, weighting and adding up, which write and read a row of memory for each entry. In
    float32 it is torch's embedding bag, several times faster than these; for other types they are what it does. It
    can be differentiated any number of times, by x and by a.

    Args:
        row, column: (n_entries,) of each entry, sorted by row.
        shape: numbers of rows and of columns.
        value: (n_entries,) a; ones by default.
        order: (n_entries,) the entries sorted by column, if it is known.
    """

    def __init__(
        self,
        row: torch.Tensor,
        column: torch.Tensor,
        shape: tuple[int, int],
        value: torch.Tensor | None = None,
        order: torch.Tensor | None = None,
    ) -> None:
        if (row.diff() < 0).any():
            raise ValueError("the entries are not sorted by row")
        self.row, self.column, self.shape, self.value = row, column, shape, value
        if order is not None:
            self.order = order

    @cached_property
    def start(self) -> torch.Tensor:
        """(n_rows + 1,) the first entry of each row, and the end."""
        return torch.nn.functional.pad(self.row.bincount(minlength=self.shape[0]).cumsum(0), (1, 0))

    @cached_property
    def order(self) -> torch.Tensor:
        """(n_entries,) the entries sorted by column."""
        return self.column.argsort(stable=True)

    @cached_property
    def transposed(self) -> "SparseMap":
        value = None if self.value is None else self.value.index_select(0, self.order)
        row, column = self.column.index_select(0, self.order), self.row.index_select(0, self.order)
        return SparseMap(row, column, (self.shape[1], self.shape[0]), value)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(n_columns, C) → (n_rows, C)."""
        return _RowSums.apply(x, self.value, self)  # type: ignore[return-value]


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, value: torch.Tensor | None, rows: SparseMap) -> torch.Tensor:  # type: ignore[override]
        ctx.rows = rows
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None)
        return row_sums(x, rows)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        rows, by_x, by_value = ctx.rows, None, None
        if ctx.needs_input_grad[1]:  # the values have a history of their own, so that their order is not kept
            by_value = (gradient.index_select(0, rows.row) * x.index_select(0, rows.column)).sum(-1)
            rows = SparseMap(rows.row, rows.column, rows.shape, rows.value, rows.order)
        if ctx.needs_input_grad[0]:
            by_x = rows.transposed(gradient)
        return by_x, by_value, None


def row_sums(x: torch.Tensor, rows: SparseMap) -> torch.Tensor:
    """What a :class:`SparseMap` is, without gradients."""
    if x.dtype == torch.float32:
        return torch.nn.functional.embedding_bag(
            rows.column, x, rows.start, mode="sum", include_last_offset=True, per_sample_weights=rows.value
        )
    terms = x.index_select(0, rows.column)
    if rows.value is not None:
        terms = terms * rows.value[:, None]
    return x.new_zeros(rows.shape[0], x.shape[1]).index_add(0, rows.row, terms)


def gather(index: torch.Tensor, size: int) -> SparseMap:
    """y_i = x_{index[i]}, for x of ``size`` rows."""
    return SparseMap(torch.arange(len(index), device=index.device), index, (len(index), size))
