"""The formats of Hamiltonians, a row each; reading and writing by them.

To add one: a file here with its two functions, and its row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.embedded import embedded_hamiltonians, load_hamiltonian
from irrepnet.hamiltonians.formats.abacus import read_abacus, read_bare_abacus, write_abacus
from irrepnet.hamiltonians.formats.deeph import is_deeph, read_deeph, write_deeph
from irrepnet.hamiltonians.formats.deeptb import read_deeptb, write_deeptb
from irrepnet.hamiltonians.formats.own import read_safetensors, write_safetensors
from irrepnet.hamiltonians.formats.shared import save_text
from irrepnet.hamiltonians.formats.sisl import read_sisl, write_sisl
from irrepnet.hamiltonians.formats.tbmodels import read_bare_tbmodels, read_tbmodels, write_tbmodels
from irrepnet.hamiltonians.formats.wannier90 import read_bare_wannier90, read_wannier90, write_wannier90
from irrepnet.hamiltonians.formats.wannier90_input import beside, seed, wannier90_input
from irrepnet.hamiltonians.model import Hamiltonian, orthogonalised
from irrepnet.hamiltonians.symmetry import action, symmetry_residual


@dataclass(frozen=True)
class Format:
    """How files of a code are known, read and written."""

    name: str
    """Of the code."""
    endings: tuple[str, ...]
    """Of the names of files, or of folders to be written, in letters of any case."""
    read: Callable[[Path, Path | None, str | None], Hamiltonian]
    """Of a path, a structure and shells, as `read_hamiltonian` takes them."""
    write: Callable[[Hamiltonian, Path], None]
    holds: Callable[[Path], bool] | None = None
    """Whether a folder is of this code, whatever its name; None if the format is a file."""
    read_bare: Callable[[Path], Hamiltonian] | None = None
    """Of a path, the matrices without structure and orbitals; None if they cannot be had without them."""
    holds_overlap: bool = True
    """Whether the orbitals may have an overlap."""

    def matches(self, path: Path) -> bool:
        """Whether it is this format's to read: a folder by what it holds, all else by its name."""
        if path.is_dir():
            return self.holds is not None and self.holds(path)
        return self.is_named(path)

    def is_named(self, path: Path) -> bool:
        return path.name.lower().endswith(tuple(ending.lower() for ending in self.endings))


FORMATS = [
    Format(
        "Wannier90",
        ("_hr.dat", "_tb.dat", "_hr.dat.gz", "_tb.dat.gz"),
        read_wannier90,
        write_wannier90,
        None,
        read_bare_wannier90,
        holds_overlap=False,
    ),
    Format("TBmodels", (".hdf5",), read_tbmodels, write_tbmodels, None, read_bare_tbmodels, holds_overlap=False),
    Format("ABACUS", (".csr",), read_abacus, write_abacus, None, read_bare_abacus),
    Format("SIESTA", (".TSHS", ".HSX"), read_sisl, write_sisl),
    Format("irrepnet", (".safetensors",), read_safetensors, write_safetensors),
    Format("DeepH", (".deeph",), read_deeph, write_deeph, is_deeph),
    Format("DeePTB", (".deeptb",), read_deeptb, write_deeptb, Path.is_dir),  # any other folder
]
"""All formats; the first that matches counts."""


def readable() -> str:
    """The files that `read_hamiltonian` reads, for people."""
    return ", ".join(
        f"{each.name} ({'a folder' if each.holds else ', '.join('*' + ending for ending in each.endings)})"
        for each in FORMATS
    )


def writable() -> str:
    """The names that `write_hamiltonian` takes, for people."""
    *first, last = ("*" + ending for each in FORMATS for ending in each.endings)
    return f"{', '.join(first)} or {last}"


