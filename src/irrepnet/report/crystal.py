"""All that symmetry and the models that come with the package say of one crystal: a document, and its page."""

from __future__ import annotations

from base64 import b64encode
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.crystals import FileInMemory, SymmetricCrystal
from irrepnet.crystals.doubts import compared, measures, suspicions
from irrepnet.crystals.drawing import drawn_atoms, drawn_bonds
from irrepnet.crystals.reports import describe_symmetry
from irrepnet.errors import IrrepnetError
from irrepnet.files import write_text
from irrepnet.graphs import FrameOptions
from irrepnet.phonons.reports import describe_modes
from irrepnet.report.html import render, template_text
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.elastic_picture import draw_surfaces
from irrepnet.tensors.reports import describe_form, describe_surfaces
from irrepnet.training.load import load_run
from irrepnet.training.use import predict
from irrepnet.training.where import for_any_crystal

TENSORS = {
    "polarization": "pyroelectricity, polarization",
    "dielectric": "permittivity, and every symmetric tensor of rank 2",
    "gyration": "optical activity",
    "piezoelectric": "piezoelectricity, second-harmonic generation",
    "elastic": "elasticity",
}
"""Names of `CartesianTensor`, and what properties have that form."""
STIFFNESS_TARGET = "elastic_tensor_original"
COLOURS = (
    *("#3b7dd8", "#e0672f", "#2e9e6b", "#b04bbd", "#c9a21a", "#17a2b8", "#d6456b", "#7a6ff0", "#7d8f2a", "#a86b3c"),
)
"""Of orbits, in their order; then from the first again. Legible on white and on black."""


def describe(source: Any, symprec: float = 0.01, name: str = "") -> dict[str, Any]:
    """All that the page of a crystal says, of plain values that JSON takes.

    Everything is in the standard frame (see :mod:`irrepnet.crystals.symmetric`), Cartesian, and of the idealised
    primitive cell of n atoms.

    Args:
        source: a structure file or what else :func:`irrepnet.crystals.reading.read_cell` takes.
        symprec: Å, how far from symmetric an atom may be.
        name: what the crystal is called; the file's name by default.

    Returns:
        ``name``, ``formula``; ``notes`` of the reader and ``warnings`` (sentences);
        ``plausibility``: a row a measure with ``name``, ``value``, ``unit``, ``low``, ``high``, ``usual``
        (:mod:`irrepnet.crystals.doubts`);
        ``symmetry``: as `irrepnet symmetry --irreps --json`: groups, frame, ``lattice`` (3, 3) Å, orbits with what is
        allowed at their sites; ``modes``: those at Γ, a row an irrep with counts and activities, and ``independent``;
        ``tensors``: by name of the tensor what :func:`irrepnet.tensors.reports.describe_form` says;
        ``predictions``: a row a target with ``model``, ``target``, ``unit``, ``kind``, ``value`` (a number, (3, 3),
        Voigt's (6, 6), or (n, 3, 3) for sites), ``bound``, ``spread``, ``nearest`` (training crystals: ``id``,
        ``formula``, ``distance``) and ``note``; value, bound and spread are None where there is none;
        ``stiffness``: averages and extremes of the predicted one (GPa), or None;
        ``drawing``: ``atoms`` (``at`` Å, ``orbit``, ``element``, ``radius`` Å), ``bonds`` (pairs of them) and ``cell``
        (3, 3) Å, the conventional one.

    Raises:
        IrrepnetError: the source cannot be read, or no space group is consistent with it.
    """
    crystal = SymmetricCrystal.from_structure(source, symprec)
    if not name:
        is_file = isinstance(source, str | Path | FileInMemory)
        name = Path(str(source)).name if is_file else crystal.formula
    found = measures(crystal.numbers, crystal.cart_coords, crystal.lattice)
    modes = describe_modes(crystal, name)
    predictions = _predictions(crystal)
    stiffness = next((row["value"] for row in predictions if row["target"] == STIFFNESS_TARGET), None)
    return {
        "name": name,
        "formula": crystal.formula,
        "notes": list(crystal.notes),
        "warnings": suspicions(found),
        "plausibility": compared(found),
        "symmetry": describe_symmetry(crystal, FrameOptions.max_frames, irreps=True),
        "modes": modes["modes"],
        "independent": modes["independent"],
        "tensors": {each: describe_form(CartesianTensor(each), crystal.point_group) for each in TENSORS},
        "predictions": predictions,
        "stiffness": None if stiffness is None else _moduli(stiffness),
        "drawing": _drawing(crystal),
    }


