"""Sparse matrices that act on the rows of features: gathering, sums over neighbours, and their adjoints."""

from functools import cached_property

import torch


class SparseMap:
    """y_i = Σ_t a_t x_{c(t)} over the entries t of row i; gradients go the other way, through the transpose.

    In float32 it is torch's embedding bag, one call, several times faster than gathering, weighting and adding up,
    which write and read a row of memory for each entry. For other types, and where gradients by a are wanted, it
    does these.

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
        back = torch.empty_like(self.order).scatter_(0, self.order, torch.arange(len(row), device=row.device))
        return SparseMap(row, column, (self.shape[1], self.shape[0]), value, back)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(n_columns, C) → (n_rows, C)."""
        if x.dtype == torch.float32 and not (self.value is not None and self.value.requires_grad):
            return _RowSums.apply(x, self)  # type: ignore[return-value]
        terms = x.index_select(0, self.column)
        if self.value is not None:
            terms = terms * self.value[:, None]
        return x.new_zeros(self.shape[0], x.shape[1]).index_add(0, self.row, terms)


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: torch.Tensor, rows: SparseMap) -> torch.Tensor:  # type: ignore[override]
        ctx.rows = rows
        return torch.nn.functional.embedding_bag(
            rows.column, x, rows.start, mode="sum", include_last_offset=True, per_sample_weights=rows.value
        )

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return ctx.rows.transposed(gradient), None


def gather(index: torch.Tensor, size: int) -> SparseMap:
    """y_i = x_{index[i]}, for x of ``size`` rows."""
    return SparseMap(torch.arange(len(index), device=index.device), index, (len(index), size))
