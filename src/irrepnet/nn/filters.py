"""Filters that see directions: invariants × covariants, with no cut in rotational order."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from irrepnet.groups import PointGroup


class DirectionBasis(nn.Module):
    """The angular functions that every filter on a unit vector is made of.

    A map F: R³ → Γ^β with F(g r) = Γ^β(g) F(r) is F(r) = Σ_k f_k(I(r)) e_k(r) with invariant functions f_k
    and a finite list of generators e_k, so the generators of all irreps and the invariants say everything
    that an equivariant filter can know of a direction.

    Args:
        group: the point group.

    Attributes:
        n_invariants: angular invariants: the primary invariants that depend on the direction and the secondary
            ones, centred and orthonormal on the sphere.
        n_covariants: components of the generators of all non-trivial irreps, each of unit mean square on the sphere.
    """

    def __init__(self, group: PointGroup) -> None:
        trivial = group.covariants(group.trivial.label)
        covariants = [c for i in group.irreps if i.label != group.trivial.label for c in [group.covariants(i.label)]]
        scalar = [(group.invariants.exponents, row) for row in group.invariants.coefficients]
        scalar += [(trivial.exponents, row[0]) for row in trivial.coefficients]
        vector = [(c.exponents, row) for c in covariants for row in c.coefficients.reshape(-1, len(c.exponents))]
        exponents = np.unique(np.concatenate([e for e, _ in scalar + vector]), axis=0)
        directions, weights = _sphere(2 * int(exponents.sum(1).max()))
        monomials = np.prod(directions[:, None] ** exponents, axis=-1)
        constant = np.zeros((1, len(exponents)))
        constant[0, np.flatnonzero(exponents.sum(1) == 0)] = 1.0
        scalars = np.concatenate([constant, _rows(scalar, exponents)])
        scalars = _orthonormal(scalars, monomials, weights)[1:]  # without the constant
        vectors = _rows(vector, exponents)
        vectors /= np.sqrt(((monomials @ vectors.T) ** 2 * weights[:, None]).sum(0))[:, None]
        super().__init__()
        self.degree = int(exponents.max())
        self.register_buffer("exponents", torch.from_numpy(exponents), persistent=False)
        coefficients = torch.from_numpy(np.concatenate([scalars, vectors]).T)
        self.register_buffer("coefficients", coefficients, persistent=False)
        self.n_invariants, self.n_covariants = len(scalars), len(vectors)

    def forward(self, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit vectors (n, 3) → invariants (n, n_invariants) and covariants (n, n_covariants)."""
        values = self._values(directions, slice(None))
        return values[:, : self.n_invariants], values[:, self.n_invariants :]

    def invariants(self, directions: torch.Tensor) -> torch.Tensor:
        """Unit vectors (n, 3) → (n, n_invariants) alone."""
        return self._values(directions, slice(self.n_invariants))

    def _values(self, directions: torch.Tensor, columns: slice) -> torch.Tensor:
        powers = torch.stack([torch.ones_like(directions)] + [directions] * self.degree).cumprod(0)
        # one monomial a row: whole rows are gathered, not single numbers
        x, y, z = (p.index_select(0, e) for p, e in zip(powers.permute(2, 0, 1), self.get_buffer("exponents").T))
        return (x * y * z).T @ self.get_buffer("coefficients")[:, columns].to(directions.dtype)


def _rows(polynomials: list[tuple[np.ndarray, np.ndarray]], exponents: np.ndarray) -> np.ndarray:
    """Coefficients of the polynomials over one common list of monomials."""
    position = {tuple(e): i for i, e in enumerate(exponents.tolist())}
    rows = np.zeros((len(polynomials), len(exponents)))
    for row, (own, coefficients) in zip(rows, polynomials):
        row[[position[tuple(e)] for e in own.tolist()]] = coefficients
    return rows


def _sphere(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Directions (n, 3) and weights (n,), sum one: averages over the sphere, exact for polynomials up to ``degree``."""
    n = degree // 2 + 1
    cosine, weight = np.polynomial.legendre.leggauss(n)
    phi = 2 * np.pi * np.arange(2 * n) / (2 * n)
    sine = np.sqrt(1 - cosine**2)
    x, y, z = np.broadcast_arrays(np.outer(sine, np.cos(phi)), np.outer(sine, np.sin(phi)), cosine[:, None])
    return np.stack([x, y, z], -1).reshape(-1, 3), np.repeat(weight / 2 / (2 * n), 2 * n)


def _orthonormal(rows: np.ndarray, monomials: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Gram–Schmidt over the sphere, in order; rows that depend on earlier ones (such as x²+y²+z²) are dropped."""
    kept: list[np.ndarray] = []
    for row in rows:
        for _ in range(2):  # twice is enough for full precision
            for other in kept:
                row = row - ((monomials @ row) * (monomials @ other) * weights).sum() * other
        norm = np.sqrt(((monomials @ row) ** 2 * weights).sum())
        if norm > 1e-8:
            kept.append(row / norm)
    return np.array(kept)


Covariants = Sequence[tuple[slice, torch.Tensor]]
"""Covariant components of directions, edges after edges: which of all components, and their values (n, components)."""


class Filter(nn.Module):
    """F(r) = A h(I(r)) + B h(I(r)) ⊙ C e(r̂), in the group form: invariants × covariants, of rank ``channels``.

    Args:
        hidden: size of the embedded invariants h.
        covariants: number of covariant components e; 0 for a filter that sees no direction.
        channels: of the result.
    """

    def __init__(self, hidden: int, covariants: int, channels: int) -> None:
        super().__init__()
        self.scalar = nn.Linear(hidden, channels)
        self.scale = nn.Linear(hidden, channels) if covariants else None
        self.direction = nn.Linear(covariants, channels, bias=False) if covariants else None

    def forward(self, hidden: torch.Tensor, covariants: Covariants, edge_class: torch.Tensor) -> torch.Tensor:
        """(n_classes, hidden), what the first edges, all as a rule, see, and (n_edges,) → (n_edges, channels)."""
        out = self.scalar(hidden).index_select(0, edge_class)
        seen = self.seen(hidden, covariants, len(hidden))
        if not seen:
            return out
        scale, direction = seen
        directed = len(direction)
        own = scale.index_select(0, edge_class[:directed]) * direction
        return torch.cat([out[:directed] + own, out[directed:]])

    def seen(self, hidden: torch.Tensor, covariants: Covariants, directed_classes: int) -> list[torch.Tensor]:
        """If edges see their direction, B h of the classes of these and C e of each.

        Args:
            hidden: (n_classes, hidden).
            covariants: of the edges that see their direction.
            directed_classes: these are of so many of the first classes.
        """
        if self.scale is None or self.direction is None or not covariants:
            return []
        weight = self.direction.weight
        seen = [torch.nn.functional.linear(values, weight[:, columns]) for columns, values in covariants]
        return [self.scale(hidden[:directed_classes]), torch.cat(seen)]
