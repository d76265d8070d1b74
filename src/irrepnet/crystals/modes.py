"""The vibration modes of a crystal at Γ: how many of each irrep, and which of them light can see.

Displacements of the atoms with one phase in all cells carry the mechanical representation of the point group, the
permutation of the atoms ⊗ the polar vector. Its irreps count the modes. One photon couples to a polar vector, Raman
scattering to a symmetric tensor of rank 2 (off resonance), hyper-Raman scattering to one of rank 3 that is symmetric in
the two photons of the laser: a mode is active if its irrep occurs there (Kroumova et al., Phase Transitions 76, 155
(2003); Denisov, Mavrin & Podobedov, Phys. Rep. 151, 1 (1987); Bradley & Cracknell, "The Mathematical Theory of Symmetry
in Solids" (1972)).
"""

from typing import NamedTuple

import numpy as np

from irrepnet.crystals.site_irreps import TensorForm
from irrepnet.crystals.symmetric import SymmetricCrystal
from irrepnet.groups import PointGroup
from irrepnet.tensors import CartesianTensor

DIPOLE = CartesianTensor("i")
RAMAN = CartesianTensor("ij=ji")
HYPER_RAMAN = CartesianTensor("ijk=ikj")


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
    hyper_raman: dict[str, int]
    """The optical modes that change the hyperpolarisability, β_ijk = β_ikj."""
    silent: dict[str, int]
    """The optical modes that are neither infrared nor Raman active."""
    force_constants: int
    """Independent force constants at Γ: elements of a symmetric matrix of the optical modes of each irrep (of a
    Hermitian one if the irrep is of complex type). They obey the acoustic sum rule."""
    born_charges: int
    """Independent components of the Born charges ∂P_i/∂u_j of all atoms, which sum to zero."""


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
    symmetric_square = (vector**2 + vector[np.diag(group.multiplication)]) / 2  # of RAMAN; times vector, HYPER_RAMAN
    is_fixed = crystal.permutation == np.arange(len(crystal))
    mechanical = group.multiplicities(is_fixed.sum(axis=1) * vector)
    acoustic = group.multiplicities(vector)
    in_tensor, in_third = group.multiplicities(symmetric_square), group.multiplicities(symmetric_square * vector)
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
        hyper_raman={label: count for label, count in optical.items() if label in in_third},
        silent={label: n for label, n in optical.items() if label not in acoustic and label not in in_tensor},
        force_constants=sum(
            count**2 if group.irrep(label).type == "complex" else count * (count + 1) // 2
            for label, count in optical.items()
        ),
        born_charges=sum(_invariants(vector[own] ** 2) for own in crystal.site_groups) - _invariants(vector**2),
    )


def _invariants(characters: np.ndarray) -> int:
    """How often the trivial irrep occurs in a representation with these characters."""
    return round(float(characters.mean()))


def activity_forms(group: PointGroup, tensor: CartesianTensor) -> dict[str, TensorForm]:
    """What a mode of each irrep changes of a tensor, such as `DIPOLE` or `RAMAN`: the form of ∂T/∂Q_1, …, ∂T/∂Q_d.

    The basis of a form is (k, d, 3, …): the d tensors of one mode, one for each component of the irrep, share the k
    independent components. Only irreps that occur in the tensor are listed; axes are those of the group.

    >>> activity_forms(PointGroup("m-3m"), RAMAN)["T2g"].pattern[0]
    [['0', '0', '0'], ['0', '0', 'a'], ['0', 'a', '0']]
    """
    forms = {}
    for label, copies in tensor.subduce(group).items():
        maps = np.concatenate([np.tensordot(c, copies, (1, 1)).swapaxes(0, 1) for c in group.irrep(label).commutant])
        forms[label] = TensorForm.spanned(maps)
    return forms
