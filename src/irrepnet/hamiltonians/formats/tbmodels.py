"""Files of TBmodels, *.hdf5. Needs h5py.

Datasets uc (lattice vectors, rows), pos (n, dim) places of the orbitals in them, dim, size, occ, sparse; in the group
hop a group for each of half of the cells, R and the matrix, dense or CSR. H(R) is the matrix of R plus the adjoint of
that of −R, so that of R = 0 has half of the diagonal. Source: the files of TBmodels 1.4 (tbmodels.greschd.ch).
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.files import is_file
from irrepnet.hamiltonians.formats.shared import needs, save_bytes, whole
from irrepnet.hamiltonians.formats.structure import with_structure
from irrepnet.hamiltonians.formats.wannier90_input import why_elsewhere
from irrepnet.hamiltonians.model import Hamiltonian, in_other_cells
from irrepnet.hamiltonians.orbitals import real_if_real
from irrepnet.hamiltonians.spin import in_either_spin_order


def read_tbmodels(path: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """A model in three dimensions, which tells no elements and no orbitals: these are those of `structure`, as for the
    Wannier90 files that most models come from.

    Raises IrrepnetError if the file is not of this kind, or does not fit the structure.
    """
    found, places = _read(path)
    if structure is None:
        return found

    def with_basis(each: Hamiltonian, order: np.ndarray) -> Hamiltonian:
        made = with_structure(each, structure, shells, "wannier90")
        if made.basis is None or places is None:
            return made
        # TBmodels has all orbitals in the home cell, those of one site perhaps in several of the cells of that site
        own = places[order]
        steps = np.rint(own - made.basis.centres[made.basis.site_of]).astype(int)
        if (reason := why_elsewhere(made.basis, own - steps)) is not None:
            return replace(made, basis=None, no_basis=f"{structure}: {reason}")
        return in_other_cells(made, -steps)

    return in_either_spin_order(found, with_basis)


def read_bare_tbmodels(path: Path) -> Hamiltonian:
    """The same without lattice and orbitals."""
    return _read(path)[0]


def _read(path: Path) -> tuple[Hamiltonian, np.ndarray | None]:
    """With the places of the orbitals (n, 3), fractional, if they are told."""
    h5py = needs("h5py")
    if not is_file(path):
        raise IrrepnetError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as top:
            file = top.get("tb_model", top)  # as old versions have it
            if int(file["dim"][()]) != 3:
                raise ValueError(f"it has {int(file['dim'][()])} dimensions, and three are read")
            size = int(file["size"][()])
            places = np.array(file["pos"][()], float).reshape(size, 3) if "pos" in file else None
            blocks: dict[tuple[int, ...], np.ndarray] = {}
            for key, hop in file["hop"].items():
                R = tuple(whole(np.array(hop["R"][()], float), f"the cell of hop/{key}").tolist())
                matrix = _matrix(hop, size)
                if len(R) != 3 or matrix.shape != (size, size):
                    raise ValueError(f"hop/{key} is no cell with a matrix of {size} orbitals")
                blocks[R] = blocks.get(R, 0) + matrix
                reverse = (-R[0], -R[1], -R[2])
                blocks[reverse] = blocks.get(reverse, 0) + matrix.conj().T
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise IrrepnetError(f"{path}: cannot be read as a TBmodels file: {reason}") from error
    if not blocks:
        raise IrrepnetError(f"{path}: cannot be read as a TBmodels file: it has no hopping")
    cells = sorted(blocks)
    H = real_if_real(np.array([blocks[R] for R in cells]))
    return Hamiltonian(np.array(cells), H, name=str(path)), places


def _matrix(hop: Any, size: int) -> np.ndarray:
    """(size, size) of a dense dataset or the three of CSR."""
    if "mat" in hop:
        return np.array(hop["mat"][()], complex)
    from scipy.sparse import csr_matrix

    parts = tuple(hop[name][()] for name in ("data", "indices", "indptr"))
    return csr_matrix(parts, shape=(size, size), dtype=complex).toarray()


def write_tbmodels(hamiltonian: Hamiltonian, path: Path) -> None:
    """A dense model with the orbitals at their centres.

    Raises IrrepnetError for orbitals that are not orthonormal, or without a basis, or if it cannot be written.
    """
    h5py = needs("h5py")
    if hamiltonian.S is not None:
        raise IrrepnetError(f"{path}: TBmodels has no overlap; orthogonalise the Hamiltonian first")
    basis, n = hamiltonian.known_basis, len(hamiltonian)
    reverse = hamiltonian.index(-hamiltonian.R)
    stream = BytesIO()
    with h5py.File(stream, "w") as file:
        file["type_tag"] = "tbmodels.model"
        for name, value in (("dim", 3), ("size", n), ("sparse", False), ("uc", basis.cell.lattice)):
            file[name] = value
        file["pos"] = basis.centres[basis.site_of]
        hop = file.create_group("hop")
        for number, (R, block) in enumerate(zip(hamiltonian.R, hamiltonian.H)):
            if number <= reverse[number] or reverse[number] < 0:
                group = hop.create_group(str(number))
                group["R"] = R
                group["mat"] = (block / 2 if not R.any() else block).astype(complex)
    save_bytes(path, stream.getvalue())
