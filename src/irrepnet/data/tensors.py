"""Tensors with their crystals: from the frame in which they were published to the crystal's standard frame, checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data.records import Record, Rejection
from irrepnet.data.targets import QUANTITIES
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.groups.operations import geometry
from irrepnet.tensors import SHG, STIFFNESS, CartesianTensor, ieee_rotation
from irrepnet.tensors.positive import eigenvalues, is_matrix

TOLERANCE = 0.05
"""Residual up to which a tensor obeys its crystal's group. Below it lie, as given, 99.9 % of the embedded dielectric
and 99.5 % of the elastic tensors, with their noise; no piezoelectric tensor lies between 0.003 and 0.05."""

TENSORS: dict[str, CartesianTensor] = {
    "e_electronic": CartesianTensor("ij=ji"),
    "e_total": CartesianTensor("ij=ji"),
    "piezoelectric_tensor": CartesianTensor("ijk=ikj"),
    "elastic_tensor_original": STIFFNESS,
    "elastic_tensor": STIFFNESS,
    "shg": SHG,
}
"""The tensors among the known targets."""


@dataclass(frozen=True)
class TensorQuantity:
    """What a tensor among the properties is."""

    tensor: CartesianTensor
    unit: str = ""
    positive: bool = False
    """Positive definite, whatever the crystal; for symmetric matrices such as permittivities and stiffnesses."""
    damped: bool = False
    """Its size runs over decades and either sign occurs: what is learned is `irrepnet.tensors.damping.damped`."""
    signed: bool = True
    """Whether the sign belongs to the crystal. It does not where the ends of the axes were chosen afterwards: T and −T
    are then the same."""


TENSOR_QUANTITIES: dict[str, TensorQuantity] = {
    name: TensorQuantity(
        tensor,
        QUANTITIES[name].unit,
        positive=is_matrix(tensor),
        damped=name == "shg",
        signed=name != "piezoelectric_tensor",
    )
    for name, tensor in TENSORS.items()
}
"""The same with their units. Those that are symmetric matrices are positive definite. The signs of the embedded
piezoelectric tensors are those of no crystal: see docs/tensors.md."""

_CUBIC_TO_HEXAGONAL = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])


@dataclass(frozen=True, eq=False)
class AlignedTensor:
    """A tensor in the standard frame of its crystal, exactly symmetric."""

    crystal: SymmetricCrystal
    values: np.ndarray
    """(3, …, 3), allowed by `crystal.point_group`."""
    residual: float
    """|T − mean_P T| / |T| of the tensor in the frame in which it was taken, `frame`."""
    residual_as_given: float
    """The same in the frame of the record's lattice."""
    frame: str
    """ "as given", or the name of the frame that explains the tensor better (`possible_frames`)."""
    rotation: np.ndarray
    """(3, 3) proper, x_standard = rotation @ x_published."""
    is_checked: bool
    """Whether the group forbids anything, so that a wrong frame can show: for a polar tensor in group 1 it does not."""
    is_certain: bool
    """False if the frame was found by search, and others that fit as well give another tensor, for instance one of the
    opposite sign; `rotation` is then a guess by convention. True for a tensor that is taken as given."""
    is_certain_but_for_sign: bool
    """The same, where T and −T count as one tensor."""

    @property
    def is_reoriented(self) -> bool:
        return self.frame != "as given"


def aligned_tensor(
    record: Any, values: Any, tensor: CartesianTensor | str, symprec: float = 0.01, tolerance: float = TOLERANCE
) -> AlignedTensor:
    """A published tensor in the standard frame of its crystal.

    It is taken as given, in the frame of the record's lattice, if its residual is at most `tolerance`. If not, the
    `possible_frames` are tried: of those whose residual is within 0.001 of the least it is the first.

    Args:
        record: the crystal, made symmetric, or anything that `SymmetricCrystal.from_structure` takes.
        values: tensor (3, …, 3) or Voigt's array.
        tensor: its index symmetry.
        symprec: Å, with which the crystal's symmetry is searched.
        tolerance: the largest residual |T − mean_P T| / |T| of a tensor that is accepted.

    Raises:
        IrrepnetError: the crystal or the values cannot be used, or no frame brings the residual below the tolerance.
    """
    tensor = CartesianTensor(tensor) if isinstance(tensor, str) else tensor
    published = tensor.read(values)
    crystal = record if isinstance(record, SymmetricCrystal) else SymmetricCrystal.from_structure(record, symprec)
    form = tensor.allowed(crystal.point_group)
    names, rotations = zip(*possible_frames(crystal), strict=True)
    turned = tensor.rotate(published, np.array(rotations))
    residuals = form.residual(turned)
    chosen = 0 if residuals[0] <= tolerance else int(np.argmax(residuals <= residuals.min() + 1e-3))
    if residuals[chosen] > tolerance:
        raise IrrepnetError(
            f"the tensor is not that of a crystal of point group {crystal.point_group.name}: residual "
            f"{residuals[0]:.2g} in the frame of the lattice, {residuals[chosen]:.2g} in the best frame found "
            f"({names[chosen]}), {tolerance:g} is accepted; the tensor, the structure or symprec is wrong"
        )
    allowed = form.project(turned)
    rivals = allowed[residuals <= residuals[chosen] + 1e-3]
    spreads = np.abs(np.array([rivals - allowed[chosen], rivals + allowed[chosen]])).reshape(2, len(rivals), -1).max(-1)
    limit = 0.01 * np.abs(published).max()
    return AlignedTensor(
        crystal=crystal,
        values=allowed[chosen],
        residual=float(residuals[chosen]),
        residual_as_given=float(residuals[0]),
        frame=names[chosen],
        rotation=rotations[chosen],
        is_checked=form.independent < tensor.dim,
        is_certain=chosen == 0 or bool(spreads[0].max() <= limit),
        is_certain_but_for_sign=chosen == 0 or bool(spreads.min(axis=0).max() <= limit),
    )


