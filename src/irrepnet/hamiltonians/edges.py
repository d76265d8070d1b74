"""The edges of the Wigner–Seitz supercell: to which of the cells that a mesh of k makes equal an element belongs.

On the mesh only the sums of H_ab(R + T) over translations T of its supercell count, between its points the split does.
Shared in equal parts among the cells where the orbitals' sites are nearest to each other, it obeys the crystal, as in
Pizzi et al., J. Phys.: Condens. Matter 32, 165902 (2020), section 4.2; there the centres of the Wannier functions
decide, which obey it less than the sites do.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.model import Hamiltonian, cell_index

_EQUAL = 0.01
"""Å, cells no farther than this beyond the nearest are as near; atoms may be so far from symmetric, too."""


def with_shared_edges(hamiltonian: Hamiltonian) -> Hamiltonian:
    """The same on its mesh of k, with each element in equal parts in the equivalent cells where its sites are nearest.

    Raises IrrepnetError if the mesh or the orbitals are not known.
    """
    if hamiltonian.mesh is None:
        raise IrrepnetError(f"{hamiltonian.name}: the mesh of k that H(R) was made on is not known")
    basis, mesh = hamiltonian.known_basis, np.array(hamiltonian.mesh)
    classes = np.stack(np.unravel_index(np.arange(mesh.prod()), mesh), 1)
    steps = np.array(list(product(range(-2, 3), repeat=3))) * mesh
    images = classes[:, None] + steps  # (classes, images, 3)
    sites = range(len(basis.centres))
    parts = {}
    for a, b in product(sites, sites):
        apart = images + (basis.centres[b] - basis.centres[a])
        apart = apart - np.rint(apart.mean(1, keepdims=True) / mesh) * mesh  # around 0, whatever the home cells are
        distance = np.linalg.norm(apart @ basis.cell.lattice, axis=-1)
        is_near = distance < distance.min(1, keepdims=True) + _EQUAL
        own, image = np.nonzero(is_near)
        cells = np.rint(apart[own, image] - (basis.centres[b] - basis.centres[a])).astype(int)
        parts[a, b] = own, cells, 1 / is_near.sum(1)[own]
    R = np.unique(np.concatenate([cells for _, cells, _ in parts.values()]), axis=0)
    index = cell_index(R)
    class_of = np.ravel_multi_index(tuple((hamiltonian.R % mesh).T), tuple(mesh))

    def shared(blocks: np.ndarray) -> np.ndarray:
        """(cells, n, n) of the new cells, from those of the old ones."""
        folded = np.zeros((len(classes), *blocks.shape[1:]), blocks.dtype)
        np.add.at(folded, class_of, blocks)
        found = np.zeros((len(R), *blocks.shape[1:]), blocks.dtype)
        for (a, b), (own, cells, weights) in parts.items():
            rows, columns = basis.orbitals[a][:, None], basis.orbitals[b]
            found[index(cells)[:, None, None], rows, columns] = weights[:, None, None] * folded[own][:, rows, columns]
        return found

    position = hamiltonian.position
    if position is not None:
        position = np.stack([shared(position[:, axis]) for axis in range(3)], axis=1)
    S = None if hamiltonian.S is None else shared(hamiltonian.S)
    return replace(hamiltonian, R=R, H=shared(hamiltonian.H), S=S, H0=None, position=position)
