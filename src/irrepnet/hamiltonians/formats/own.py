"""irrepnet's own file, *.safetensors: the independent numbers of a symmetric Hamiltonian."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import Cell
from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians.formats.shared import energy, save_bytes
from irrepnet.hamiltonians.model import Hamiltonian
from irrepnet.hamiltonians.orbitals import Mixing, OrbitalBasis, Shell
from irrepnet.hamiltonians.reduced import ReducedHamiltonian, reduced
from irrepnet.inlets import json_value

_FORMAT = "irrepnet reduced Hamiltonian 2"


def read_safetensors(path: Path, structure: Path | None = None, shells: str | None = None) -> Hamiltonian:
    """All blocks of what `write_reduced` wrote; the file tells structure and shells itself."""
    return replace(read_reduced(path).expand(), name=str(path))


def write_safetensors(hamiltonian: Hamiltonian, path: Path) -> None:
    """The symmetric part, by its independent numbers."""
    write_reduced(reduced(hamiltonian), path)


def write_reduced(hamiltonian: ReducedHamiltonian, path: str | Path) -> None:
    """One safetensors file: the numbers as arrays of the precision that they have, the rest as JSON in the header."""
    from safetensors.numpy import save

    cell = hamiltonian.basis.cell
    arrays = {
        "lattice": cell.lattice,
        "frac_coords": cell.frac_coords,
        "numbers": cell.numbers,
        "centres": hamiltonian.basis.centres,
        "bonds": hamiltonian.bonds.astype(np.int16),
        "H": hamiltonian.H,
    }
    arrays |= {name: array for name in ("S", "H0") if (array := getattr(hamiltonian, name)) is not None}
    if hamiltonian.basis.moments is not None:
        arrays["moments"] = hamiltonian.basis.moments
    card = {
        "format": _FORMAT,
        "symprec": hamiltonian.symprec,
        "fermi": hamiltonian.fermi,
        "probe": hamiltonian.probe,
        "provenance": hamiltonian.provenance,
        "spinful": hamiltonian.basis.spinful,
        "shells": [[s.site, s.l, list(s.m), s.harmonics] for s in hamiltonian.basis.shells],
    }
    if (mixing := hamiltonian.basis.mixing) is not None:
        arrays["mixing"] = mixing.matrix
        card["functions"] = mixing.names
    whole, text = {key: np.ascontiguousarray(array) for key, array in arrays.items()}, json.dumps(card)
    save_bytes(Path(path), save(whole, {"card": text, "crc": str(_crc(text, whole))}))


def read_reduced(path: str | Path) -> ReducedHamiltonian:
    """What `write_reduced` wrote. Raises IrrepnetError if the file is not of that kind."""
    with _opened(path) as (file, card):
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
        about = file.metadata()
        if about.get("crc", crc := str(_crc(about["card"], arrays))) != crc:  # earlier versions wrote none
            raise ValueError("it was damaged; copy it again")
        cell = Cell(arrays["lattice"], arrays["frac_coords"], arrays["numbers"], str(path))
        shells = tuple(Shell(site, l, tuple(m), harmonics) for site, l, m, harmonics in card["shells"])
        mixing = Mixing(arrays["mixing"], tuple(card["functions"])) if "mixing" in arrays else None
        spinful, moments = card.get("spinful", False), arrays.get("moments")
        basis = OrbitalBasis(cell, arrays["centres"], shells, mixing=mixing, spinful=spinful, moments=moments)
        found = ReducedHamiltonian(
            basis,
            card["symprec"],
            arrays["bonds"].astype(int),
            arrays["H"],
            arrays.get("S"),
            energy(card.get("fermi"), Path(path), "fermi"),
            arrays.get("H0"),
            dict(card["provenance"]),
        )
        if abs(found.probe - card["probe"]) > 1e-8 * np.linalg.norm(found.H):
            raise ValueError("its numbers refer to other bases of blocks than this version makes")
        return found


def read_provenance(path: str | Path) -> dict[str, Any]:
    """The provenance alone, without the numbers. Raises IrrepnetError if the file is not of that kind."""
    with _opened(path) as (_, card):
        return card["provenance"]


def _crc(card: str, arrays: Mapping[str, np.ndarray]) -> int:
    """A checksum of all that a file says."""
    crc = zlib.crc32(card.encode())
    for name in sorted(arrays):
        crc = zlib.crc32(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode(), crc)
        crc = zlib.crc32(arrays[name].tobytes(), crc)
    return crc


@contextmanager
def _opened(path: str | Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The open file and its card; what goes wrong inside is an IrrepnetError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            card = json_value((file.metadata() or {})["card"])
            if card["format"] != _FORMAT:
                raise ValueError(f"its format is {card['format']!r}")
            yield file, card
    except (OSError, SafetensorError, LookupError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise IrrepnetError(f"{path}: cannot be read as a reduced Hamiltonian: {reason}") from error
