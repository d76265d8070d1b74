"""How far a predicted Hamiltonian is from the true one, in elements and in bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.blocks import BondOrbit
from irrepnet.hamiltonians.graph import EMPTY
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.reduced import coefficients
from irrepnet.hamiltonians.symmetry import Action, hermiticity, irreducible, symmetry_residual

MESH = (6, 6, 6)


@dataclass(frozen=True)
class Comparison:
    """Errors in meV. The zero of energy is free: elements are compared after the best H + μ S, bands after the best
    common shift of the valence bands."""

    numbers: float
    """Mean absolute error of the independent numbers, those of `reduced`."""
    largest: float
    """The largest error of an element of H(R)."""
    valence: float
    """Root mean square over the occupied bands and k."""
    conduction: float
    """The same over the next four bands, or as many as there are."""
    gap: float
    """Error of the fundamental gap on the mesh, with its sign."""
    symmetry: float
    """Largest violation of Hermiticity and of an operation by the predicted H(R)."""

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def compare(
    true: Hamiltonian,
    predicted: Hamiltonian,
    act: Action,
    orbits: Sequence[BondOrbit],
    occupied: int,
    mesh: tuple[int, int, int] = MESH,
) -> Comparison:
    """The errors of a prediction.

    Args:
        true: with the overlap, which is taken for both.
        predicted: in the same orbitals; a cell that it lacks counts as zero.
        act, orbits: the space group, and the orbits of all blocks of the true one.
        occupied: bands.
        mesh: of k, for the bands.
    """
    if true.S is None:
        raise IrrepnetError(f"{true.name}: bands are compared with the overlap, which it does not have")
    padded = np.concatenate([predicted.H, np.zeros_like(predicted.H[:1])])
    error = padded[predicted.index(true.R)] - true.H
    error = error - true.S * (np.vdot(true.S, error) / np.vdot(true.S, true.S))
    k, weights = irreducible(act, mesh)
    exact = true.eigenvalues(k)
    found = Hamiltonian(true.R, padded[predicted.index(true.R)], true.S, true.basis, None, true.name).eigenvalues(k)
    bands = found - exact
    bands = bands - weights @ bands[:, :occupied].mean(1)
    gaps = [e[:, occupied:].min(initial=np.inf) - e[:, :occupied].max() for e in (found, exact)]

    def rms(part: np.ndarray) -> float:
        return 1000 * float(np.sqrt(weights @ (part**2).mean(1))) if part.size else float("nan")

    return Comparison(
        numbers=1000 * float(abs(coefficients(act, orbits, true.R, error)).mean()),
        largest=1000 * float(abs(error).max()),
        valence=rms(bands[:, :occupied]),
        conduction=rms(bands[:, occupied : occupied + EMPTY]),
        gap=1000 * float(gaps[0] - gaps[1]) if occupied < len(true) else float("nan"),
        symmetry=1000 * max(hermiticity(predicted), symmetry_residual(predicted, act).symmetry),
    )
