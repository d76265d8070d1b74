"""The Cartesian axes of the IEEE Standard on Piezoelectricity (Std 176-1987) for a crystal."""

from itertools import product

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup

_OBLIQUE = {"-4m2": 45.0, "312": 30.0, "31m": 30.0, "-31m": 30.0, "-62m": 30.0}
"""Settings whose X axis, along a two-fold axis or normal to a mirror, is not along a: its angle to a in degrees."""


def ieee_rotation(group: PointGroup, lattice: np.ndarray) -> np.ndarray:
    """The proper rotation Q (3, 3) from the standard frame to the IEEE axes: x_ieee = Q x.

    Cubic: X, Y, Z along a, b, c. Tetragonal, trigonal, hexagonal: Z along c, X along a, but along the two-fold axis in
    -4m2, 312 and -31m and normal to the mirror in 31m and -62m, so that a class comes out in one setting, Nye's
    standard orientation (Physical Properties of Crystals, 1957, appendix B). Orthorhombic: c < a < b along Z, X, Y; in
    mm2 Z is the polar axis and X the shorter of the other two. Monoclinic: Y along the unique axis, Z along c, with
    c < a the shortest vectors of the net normal to it and β obtuse. Triclinic: c < a < b the shortest vectors, α and β
    obtuse; Z along c, Y normal to a and c.

    The standard takes the sense of some axes from the signs of measured moduli. Not so here: of the frames that are
    left it is the one nearest to the identity.

    Args:
        group: point group in the setting that the standard frame gives it (`SymmetricCrystal.point_group`).
        lattice: (3, 3) row vectors of the conventional cell in that frame (`SymmetricCrystal.conventional_lattice`).

    Raises:
        IrrepnetError: the lattice is no three independent vectors.
    """
    lattice = np.asarray(lattice, float)
    if lattice.shape != (3, 3) or not abs(np.linalg.det(lattice)) > 0:
        raise IrrepnetError("the IEEE axes need a lattice, three independent row vectors")
    if group.system == "orthorhombic":
        length = np.linalg.norm(lattice, axis=1)
        z = 2 if group.name == "mm2" else int(length.argmin())
        x = min((k for k in range(3) if k != z), key=length.__getitem__)
        axes = np.eye(3)[[x, 3 - x - z, z]]
        return _nearest([np.array(signs)[:, None] * axes for signs in product((1, -1), repeat=3)])
    if group.system == "monoclinic":
        unique = 2 if group.name.startswith("11") else 1
        c, a = _shortest(np.delete(lattice, unique, axis=0))
        a = -a if a @ c > 0 else a
        return _nearest([_axes(a, c), _axes(-a, -c)])
    if group.system == "triclinic":
        c, a, b = _shortest(lattice)
        a, b = (-v if v @ c > 0 else v for v in (a, b))
        return _axes(a, c) if np.cross(c, a) @ b > 0 else _axes(-a, -c)
    angle = np.radians(_OBLIQUE.get(group.name, 0.0))
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1.0]])


def _axes(a: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Rows X, Y, Z with Z along c and Y along c × a."""
    y = np.cross(c, a)
    rows = np.stack([np.cross(y, c), y, c])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _nearest(frames: list[np.ndarray]) -> np.ndarray:
    """The proper one that turns least."""
    return max((frame for frame in frames if np.linalg.det(frame) > 0), key=np.trace)


def _shortest(vectors: np.ndarray) -> list[np.ndarray]:
    """The shortest independent vectors of the lattice (k, 3), k = 2 or 3, the shortest first."""
    # Minkowski reduction: a combination with coefficients −1, 0, 1 replaces a longer vector in it.
    vectors = np.array(sorted(vectors, key=np.linalg.norm))
    while True:
        for signs in product((-1, 0, 1), repeat=len(vectors)):
            last = max((k for k, sign in enumerate(signs) if sign), default=0)
            shorter = np.array(signs) @ vectors
            if signs[last] and np.linalg.norm(shorter) < np.linalg.norm(vectors[last]) * (1 - 1e-9):
                vectors[last] = shorter
                vectors = np.array(sorted(vectors, key=np.linalg.norm))
                break
        else:
            return list(vectors)
