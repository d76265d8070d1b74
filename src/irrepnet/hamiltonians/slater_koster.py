"""Two-centre integrals of Slater and Koster (Phys. Rev. 94, 1498 (1954)), fitted to the blocks of a Hamiltonian.

In the two-centre approximation a block depends on the vector between the atoms alone: in axes along the bond it couples
m with m only, by one integral V_ll'|m| (ssσ, spσ, ppσ, ppπ, …) for each pair of shells. On site it couples equal l.
The signs are those of the paper: orbitals point from the first atom to the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irrepnet.crystals import shell_starts
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.blocks import bonds_within
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import LETTERS, OrbitalBasis, Shell, racah_matrices

_GREEK = "σπδφ"


@dataclass(frozen=True, eq=False)
class TwoCentre:
    """The integrals of one pair of elements at one distance, and what they leave."""

    elements: tuple[str, str]
    distance: float
    """Å; 0 on site."""
    integrals: dict[str, float]
    """eV: {"ssσ": …, "spσ": …}; on site {"ss": …}. A second radial function of an l has a prime: "sp'σ"."""
    rms: float
    """meV, over all elements of the blocks."""
    largest: float
    """meV"""
    blocks: int
    """How many were fitted."""


def bond_matrix(left: Shell, right: Shell, vector: np.ndarray, m: int) -> np.ndarray:
    """(k, k') the block of V_ll'm = 1 between two shells, `vector` from the first to the second atom.

    m ≥ 0; for m > 0 the sum of its two components.
    """
    z = vector / np.linalg.norm(vector)
    across = np.cross(z, np.eye(3)[abs(z).argmin()])
    x = across / np.linalg.norm(across)
    turn = np.stack([x, np.cross(z, x), z], axis=1)[None]  # z axis → bond
    a, b = (
        shell.matrix @ racah_matrices(turn, shell.l)[0][:, sorted({shell.l - m, shell.l + m})]
        for shell in (left, right)
    )
    return a @ b.T


def slater_koster(hamiltonian: Hamiltonian, cutoff: float) -> tuple[TwoCentre, ...]:
    """The least-squares integrals of each pair of elements and each distance up to `cutoff` Å, with the residual.

    Blocks that are not in the file count as zero; a pair of elements and the reversed pair are the same.

    Raises:
        IrrepnetError: H is not real, or its orbitals are not, or the cutoff is no
            distance, or hybrids span no whole shells.
    """
    hamiltonian = hamiltonian.as_real()
    if hamiltonian.known_basis.mixing is not None:
        hamiltonian = hamiltonian.in_convention("wannier90")
    basis = hamiltonian.known_basis
    if not 0 <= cutoff < np.inf:
        raise IrrepnetError(f"the cutoff is a distance in Å, got {cutoff}")
    bonds = bonds_within(basis, cutoff)
    vectors = (basis.centres[bonds[:, 1]] + bonds[:, 2:] - basis.centres[bonds[:, 0]]) @ basis.cell.lattice
    length = np.linalg.norm(vectors, axis=1)
    padded = np.concatenate([hamiltonian.H, np.zeros_like(hamiltonian.H[:1])])

    starts = np.sort(length)[shell_starts(np.sort(length))]
    distance = starts[np.searchsorted(starts, length, side="right") - 1]
    groups: dict[tuple[float, tuple[str, str]], list[int]] = {}
    for bond, (a, b) in enumerate(bonds[:, :2].tolist()):
        if basis.species[a] <= basis.species[b]:
            groups.setdefault((float(distance[bond]), (basis.species[a], basis.species[b])), []).append(bond)
    fits = []
    for (apart, elements), own in sorted(groups.items()):
        blocks, models = [], []
        for bond in own:
            a, b, *R = bonds[bond].tolist()
            rows, columns = basis.orbitals[a], basis.orbitals[b]
            blocks.append(padded[hamiltonian.index(np.array(R)), rows[:, None], columns])
            models.append(_model(basis, a, b, vectors[bond] if apart else None))
        fits.append(_fit(elements, apart, blocks, models))
    return tuple(fits)


def _model(basis: OrbitalBasis, a: int, b: int, vector: np.ndarray | None) -> dict[str, np.ndarray]:
    """{integral: block (k_a, k_b) that it makes}; `vector` is None on site. Equal integrals of one element are one."""
    found: dict[str, np.ndarray] = {}
    left, right = _named(basis, a), _named(basis, b)
    same = basis.species[a] == basis.species[b]
    row = 0
    for name, shell in left:
        column = 0
        for other_name, other in right:
            place = (slice(row, row + len(shell.m)), slice(column, column + len(other.m)))
            column += len(other.m)
            # l l' and l' l between atoms of one element are one integral, up to (−1)^(l+l')
            swapped = same and (other.l, other_name) < (shell.l, name)
            first, second = (other_name, name) if swapped else (name, other_name)
            if vector is None:
                if shell.l != other.l:
                    continue
                parts = {first + second: shell.matrix @ other.matrix.T}
            else:
                sign = (-1) ** (shell.l + other.l) if swapped else 1
                parts = {
                    first + second + _GREEK[m]: sign * bond_matrix(shell, other, vector, m)
                    for m in range(min(shell.l, other.l) + 1)
                }
            for key, block in parts.items():
                found.setdefault(key, np.zeros((len(basis.orbitals[a]), len(basis.orbitals[b]))))[place] += block
        row += len(shell.m)
    return found


def _named(basis: OrbitalBasis, site: int) -> list[tuple[str, Shell]]:
    """The shells of a site as s, s', p, …"""
    seen: dict[int, int] = {}
    named = []
    for shell in basis.shells_of(site):
        named.append((LETTERS[shell.l] + "'" * seen.get(shell.l, 0), shell))
        seen[shell.l] = seen.get(shell.l, 0) + 1
    return named


def _fit(
    elements: tuple[str, str], distance: float, blocks: list[np.ndarray], models: list[dict[str, np.ndarray]]
) -> TwoCentre:
    names = list(models[0])
    matrix = np.concatenate([np.stack([model[name].ravel() for name in names], 1) for model in models])
    target = np.concatenate([block.ravel() for block in blocks])
    values = np.linalg.lstsq(matrix, target, rcond=None)[0]
    left = 1000 * (target - matrix @ values)
    return TwoCentre(
        elements,
        distance,
        dict(zip(names, values.tolist())),
        float(np.sqrt(np.mean(left**2))),
        float(abs(left).max()),
        len(blocks),
    )
