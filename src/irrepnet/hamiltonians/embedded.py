"""The Hamiltonians that come with the package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.own import read_reduced
from irrepnet.hamiltonians.reduced import ReducedHamiltonian

FOLDER = Path(str(files("irrepnet.hamiltonians"))) / "embedded"


@cache
def embedded_hamiltonians() -> tuple[str, ...]:
    """Their names, formula-type-scale[-strain], such as "MgO-rocksalt-1.00"."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def load_hamiltonian(name: str) -> ReducedHamiltonian:
    """One of `embedded_hamiltonians`, H, S and H0 with `provenance`; `expand` gives the blocks.

    Raises IrrepnetError if there is none of that name.
    """
    if name not in embedded_hamiltonians():
        raise IrrepnetError(f"no Hamiltonian {name!r} comes with the package; `irrepnet hamiltonian list` lists them")
    return read_reduced(FOLDER / f"{name}.safetensors")
