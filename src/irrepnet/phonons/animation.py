"""How the atoms move: patterns of displacement as extended XYZ, and a page on which they move."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals.drawing import drawn_atoms, drawn_bonds
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_text
from irrepnet.phonons.gamma import WAVENUMBERS, GammaPhonons
from irrepnet.phonons.polar import PolarPhonons


def motions(
    phonons: GammaPhonons, polar: PolarPhonons | None, document: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Every optical mode, the d of a level one by one, then LO modes: what it is, and its displacements (n, 3)."""
    for vibration, entry in zip(phonons.vibrations, document["vibrations"]):
        if vibration.acoustic:
            continue
        seen = [name for name, key in (("IR", "ir"), ("Raman", "raman"), ("hyper-Raman", "hyper_raman")) if entry[key]]
        for component, pattern in enumerate(phonons.displacements(vibration.eigenvectors), start=1):
            name = vibration.irrep if entry["degeneracy"] == 1 else f"{vibration.irrep} ({component})"
            yield {"mode": name, "wavenumber": vibration.wavenumber, "activity": ", ".join(seen) or "silent"}, pattern
    for entry in document.get("polar", {}).get("directions", []):
        assert polar is not None
        axis = " ".join(f"{x:.3g}" for x in entry["direction"])
        for branch in polar.along(entry["direction"]):
            if branch.kind == "LO":
                name = f"{' + '.join(label for label, share in branch.irreps.items() if share > 0.01)} LO"
                what = {"mode": name, "wavenumber": branch.frequency * WAVENUMBERS, "activity": f"q ∥ [{axis}]"}
                yield what, phonons.displacements(branch.eigenvectors)[0]


def write_patterns(
    phonons: GammaPhonons, polar: PolarPhonons | None, document: dict[str, Any], path: str | Path
) -> None:
    """Extended XYZ, a frame a mode: the primitive cell at rest in the standard frame, and a column `displacement`, Å.

    The atom that moves farthest moves by 1 Å. Raises IrrepnetError if the file cannot be written.
    """
    import ase.io
    from ase import Atoms

    crystal, frames = phonons.crystal, []
    for what, pattern in motions(phonons, polar, document):
        atoms = Atoms(crystal.numbers, crystal.cart_coords, cell=crystal.lattice, pbc=True, info=what)
        atoms.arrays["displacement"] = pattern
        frames.append(atoms)
    try:
        ase.io.write(path, frames, format="extxyz")
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error.strerror}") from error


def write_animation(
    phonons: GammaPhonons, polar: PolarPhonons | None, document: dict[str, Any], path: str | Path
) -> None:
    """One HTML page that needs nothing else, with the conventional cell moving in the mode that is chosen from a list.

    Raises IrrepnetError if the file cannot be written.
    """
    from ase.data import covalent_radii
    from ase.data.colors import jmol_colors

    crystal = phonons.crystal
    atoms, positions = drawn_atoms(crystal)
    numbers = crystal.numbers[atoms]
    kinds = {int(z): k for k, z in enumerate(dict.fromkeys(numbers.tolist()))}
    page = {
        "title": f"{document['formula']}, {document['spacegroup']['symbol']}",
        "source": "; ".join(
            [f"force constants: {document['force_constants']['source']}"]
            + ([f"charges: {document['polar']['sources']['born_charges']}"] if "polar" in document else [])
        ),
        "lattice": crystal.conventional_lattice.round(5).tolist(),
        "kinds": [
            {
                "element": crystal.species[crystal.numbers.tolist().index(z)],
                "radius": float(covalent_radii[z]),
                "colour": [int(255 * x) for x in jmol_colors[z]],
            }
            for z in kinds
        ],
        "atoms": [
            {"kind": kinds[int(z)], "of": int(a), "at": x.round(4).tolist()}
            for z, a, x in zip(numbers, atoms, positions)
        ],
        "bonds": drawn_bonds(crystal, atoms, positions).tolist(),
        "modes": [
            what | {"wavenumber": round(what["wavenumber"], 2), "u": pattern.round(5).tolist()}
            for what, pattern in motions(phonons, polar, document)
        ],
    }
    text = json.dumps(page, ensure_ascii=False).replace("</", "<\\/")
    template = (files("irrepnet.phonons") / "animation.html").read_text(encoding="utf-8")
    try:
        write_text(Path(path), template.replace("/* the crystal */ null", text))
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error.strerror}") from error