def write_crystal_page(source: Any, path: str | Path, symprec: float = 0.01) -> dict[str, Any]:
    """Write the page of a crystal, one HTML file that needs no other; returns the document of `describe`.

    Raises IrrepnetError as `describe`, or if the file cannot be written.
    """
    document = describe(source, symprec)
    try:
        write_text(Path(path), crystal_page(document))
    except OSError as error:
        raise IrrepnetError(f"{path}: cannot be written: {error.strerror}") from error
    return document


def crystal_page(document: dict[str, Any], connects: bool = False) -> str:
    """The page of a crystal from what `describe` says of it; on a server it has links to the other pages there."""
    viewer = files("irrepnet.report") / "3dmol"
    return render(
        "crystal.html",
        scripts=[(viewer / "3Dmol-min.js").read_text(encoding="utf-8"), template_text("viewer.js")],
        title=f"{document['formula']}, {document['symmetry']['spacegroup']['symbol']}",
        connects=connects,
        colours=COLOURS,
        meanings=TENSORS,
        surfaces=_surfaces_picture(document),
        **document,
    )


def _predictions(crystal: SymmetricCrystal) -> list[dict[str, Any]]:
    """Of the idealised crystal in its standard frame, so that tensors are of the forms that the page shows."""
    record = {
        "id": crystal.formula,
        "species": list(crystal.species),
        "frac_coords": crystal.frac_coords,
        "lattice": crystal.lattice,
    }
    rows = []
    for model in for_any_crystal():
        run = load_run(model)
        (found,) = predict(run, [record])
        for target in run.targets:
            rows.append(
                {
                    "model": model,
                    "target": target.name,
                    "unit": target.value_unit,
                    "kind": target.kind,
                    "value": found[target.name],
                    "bound": found.get(f"{target.name}_bound"),
                    "spread": found.get(f"{target.name}_spread"),
                    "nearest": found.get("nearest") or [],
                    "note": found["note"],
                }
            )
    return rows


def _moduli(stiffness: list[list[float]]) -> dict[str, Any] | None:
    try:
        return describe_surfaces(np.array(stiffness))
    except IrrepnetError:  # not positive definite: no moduli
        return None


def _surfaces_picture(document: dict[str, Any]) -> str:
    """The surfaces of the predicted stiffness as a PNG in base 64, or nothing."""
    if document["stiffness"] is None:
        return ""
    (values,) = (row["value"] for row in document["predictions"] if row["target"] == STIFFNESS_TARGET)
    stream = BytesIO()
    draw_surfaces(np.array(values), stream, unit=document["stiffness"]["unit"], step=5)
    return b64encode(stream.getvalue()).decode()


def _drawing(crystal: SymmetricCrystal) -> dict[str, Any]:
    from ase.data import covalent_radii

    atoms, positions = drawn_atoms(crystal)
    return {
        "atoms": [
            {
                "at": position.round(4).tolist(),
                "orbit": int(crystal.orbits[atom]),
                "element": crystal.species[atom],
                "radius": float(covalent_radii[crystal.numbers[atom]]),
            }
            for atom, position in zip(atoms, positions)
        ],
        "bonds": drawn_bonds(crystal, atoms, positions).tolist(),
        "cell": crystal.conventional_lattice.round(5).tolist(),
    }
