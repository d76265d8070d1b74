"""What a stiffness means: stability, averages over grains, anisotropy, moduli along directions.

Stiffnesses are Voigt arrays (6, 6) in the order 11 22 33 23 13 12 without factors; moduli come in their unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.tensors.cartesian import CartesianTensor

STIFFNESS = CartesianTensor("ijkl=jikl=ijlk=klij")
COMPLIANCE = CartesianTensor("ijkl=jikl=ijlk=klij", strain=True, symbol="S")
GPA = 160.2176634
"""GPa in one eV/Å³ (exact since the SI of 2019)."""


def compliance(stiffness: np.ndarray) -> np.ndarray:
    """(6, 6) the inverse, in Voigt's convention for a compliance: S44 = 4 S2323, S14 = 2 S1123.

    Raises IrrepnetError if the stiffness is not (6, 6), symmetric, finite and invertible.
    """
    matrix = _checked(stiffness)
    if np.linalg.cond(matrix) > 1e12:
        raise IrrepnetError("the stiffness is singular: it has no compliance")
    return np.linalg.inv(matrix)


# -- stability ------------------------------------------------------------------------------------------------


def is_positive_definite(stiffness: np.ndarray) -> bool:
    """Whether every strain costs energy: the crystal is elastically stable."""
    return bool(np.linalg.eigvalsh(STIFFNESS.to_mandel(STIFFNESS.from_voigt(_checked(stiffness)))).min() > 0)


def born_conditions(stiffness: np.ndarray, group: str | PointGroup) -> dict[str, float]:
    """{condition: value}: the crystal is stable if, and only if, all values are positive.

    Born's conditions for the Laue class of the group, necessary and sufficient: Mouhat and Coudert, Phys. Rev. B 90,
    224104 (2014), in the settings of `irrepnet.groups`. In the monoclinic and the triclinic system, where there is no
    shorter form, the leading minors (Sylvester's criterion). Each is homogeneous in the stiffness, of degree 1, 2, 3, …

    Raises IrrepnetError if the stiffness does not have the form of the group within 1 %: project it first.
    """
    matrix = _checked(stiffness)
    group = PointGroup(group) if isinstance(group, str) else group
    residual = STIFFNESS.allowed(group).residual(STIFFNESS.from_voigt(matrix))
    if residual > 0.01:
        raise IrrepnetError(
            f"the stiffness does not have the form of {group.name} (residual {residual:.2g}): project it, or turn it "
            "into the axes of the group"
        )
    c = {f"C{i + 1}{j + 1}": float(matrix[i, j]) for i in range(6) for j in range(6)}
    c11, c12, c13, c22, c23, c33 = (c[name] for name in ("C11", "C12", "C13", "C22", "C23", "C33"))
    c44, c55, c66 = c["C44"], c["C55"], c["C66"]
    if group.system == "cubic":
        return {"C11 - C12": c11 - c12, "C11 + 2C12": c11 + 2 * c12, "C44": c44}
    if group.system == "orthorhombic":
        determinant = c11 * c22 * c33 + 2 * c12 * c13 * c23 - c11 * c23**2 - c22 * c13**2 - c33 * c12**2
        return {
            "C11": c11,
            "C11 C22 - C12²": c11 * c22 - c12**2,
            "C11 C22 C33 + 2C12 C13 C23 - C11 C23² - C22 C13² - C33 C12²": determinant,
            "C44": c44,
            "C55": c55,
            "C66": c66,
        }
    if group.system in ("monoclinic", "triclinic"):
        return {f"leading minor {k}": float(np.linalg.det(matrix[:k, :k])) for k in range(1, 7)}
    conditions = {
        "C11 - |C12|": c11 - abs(c12),
        "C33 (C11 + C12) - 2C13²": c33 * (c11 + c12) - 2 * c13**2,
        "C44": c44,
    }
    if group.system == "trigonal":
        mixed = c["C14"] ** 2 + c["C15"] ** 2
        return conditions | {"C44 (C11 - C12) - 2C14² - 2C15²": c44 * (c11 - c12) - 2 * mixed}
    if group.system == "tetragonal":
        conditions |= {"C66": c66, "C66 (C11 - C12) - 2C16²": c66 * (c11 - c12) - 2 * c["C16"] ** 2}
    return conditions


# -- averages -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Averages:
    """Moduli of a body of randomly oriented grains, K bulk and G shear: bounds of Voigt and Reuss, mean of Hill."""

    K_voigt: float
    K_reuss: float
    G_voigt: float
    G_reuss: float

    @property
    def K(self) -> float:
        return (self.K_voigt + self.K_reuss) / 2

    @property
    def G(self) -> float:
        return (self.G_voigt + self.G_reuss) / 2

    @property
    def E(self) -> float:
        """Young's modulus, 9KG/(3K + G)."""
        return 9 * self.K * self.G / (3 * self.K + self.G)

    @property
    def poisson(self) -> float:
        """Poisson's ratio, (3K − 2G)/(6K + 2G)."""
        return (3 * self.K - 2 * self.G) / (6 * self.K + 2 * self.G)

    @property
    def universal_anisotropy(self) -> float:
        """A^U = 5 G_V/G_R + K_V/K_R − 6, 0 for an isotropic body.

        Ranganathan and Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008).
        """
        return 5 * self.G_voigt / self.G_reuss + self.K_voigt / self.K_reuss - 6


def averages(stiffness: np.ndarray) -> Averages:
    """Voigt–Reuss–Hill averages (Hill, Proc. Phys. Soc. A 65, 349 (1952)); they do not depend on the axes."""
    voigt, reuss = _checked(stiffness), compliance(stiffness)

    def traces(m: np.ndarray) -> tuple[float, float]:
        """T_iijj and T_ijij of the tensor whose shear components are m / factor."""
        return float(m[:3, :3].sum()), float(np.trace(m[:3, :3]))

    dilation, diagonal = traces(voigt)
    shear = diagonal + 2 * float(np.trace(voigt[3:, 3:]))
    dilation_s, diagonal_s = traces(reuss)
    shear_s = diagonal_s + float(np.trace(reuss[3:, 3:])) / 2
    return Averages(
        K_voigt=dilation / 9,
        K_reuss=1 / dilation_s,
        G_voigt=(3 * shear - dilation) / 30,
        G_reuss=15 / (2 * (3 * shear_s - dilation_s)),
    )


def zener_anisotropy(stiffness: np.ndarray) -> float:
    """2 C44 / (C11 − C12): 1 for an isotropic crystal. It has a meaning for cubic crystals in their axes only."""
    matrix = _checked(stiffness)
    return float(2 * matrix[3, 3] / (matrix[0, 0] - matrix[0, 1]))


# -- directions -----------------------------------------------------------------------------------------------


def youngs_modulus(stiffness: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(…) E(n) = 1 / (S_ijkl n_i n_j n_k n_l) along directions n (…, 3) of any length."""
    s, n = _compliance_tensor(stiffness), _unit(direction)
    return 1 / np.einsum("ijkl,...i,...j,...k,...l->...", s, n, n, n, n)


def linear_compressibility(stiffness: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(…) β(n) = S_ijkk n_i n_j: by how much of its length the crystal shrinks along n (…, 3) per pressure."""
    s, n = _compliance_tensor(stiffness), _unit(direction)
    return np.einsum("ijkk,...i,...j->...", s, n, n)


def shear_modulus(stiffness: np.ndarray, normal: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """(…) G(n, m) = 1 / (4 S_ijkl n_i m_j n_k m_l), shear along m on planes normal to n (…, 3), m ⊥ n."""
    s, n, m = _compliance_tensor(stiffness), _unit(normal), _unit(direction)
    return 1 / (4 * np.einsum("ijkl,...i,...j,...k,...l->...", s, n, m, n, m))


def poisson_ratio(stiffness: np.ndarray, direction: np.ndarray, across: np.ndarray) -> np.ndarray:
    """(…) ν(n, m) = −S_ijkl n_i n_j m_k m_l · E(n): contraction along m under tension along n, perpendicular (…, 3)."""
    s, n, m = _compliance_tensor(stiffness), _unit(direction), _unit(across)
    return -np.einsum("ijkl,...i,...j,...k,...l->...", s, n, n, m, m) * youngs_modulus(stiffness, n)


def shear_range(stiffness: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(…), (…) least and greatest G(n, m) over all m normal to n (…, 3): the surface of shear moduli."""
    s, n = _compliance_tensor(stiffness), _unit(normal)
    least, greatest = _extremes(4 * np.einsum("ijkl,...i,...k->...jl", s, n, n), n)
    return 1 / greatest, 1 / least


def poisson_range(stiffness: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(…), (…) least and greatest ν(n, m) over all m normal to n (…, 3): the surface of Poisson's ratio."""
    s, n = _compliance_tensor(stiffness), _unit(direction)
    form = -np.einsum("ijkl,...i,...j->...kl", s, n, n) * youngs_modulus(stiffness, n)[..., None, None]
    return _extremes(form, n)


@dataclass(frozen=True)
class Surface:
    """A modulus over all directions.

    Attributes:
        name: what it is.
        unit: of the values, in that of the stiffness u: "u", "1/u" or "".
        values: (91, 360) at the directions of :func:`sphere`.
    """

    name: str
    unit: str
    values: np.ndarray

    def extremes(self) -> tuple[tuple[float, np.ndarray], tuple[float, np.ndarray]]:
        """The least and the greatest value, each with the first direction (3,) in which it occurs, to half a degree."""
        directions, values = sphere().reshape(-1, 3), self.values.ravel()
        least, greatest = float(values.min()), float(values.max())
        rounding = 1e-9 * abs(values).max()
        where = (values <= least + rounding).argmax(), (values >= greatest - rounding).argmax()
        return (least, directions[where[0]]), (greatest, directions[where[1]])


def sphere() -> np.ndarray:
    """(91, 360, 3) unit vectors of a hemisphere, a degree apart in polar angle from z and in azimuth from x.

    It is all that is needed: no modulus tells n from −n.
    """
    polar, azimuth = np.radians(np.arange(91))[:, None], np.radians(np.arange(360))
    x, y, z = np.broadcast_arrays(np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar))
    return np.stack([x, y, z], -1)


def surfaces(stiffness: np.ndarray) -> list[Surface]:
    """Young's modulus, linear compressibility, and the least and greatest shear modulus and Poisson's ratio over all
    directions across.

    Raises IrrepnetError if the stiffness is not positive definite.
    """
    if not is_positive_definite(stiffness):
        raise IrrepnetError("the stiffness is not positive definite: the crystal is not stable, and has no such moduli")
    directions = sphere()
    shear, poisson = shear_range(stiffness, directions), poisson_range(stiffness, directions)
    return [
        Surface("Young's modulus", "u", youngs_modulus(stiffness, directions)),
        Surface("linear compressibility", "1/u", linear_compressibility(stiffness, directions)),
        Surface("least shear modulus", "u", shear[0]),
        Surface("greatest shear modulus", "u", shear[1]),
        Surface("least Poisson's ratio", "", poisson[0]),
        Surface("greatest Poisson's ratio", "", poisson[1]),
    ]


def _extremes(form: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest mᵀ form m over unit vectors m normal to n."""
    first = np.cross(n, np.eye(3)[abs(n).argmin(-1)])
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    plane = np.stack([first, np.cross(n, first)], -2)
    values = np.linalg.eigvalsh(plane @ form @ plane.swapaxes(-1, -2))
    return values[..., 0], values[..., 1]


def _compliance_tensor(stiffness: np.ndarray) -> np.ndarray:
    return COMPLIANCE.from_voigt(compliance(stiffness))


def _unit(vector: np.ndarray) -> np.ndarray:
    vector = np.asarray(vector, float)
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def _checked(stiffness: np.ndarray) -> np.ndarray:
    matrix = np.asarray(stiffness, float)
    if matrix.shape != (6, 6) or not np.isfinite(matrix).all():
        raise IrrepnetError(f"a stiffness is Voigt's (6, 6) array of finite numbers, got {matrix.shape}")
    if abs(matrix - matrix.T).max() > 1e-3 * abs(matrix).max():
        raise IrrepnetError(
            "the stiffness is not symmetric: C_ij and C_ji differ by more than 0.1 % of the largest component"
        )
    return (matrix + matrix.T) / 2