def aligned_tensors(
    records: Iterable[Record], target: str, tensor: CartesianTensor | str | None = None, **options: float
) -> tuple[dict[str, AlignedTensor], list[Rejection]]:
    """The property `target` of all records: {id: aligned tensor}, and the records that cannot be used, with the reason.

    `tensor` is needed for a target that is not in `TENSORS`; the options are those of `aligned_tensor`.
    """
    tensor = tensor or TENSORS.get(target)
    if tensor is None:
        raise IrrepnetError(f"{target} is none of {', '.join(TENSORS)}: give its index symmetry, such as ij=ji")
    aligned: dict[str, AlignedTensor] = {}
    rejections = []
    for record in records:
        try:
            if record.properties.get(target) is None:
                raise IrrepnetError(f"no value of {target}")
            aligned[record.id] = aligned_tensor(record, record.properties[target], tensor, **options)
        except IrrepnetError as error:
            rejections.append(Rejection(record.id, str(error)))
    return aligned, rejections


def tensor_coefficients(crystal: SymmetricCrystal, values: Any, quantity: TensorQuantity) -> np.ndarray:
    """(dim,) a published tensor as coefficients on its `change_of_basis` in the crystal's standard frame.

    Raises:
        IrrepnetError: it cannot be used: see `aligned_tensor`; its frame is a guess that matters; or it is not positive
            definite although the quantity is.
    """
    found = aligned_tensor(crystal, values, quantity.tensor)
    if not (found.is_certain if quantity.signed else found.is_certain_but_for_sign):
        raise IrrepnetError(
            f"the tensor is not in the frame of the lattice (residual {found.residual_as_given:.2g}), and frames that "
            f"explain it equally well give different tensors{': its sign, at least, is open' * quantity.signed}"
        )
    if quantity.positive and (least := eigenvalues(quantity.tensor, found.values).min()) <= 0:
        raise IrrepnetError(f"the tensor is not positive definite: its least eigenvalue is {least:.3g} {quantity.unit}")
    return quantity.tensor.to_irreps(found.values)


def possible_frames(crystal: SymmetricCrystal) -> list[tuple[str, np.ndarray]]:
    """Frames in which a tensor may have been published: (name, proper rotation from it to the standard frame).

    As given, that is in the frame of the lattice; the axes of the IEEE standard; the standard frame itself; for
    trigonal crystals axes as in a cubic crystal, the three-fold axis along [111]. Then each of these with its axes
    named otherwise: turned by the proper operations of m-3m, for trigonal and hexagonal crystals by those of 6/mmm and
    the like with 30° about z. These contain the operations of the lattice's holohedry. Smaller turns come first.
    """
    is_hexagonal = crystal.point_group.system in ("trigonal", "hexagonal")
    frames = [
        ("as given", crystal.rotation.T),
        ("IEEE axes", ieee_rotation(crystal.point_group, crystal.conventional_lattice).T),
        ("standard axes", np.eye(3)),
    ]
    if crystal.point_group.system == "trigonal":
        frames.append(("cubic axes", _CUBIC_TO_HEXAGONAL))
    turns = _turns(is_hexagonal)
    return frames + [(f"{name}, turned by {turn}", q @ rotation) for turn, q in turns for name, rotation in frames]


def _turns(is_hexagonal: bool) -> list[tuple[str, np.ndarray]]:
    """The operations that rename axes, smallest first, without the identity: (what it does, proper rotation)."""
    operations = PointGroup("622" if is_hexagonal else "432").operations
    if is_hexagonal:
        c, s = np.sqrt(0.75), 0.5
        operations = np.concatenate([operations, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ operations])
    named = []
    for operation in operations:
        turn = geometry(operation)
        smallest = abs(turn.axis)[abs(turn.axis) > 1e-6].min()
        axis = " ".join(f"{x:.3g}" for x in turn.axis / smallest + 0.0)
        named.append((abs(turn.angle), f"{np.degrees(turn.angle):.0f}° about [{axis}]", operation))
    return [(name, operation) for angle, name, operation in sorted(named, key=lambda n: n[0]) if angle > 1e-6]
