"""The vibration modes of a crystal at Γ: how many of each irrep, and which of them light can see.

Displacements of the atoms with one phase in all cells carry the mechanical representation of the point group, the
permutation of the atoms ⊗ the polar vector. Its irreps count the modes. One photon couples to a polar vector, Raman
scattering to a symmetric tensor of rank 2 (off resonance): a mode is active if its irrep occurs there (Kroumova et
al., Phase Transitions 76, 155 (2003); Bradley & Cracknell, "The Mathematical Theory of Symmetry in Solids" (1972)).
"""

from typing import NamedTuple

import numpy as np

from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.groups import PointGroup


class Modes(NamedTuple):
    """Irreps of the point group with the number of modes each, {label: count}, in the group's order.

    A mode of an irrep of dimension d is d-fold degenerate. E of complex type counts once: its two complex halves
    have one frequency, because the equations of motion are real.
    """

    group: PointGroup
    """The crystal's point group, whose axes the labels refer to."""
    orbits: tuple[dict[str, int], ...]
    """The share of each orbit in `mechanical`."""
    mechanical: dict[str, int]
    """All modes, Σ count · dim = 3n."""
    acoustic: dict[str, int]
    """The three translations: the irreps of the polar vector."""
    optical: dict[str, int]
    """`mechanical` without `acoustic`."""
    infrared: dict[str, int]
    """The optical modes with a dipole moment."""
    raman: dict[str, int]
    """The optical modes that change the polarisability."""
    silent: dict[str, int]
    """The optical modes that are neither."""


def vibration_modes(crystal: SymmetricCrystal) -> Modes:
    """The modes at Γ, decomposed into the irreps of `crystal.point_group`.

    >>> from irrepnet.crystals import SymmetricCrystal, vibration_modes
    >>> rocksalt = {"species": ["Na", "Cl"], "cell": [4, 4, 4, 60, 60, 60], "frac_coords": [[0] * 3, [0.5] * 3]}
    >>> modes = vibration_modes(SymmetricCrystal.from_structure(rocksalt))
    >>> modes.mechanical, modes.infrared, modes.raman
    ({'T1u': 2}, {'T1u': 1}, {})
    """
    group = crystal.point_group
    vector = np.trace(group.operations, axis1=1, axis2=2)
    symmetric_square = (vector**2 + vector[np.diag(group.multiplication)]) / 2
    is_fixed = crystal.permutation == np.arange(len(crystal))
    mechanical = group.multiplicities(is_fixed.sum(axis=1) * vector)
    acoustic = group.multiplicities(vector)
    in_tensor = group.multiplicities(symmetric_square)
    optical = {label: count - acoustic.get(label, 0) for label, count in mechanical.items()}
    optical = {label: count for label, count in optical.items() if count}
    return Modes(
        group=group,
        orbits=tuple(
            group.multiplicities(is_fixed[:, crystal.orbits == orbit].sum(axis=1) * vector)
            for orbit in range(len(crystal.representatives))
        ),
        mechanical=mechanical,
        acoustic=acoustic,
        optical=optical,
        infrared={label: count for label, count in optical.items() if label in acoustic},
        raman={label: count for label, count in optical.items() if label in in_tensor},
        silent={label: n for label, n in optical.items() if label not in acoustic and label not in in_tensor},
    )
