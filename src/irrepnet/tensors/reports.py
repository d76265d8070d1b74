"""What tensors are made of, as plain documents: allowed forms, irreps, moduli over all directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from irrepnet.groups import PointGroup
from irrepnet.tensors import STIFFNESS, CartesianTensor, averages, surfaces
from irrepnet.tensors.elastic_picture import draw_surfaces


def describe_form(tensor: CartesianTensor, group: PointGroup, picture: str | Path | None = None) -> dict[str, Any]:
    """The independent components in a point group, what the others are, and a basis of what is allowed.

    Args:
        picture: the form is drawn there, forced zeros shaded.

    Raises IrrepnetError if the picture cannot be written.
    """
    form = tensor.allowed(group)
    if picture is not None:
        form.picture(picture, title_of_form(tensor, group))
    return {
        "symmetry": tensor.formula,
        "axial": tensor.axial,
        "strain": tensor.strain,
        "setting": group.name,
        "schoenflies": group.schoenflies,
        "generators": list(group.setting.generators),
        "independent": form.independent,
        "free": form.free,
        "components": form.components,
        "relations": form.relations,
        "zeros": form.zeros,
        "matrix": form.matrix.tolist(),
        "basis": form.basis.tolist(),
    }


def title_of_form(tensor: CartesianTensor, group: PointGroup) -> str:
    """Such as "ij=ji, axial, 4/mmm (D4h)"."""
    return f"{tensor.formula}{', axial' if tensor.axial else ''}, {group.name} ({group.schoenflies})"


def describe_parts(tensor: CartesianTensor, values: ArrayLike | None = None, group: str = "") -> dict[str, Any]:
    """The irreps of O(3) in a tensor by Young diagram, and how much of given values lies in each.

    Args:
        values: in full or in Voigt's form; their norms are then in the document.
        group: a point group into whose irreps they are split too.

    Raises IrrepnetError if the values are no such tensor or the group is unknown.
    """
    given = None if values is None else tensor.read(values)
    splits = tensor.subduce(group) if group else {}
    document: dict[str, Any] = {
        "symmetry": tensor.formula,
        "axial": tensor.axial,
        "dim": tensor.dim,
        "irreps": str(tensor.irreps),
        "parts": [],
    }
    for part in tensor.parts:
        entry: dict[str, Any] = {"l": part.l, "parity": part.parity, "young": list(part.young), "copy": part.copy}
        if given is not None:
            coefficients = np.tensordot(part.basis.reshape(2 * part.l + 1, -1), given.ravel(), 1)
            entry |= {"coefficients": coefficients.tolist(), "norm": float(np.linalg.norm(coefficients))}
        document["parts"].append(entry)
    if given is not None:
        document["norm"] = float(np.linalg.norm(given))
        document["outside"] = float(np.linalg.norm(given - tensor.project(given)))
    if group:
        document["group"] = {label: _in_group(copies, given) for label, copies in splits.items()}
    return document


def _in_group(copies: np.ndarray, given: np.ndarray | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"copies": len(copies)}
    if given is not None:
        entry["norm"] = float(np.linalg.norm(copies.reshape(-1, given.size) @ given.ravel()))
    return entry


def describe_surfaces(values: ArrayLike, unit: str = "GPa", picture: str | Path | None = None) -> dict[str, Any]:
    """The least and the greatest of each modulus of a stiffness over all directions, and Hill's averages.

    Args:
        values: Voigt's (6, 6), or (3, 3, 3, 3).
        unit: of the stiffness.
        picture: the surfaces are drawn there.

    Raises IrrepnetError if they are no stiffness, not positive definite, or the picture cannot be written.
    """
    stiffness = STIFFNESS.to_voigt(STIFFNESS.read(values))
    found, mean = surfaces(stiffness), averages(stiffness)
    if picture is not None:
        title = f"K {mean.K:.4g}, G {mean.G:.4g}, E {mean.E:.4g} {unit} (Hill), A^U {mean.universal_anisotropy:.3g}"
        draw_surfaces(stiffness, Path(picture), title, unit)
    entries = []
    for each in found:
        (least, along), (greatest, where) = each.extremes()
        entries.append(
            {
                "name": each.name,
                "unit": {"u": unit, "1/u": f"1/{unit}", "": ""}[each.unit],
                "least": least,
                "least_along": along.tolist(),
                "greatest": greatest,
                "greatest_along": where.tolist(),
            }
        )
    hill = {name: getattr(mean, name) for name in ("K", "G", "E", "poisson", "universal_anisotropy")}
    return {"unit": unit, "averages": hill, "surfaces": entries}