def read_hamiltonian(path: str | Path, structure: str | Path | None = None, shells: str | None = None) -> Hamiltonian:
    """The Hamiltonian in a file or folder, or the embedded one of that name, with its orbitals where file and structure
    tell them.

    A Wannier90 file gets lattice and orbitals from seed.win beside it if `structure` is None, and has no basis if that
    is not there either.

    Args:
        path: in one of `FORMATS`.
        structure: a .win file, an input of WannierTools (wt.in), or a structure file in the axes and with the lattice
            vectors of the calculation; only for files that do not hold it. A CIF has no axes: of those along
            the crystal's own, H(R) decides.
        shells: "spd" on all atoms, or "V:d" and so on by element, in the order of the code that wrote the file. Needed
            beside a structure file, unless all atoms are of one element and carry 1, 3, 4, 5, 9 or 16 orbitals: then
            these are s, p, sp, d, spd or spdf.

    Raises:
        IrrepnetError: the file is of no kind that is known, cannot be read, or does not fit the structure.
    """
    path = Path(path)
    if str(path) in embedded_hamiltonians() and not path.exists():
        return load_hamiltonian(str(path)).expand()
    for each in FORMATS:
        if each.matches(path):
            return each.read(path, None if structure is None else Path(structure), shells)
    raise IrrepnetError(f"{path}: not a Hamiltonian by its name; known are {readable()}")


def read_what_can_be(path: str | Path, structure: str | Path | None = None, shells: str | None = None) -> Hamiltonian:
    """As `read_hamiltonian`; where what lies beside the file does not fit, without orbitals, and `no_basis` says why.

    Raises IrrepnetError if the matrices cannot be read, or structure or shells are given and do not fit.
    """
    try:
        return read_hamiltonian(path, structure, shells)
    except IrrepnetError as error:
        read_bare = next((each.read_bare for each in FORMATS if each.matches(Path(path))), None)
        if read_bare is None or structure is not None or shells is not None:
            raise
        return replace(read_bare(Path(path)), no_basis=str(error))


def write_hamiltonian(hamiltonian: Hamiltonian, path: str | Path) -> None:
    """Write in the one of `FORMATS` whose ending the name has; in irrepnet's own, the symmetric part, reduced.

    Raises IrrepnetError for another name, or what that format cannot hold.
    """
    format_of(path).write(hamiltonian, Path(path))


def export_hamiltonian(hamiltonian: Hamiltonian, path: str | Path) -> list[str]:
    """Write for other codes, with what they need beside it; what was changed for that, a note each.

    As `write_hamiltonian`; where the format holds no overlap, of Löwdin's orthonormal orbitals, see `orthogonalised`,
    by the mesh of k that the cells fill. A Wannier90 file has its order of orbitals and, unless there is one, a
    seed.win that tells them.

    Raises IrrepnetError as `write_hamiltonian` does, and if a seed_wsvec.dat lies beside, which would be applied.
    """
    path, kind = Path(path), format_of(path)
    is_wannier90 = kind.name == "Wannier90"
    if is_wannier90 and (old := beside(path, "_wsvec.dat")) is not None:
        raise IrrepnetError(f"{path}: {old} lies beside, and whoever reads both would apply it; choose another name")
    notes = []
    if kind.name == "irrepnet" and hamiltonian.basis is not None:
        violated = symmetry_residual(hamiltonian, action(hamiltonian.basis)).symmetry
        if violated > 1e-6:
            notes.append(f"{path} has the symmetric part; elements violated the symmetry by up to {violated:.2g} eV")
    if hamiltonian.S is not None and not kind.holds_overlap:
        x, y, z = (2 * abs(hamiltonian.R).max(0) + 1).tolist()
        hamiltonian = orthogonalised(hamiltonian, (x, y, z))
        notes.append(f"{path} has orthonormal orbitals (Löwdin), by a mesh of {x} × {y} × {z} k")
    basis = hamiltonian.basis
    if not is_wannier90:
        kind.write(hamiltonian, path)
        return notes
    is_told = basis is not None and basis.mixing is None
    if is_told:
        hamiltonian = hamiltonian.in_convention("wannier90", whole=False)
    kind.write(hamiltonian, path)
    notes += [
        f"{there} was there before and may tell of other orbitals"
        for ending in (".win", "_centres.xyz")
        if (there := beside(path, ending)) is not None
    ]
    if is_told and beside(path, ".win") is None:
        save_text(seed(path, ".win"), wannier90_input(hamiltonian))
    elif not is_told:
        why = hamiltonian.no_basis if basis is None else "its orbitals are hybrids, or in axes of their own"
        notes.append(f"no {seed(path, '.win').name} is written: {why}")
    return notes


def format_of(path: str | Path) -> Format:
    """The one of `FORMATS` in which `write_hamiltonian` writes a file of that name; raises IrrepnetError if none has
    its ending."""
    for each in FORMATS:
        if each.is_named(Path(path)):
            return each
    raise IrrepnetError(f"{path}: cannot be written; name it {writable()}")
