"""All that symmetry and the models that come with the package say of one crystal: a document, and its page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
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
from irrepnet.hamiltonians.bands import BandStructure, Level
from irrepnet.hamiltonians.plots import energy_window, plot_bands
from irrepnet.phonons.reports import describe_modes
from irrepnet.report.html import render, template_text
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.elastic_picture import draw_surfaces
from irrepnet.tensors.reports import describe_form, describe_surfaces
from irrepnet.training.hamiltonians import predicted_bands
from irrepnet.training.load import load_run
from irrepnet.training.use import predict
from irrepnet.training.where import card_of, named_runs, of_hamiltonians

TENSORS = {
    "polarization": "pyroelectricity, polarization",
    "dielectric": "permittivity, and every symmetric tensor of rank 2",
    "gyration": "optical activity",
    "piezoelectric": "piezoelectricity, second-harmonic generation",
    "elastic": "elasticity",
}
"""Names of `CartesianTensor`, and what properties have that form."""
BANDS_SECONDS = 30.0
"""Of one core, the longest that what the bands begin with may be expected to take."""
STIFFNESS_TARGET = "elastic_tensor_original"
COLOURS = (
    *("#3b7dd8", "#e0672f", "#2e9e6b", "#b04bbd", "#c9a21a", "#17a2b8", "#d6456b", "#7a6ff0", "#7d8f2a", "#a86b3c"),
)
"""Of orbits, in their order; then from the first again. Legible on white and on black."""


def describe(
    source: Any,
    symprec: float = 0.01,
    name: str = "",
    bands_seconds: float = BANDS_SECONDS,
    runs: Iterable[str | Path] = (),
) -> dict[str, Any]:
    """All that the page of a crystal says, of plain values that JSON takes.

    Everything is in the standard frame (see :mod:`irrepnet.crystals.symmetric`), Cartesian, and of the idealised
    primitive cell of n atoms.

    Args:
        source: a structure file or what else :func:`irrepnet.crystals.reading.read_cell` takes.
        symprec: Å, how far from symmetric an atom may be.
        name: what the crystal is called; the file's name by default.
        bands_seconds: the longest that S and H0 for the bands may be expected to take; 0 for no bands.
        runs: folders of trained runs that predict besides the models that come with the package.

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
        ``bands``: ``model``, and ``reason`` why there are none, or ""; ``fermi`` (eV), ``gap`` (``fundamental`` and
        ``direct``, eV; None for a metal), ``bound`` (meV, of the error of the valence bands), ``nearest`` and ``note``;
        ``points`` (rows of an index into the path and a label), ``levels`` (as `irrepnet hamiltonian bands --json`) and
        ``path``: ``distance`` (K) Å⁻¹, ``k`` (K, 3) fractional and ``energies`` (K, n) eV of the bands that are drawn;
        all None where there is a reason;
        ``drawing``: ``atoms`` (``at`` Å, ``orbit``, ``element``, ``radius`` Å), ``bonds`` (pairs of them) and ``cell``
        (3, 3) Å, the conventional one.

    Raises:
        IrrepnetError: the source cannot be read, no space group is consistent with it, or a run cannot be loaded.
    """
    crystal = SymmetricCrystal.from_structure(source, symprec)
    if not name:
        is_file = isinstance(source, str | Path | FileInMemory)
        name = Path(str(source)).name if is_file else crystal.formula
    found = measures(crystal.numbers, crystal.cart_coords, crystal.lattice)
    modes = describe_modes(crystal, name)
    predictions = _predictions(crystal, named_runs(runs))
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
        "bands": _bands(crystal, bands_seconds),
        "drawing": _drawing(crystal),
    }


def write_crystal_page(
    source: Any, path: str | Path, symprec: float = 0.01, bands_seconds: float = BANDS_SECONDS
) -> dict[str, Any]:
    """Write the page of a crystal, one HTML file that needs no other; returns the document of `describe`.

    Raises IrrepnetError as `describe`, or if the file cannot be written.
    """
    document = describe(source, symprec, bands_seconds=bands_seconds)
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
        bands_picture=_bands_picture(document["bands"]),
        **document,
    )


def _predictions(crystal: SymmetricCrystal, models: Mapping[str, Path]) -> list[dict[str, Any]]:
    """Of the idealised crystal in its standard frame, so that tensors are of the forms that the page shows."""
    record = _as_record(crystal)
    rows = []
    for model, folder in models.items():
        run = load_run(folder)
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


def _as_record(crystal: SymmetricCrystal) -> dict[str, Any]:
    return {
        "id": crystal.formula,
        "species": list(crystal.species),
        "frac_coords": crystal.frac_coords,
        "lattice": crystal.lattice,
    }


def _bands(crystal: SymmetricCrystal, seconds: float) -> dict[str, Any]:
    """See `describe`; elements are looked at first, and nothing is computed that takes too long."""
    (model,) = of_hamiltonians()
    keys = ("fermi", "gap", "bound", "nearest", "note", "points", "levels", "path")
    found: dict[str, Any] = {"model": model, "reason": "", **dict.fromkeys(keys)}
    unknown = sorted(set(crystal.species) - set(card_of(model)["domain"]["elements"]))
    try:
        if unknown:
            raise IrrepnetError(f"the model has not learned from a crystal that contains {', '.join(unknown)}")
        if seconds <= 0:
            raise IrrepnetError("they were not asked for")
        bands, said = predicted_bands(model, _as_record(crystal), seconds)
    except IrrepnetError as error:
        return found | {"reason": str(error)}
    low, high = energy_window(bands)
    drawn = ((bands.energies - bands.fermi > low) & (bands.energies - bands.fermi < high)).any(0)
    path = {"distance": bands.distance, "k": bands.k, "energies": bands.energies[:, drawn].round(5)}
    return found | {
        **{key: said[key] for key in ("fermi", "gap", "bound", "nearest", "note", "levels")},
        "points": [list(point) for point in bands.labelled],
        "path": {key: values.tolist() for key, values in path.items()},
    }


def _bands_picture(document: dict[str, Any]) -> str:
    """The bands as a PNG in base 64, or nothing."""
    if document["path"] is None:
        return ""
    path = {key: np.array(values) for key, values in document["path"].items()}
    labelled = tuple((index, label) for index, label in document["points"])
    levels = {
        label: tuple(Level(row["energy"], (), row["irreps"]) for row in rows)
        for label, rows in document["levels"].items()
    }
    stream = BytesIO()
    plot_bands(BandStructure(**path, labelled=labelled, fermi=document["fermi"]), stream, levels)
    return b64encode(stream.getvalue()).decode()


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
