"""Spin: SU(2) above the rotations of O(3), and its irreps D^j.

Conventions: spinors are (up, down) along z; components of D^j are numbered m = j … −j, so that D^{1/2} are the spinor
matrices themselves. A rotation by φ about n is u = cos(φ/2) − i sin(φ/2) n·σ with φ in (−π, π] and n in the upper
hemisphere (z, then x, then y positive); of an improper operation it is that of the proper part, since inversion leaves
spins alone. −u stands for the same operation with a turn by 2π.

Source: Altmann, Rotations, Quaternions, and Double Groups (1986); Wigner, Group Theory (1959), chapter 15.
"""

from math import comb, factorial, sqrt

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups.operations import geometry

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
"""(3, 2, 2) σ_x, σ_y, σ_z in (up, down); the spin is σ/2."""


def spinor_matrices(operations: np.ndarray) -> np.ndarray:
    """(N, 2, 2) unitary u(g), of determinant 1, of orthogonal matrices (N, 3, 3): one of the two of each."""
    found = np.empty((len(operations), 2, 2), complex)
    for number, operation in enumerate(operations):
        g = geometry(operation)
        found[number] = np.cos(g.angle / 2) * np.eye(2) - 1j * np.sin(g.angle / 2) * np.tensordot(g.axis, PAULI, 1)
    return found


def wigner_matrices(spinors: np.ndarray, j: float) -> np.ndarray:
    """(N, 2j+1, 2j+1) unitary D^j of SU(2) matrices (N, 2, 2), components m = j … −j; D^j(−u) = (−1)^(2j) D^j(u).

    |j m⟩ are j + m spins up and j − m down, symmetrised, each of which turns by u.

    Raises IrrepnetError unless 2j is an integer ≥ 0.
    """
    n = twice(j)
    matrices = np.zeros((len(spinors), n + 1, n + 1), complex)
    (a, b), (c, d) = np.moveaxis(spinors, 0, -1)  # up → a up + c down, down → b up + d down
    for p in range(n + 1):  # spins up before, s of them and t of the others after
        q = n - p
        for s in range(p + 1):
            for t in range(q + 1):
                norm = sqrt(factorial(s + t) * factorial(n - s - t) / (factorial(p) * factorial(q)))
                term = comb(p, s) * a**s * c ** (p - s) * comb(q, t) * b**t * d ** (q - t)
                matrices[:, n - s - t, n - p] += norm * term
    return matrices


def twice(j: float) -> int:
    """2j of an angular momentum; raises IrrepnetError unless it is an integer ≥ 0."""
    n = round(2 * j)
    if n != 2 * j or n < 0:
        raise IrrepnetError(f"an angular momentum is 0, 1/2, 1, 3/2, …, got {j:g}")
    return n
