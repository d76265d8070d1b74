"""What a shell of neighbours looks like, whatever its orientation: order parameters and symmetry measures.

Both are functions of the vectors from an atom to its neighbours alone. They do not change under rotations,
reflections and renumbering of the neighbours.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError

LSOP_NAMES = (
    "cn", "sgl_bd", "bent", "tri_plan", "tri_plan_max", "reg_tri", "sq_plan", "sq_plan_max", "pent_plan",
    "pent_plan_max", "sq", "tet", "tet_max", "tri_pyr", "sq_pyr", "sq_pyr_legacy", "tri_bipyr", "sq_bipyr", "oct",
    "oct_legacy", "pent_pyr", "hex_pyr", "pent_bipyr", "hex_bipyr", "T", "cuboct", "cuboct_max", "see_saw_rect",
    "bcc", "q2", "q4", "q6", "oct_max", "hex_plan_max", "sq_face_cap_trig_pris",
)  # fmt: skip
"""The order parameters of pymatgen, as it names them; "cn" is the number of neighbours."""

MOST = 13
"""Symmetry measures are defined for 1 to this many neighbours."""

# Shells whose vectors differ by less than half of this, in units of the mean length, are one shape.
_SAME = 1e-8
# Orientations from which the best fit of a polyhedron is sought. On real shells 200 missed none of 890 minima; on
# random ones, which are harder, 400 missed none of 528 up to 13 corners in one check and one in another.
_STARTS = 800
# Two vectors that are closer to a line than this, in units of the mean length, span no frame.
_COLLINEAR = 1e-3
# rad; an angle nearer than this to one where an order parameter jumps is that angle: 90°, 135° and their like, which
# crystals have exactly, would otherwise fall on either side by rounding.
_SAME_ANGLE = 1e-6


def lsop(vectors: np.ndarray) -> np.ndarray:
    """Local structure order parameters (Zimmermann and Jain, RSC Adv. 10, 6063 (2020)), computed by pymatgen.

    1 is the ideal motif, 0 no likeness. A motif that the shell cannot form because it has too few neighbours,
    for which pymatgen gives None, is 0. They depend on neither orientation, hand nor order: "sq_face_cap_trig_pris",
    which pymatgen measures with azimuths of one sense, is the larger of the values of the shell and its mirror image;
    "bcc" is computed here, see :func:`_bcc`.

    Args:
        vectors: (n, 3) Å, from the atom to its neighbours.

    Returns:
        (35,) in the order of ``LSOP_NAMES``.

    Raises:
        IrrepnetError: no neighbours, or pymatgen cannot compute a parameter.
    """
    vectors = _checked(vectors)
    found = dict(zip(_PYMATGENS, _order_parameters(vectors, _PYMATGENS), strict=True))
    (mirrored,) = _order_parameters(-vectors, ("sq_face_cap_trig_pris",))
    found["sq_face_cap_trig_pris"] = max(found["sq_face_cap_trig_pris"], mirrored)
    found["bcc"] = _bcc(vectors)
    values = np.array([found[name] for name in LSOP_NAMES], float)
    if not np.isfinite(values).all():
        bad = ", ".join(name for name, value in zip(LSOP_NAMES, values) if not np.isfinite(value))
        raise IrrepnetError(f"the order parameters {bad} of {len(vectors)} neighbours are not finite")
    return values


_PYMATGENS = tuple(name for name in LSOP_NAMES if name != "bcc")


def _order_parameters(vectors: np.ndarray, names: tuple[str, ...]) -> list[float]:
    """Those of pymatgen, 0 for None."""
    sites: Any = [SimpleNamespace(coords=point) for point in (np.zeros(3), *vectors)]
    values = _of_pymatgen(names).get_order_parameters(sites, 0, list(range(1, len(sites))))
    return [0.0 if value is None else float(value) for value in values]


@cache
def _of_pymatgen(names: tuple[str, ...]) -> Any:
    from pymatgen.core.local_env import LocalStructOrderParams

    # plain dictionaries are faster to read than those of its YAML parser
    parameters: Any = [_parameters(name) or None for name in names]
    return LocalStructOrderParams(list(names), parameters)


def _parameters(name: str) -> dict[Any, float]:
    """pymatgen's own; the angle from which a neighbour is at the other pole a little smaller, to have it in."""
    from pymatgen.core.local_env import DEFAULT_OP_PARAMS

    own = dict(DEFAULT_OP_PARAMS[name] or {})
    return own | {key: value - _SAME_ANGLE for key, value in own.items() if key == "min_SPP"}


def _bcc(vectors: np.ndarray) -> float:
    """The order parameter of eight neighbours at the corners of a cube (Peters, J. Chem. Phys. 131, 244103 (2009)).

    A sum over pairs of neighbours, one at the north pole and one, k, on the prime meridian, of what the others add: in
    it pymatgen has pairs of one order, so that its value depends on the numbering, and a sign that is +1 for k in the
    south and −1 for k elsewhere, so that an angle of exactly 90° is decided by rounding. Here it is the mean of both
    orders, and of both signs at 90°. For fewer than four neighbours it is 0.
    """
    n = len(vectors)
    if n < 4:
        return 0.0
    parameters = _parameters("bcc")
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = np.clip(unit @ unit.T, -1, 1)
    theta = np.arccos(cosine)
    across = unit - cosine[..., None] * unit[:, None]  # (pole, k, 3)
    height = np.linalg.norm(across, axis=-1)
    has_azimuth = height > _SAME_ANGLE
    across = across / np.where(has_azimuth, height, 1)[..., None]
    is_pole = (theta >= parameters["min_SPP"]) & ~np.eye(n, dtype=bool)
    poles = parameters["w_SPP"] * np.exp(-((parameters["IGW_SPP"] * (theta / np.pi - 1)) ** 2) / 2)
    # Of k on the meridian and m anywhere: cos 3φ from cos φ.
    side = np.where(abs(theta - np.pi / 2) < _SAME_ANGLE, 0, np.sign(theta - np.pi / 2))
    azimuth = across @ across.transpose(0, 2, 1)
    latitude = (theta - np.pi / 2) / np.arcsin(1 / 3)
    others = (4 * azimuth**3 - 3 * azimuth) * (latitude * np.exp((1 - latitude**2) / 2))[:, None]
    counts = (has_azimuth & ~is_pole)[:, :, None] & has_azimuth[:, None] & ~np.eye(n, dtype=bool)
    total = poles[is_pole].sum() + (side[:, :, None] * others)[counts].sum()
    return float(total / (n * (6 + (n - 2) * (n - 3))))


def csm(vectors: np.ndarray) -> np.ndarray:
    """Continuous symmetry measures: the distance to every ideal polyhedron of as many corners, 0 to 100.

    S = 100 min Σ_i |q_i − s R p_π(i)|² / Σ_i |q_i|² over permutations π, scales s and R in O(3), q the ideal
    polyhedron and p the shell, both with their centre atom as a point of its own, from their centroid
    (Pinsky and Avnir, Inorg. Chem. 37, 5575 (1998); the convention csm_wcs_ctwcc of ChemEnv, Waroquiers et al.,
    Acta Cryst. B 76, 683 (2020), whose polyhedra these are). With s and R eliminated, S = 100 (1 − N²), N the
    largest sum of singular values of Σ_i p_π(i) q_iᵀ, p and q of unit norm.

    Up to five neighbours all permutations are tried. For more, permutation and rotation are improved in turn from
    many starts; ChemEnv tries permutations suggested by planes, or ten random ones, and its value can be higher and
    change with the order of the neighbours.

    Args:
        vectors: (n, 3) any unit, from the atom to its neighbours.

    Returns:
        (60,) in the order of ``csm_names()``; 100 for polyhedra with another number of corners.

    Raises:
        IrrepnetError: no neighbours, or more than 13.
    """
    vectors = _checked(vectors)
    n = len(vectors)
    if n > MOST:
        raise IrrepnetError(f"{n} neighbours, and the measures are defined for 1 to {MOST}")
    shell = _normed(np.vstack([np.zeros(3), vectors]))
    return np.array(
        [
            max(0.0, 100 * (1 - _overlap(shell, ideal) ** 2)) if len(ideal) == n + 1 else 100.0
            for ideal in _polyhedra().values()
        ]
    )


def csm_names() -> tuple[str, ...]:
    """ChemEnv's symbols of the polyhedra, "T:4" the tetrahedron; by number of corners."""
    return tuple(_polyhedra())


@cache
def _polyhedra() -> dict[str, np.ndarray]:
    """Symbol → (n + 1, 3), the centre first; centroid at the origin, unit norm."""
    from pymatgen.analysis.chemenv.coordination_environments.coordination_geometries import AllCoordinationGeometries

    known: Any = AllCoordinationGeometries()
    return {
        geometry.mp_symbol: _normed(np.vstack([geometry.get_central_site(), geometry.points]))
        for n in range(1, MOST + 1)
        for geometry in known.get_implemented_geometries(n)
    }


def _checked(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, float)
    if vectors.ndim != 2 or vectors.shape[1] != 3 or not np.isfinite(vectors).all():
        raise IrrepnetError(f"a shell is an array (n, 3) of finite numbers, got {vectors.shape}")
    if not len(vectors):
        raise IrrepnetError("no neighbours")
    return vectors


def _normed(points: np.ndarray) -> np.ndarray:
    points = points - points.mean(0)
    return points / np.linalg.norm(points)


def _overlap(shell: np.ndarray, ideal: np.ndarray) -> float:
    """The largest sum of singular values of Σ_i p_π(i) q_iᵀ over permutations π that keep the centre."""
    from scipy.optimize import linear_sum_assignment

    n = len(shell) - 1
    centre = np.outer(shell[0], ideal[0])
    if n <= 5:
        products = centre + shell[1:][_permutations(n)].transpose(0, 2, 1) @ ideal[1:]
        return float(np.linalg.svd(products, compute_uv=False).sum(1).max())
    best, known, rotations = 0.0, set(), _starts()
    while True:
        likeness = np.einsum("qb,mpb->mqp", ideal[1:], shell[1:] @ rotations)
        found = {tuple(linear_sum_assignment(matrix, maximize=True)[1]) for matrix in likeness} - known
        if not found:
            return best
        known |= found
        left, values, right = np.linalg.svd(centre + shell[1:][np.array(list(found))].transpose(0, 2, 1) @ ideal[1:])
        best = max(best, float(values.sum(1).max()))
        rotations = left @ right


@cache
def _permutations(n: int) -> np.ndarray:
    return np.array(list(itertools.permutations(range(n))))


@cache
def _starts() -> np.ndarray:
    """(_STARTS, 3, 3) rotations and rotoinversions, evenly at random; always the same."""
    from scipy.spatial.transform import Rotation

    rotations = Rotation.from_quat(np.random.default_rng(0).normal(size=(_STARTS, 4))).as_matrix()
    rotations[::2] *= -1
    return rotations


def shape_key(vectors: np.ndarray) -> str:
    """A name for the shape of the shell, equal for shells that are equal up to O(3), scale and order.

    The shell is looked at in all frames that two of its vectors span, of either hand; of these views the first in
    a fixed order names it. Lengths are compared to 1e-8 of their mean.
    """
    vectors = _checked(vectors)
    vectors = vectors / np.linalg.norm(vectors, axis=1).mean()
    length = np.linalg.norm(vectors, axis=1)
    one, two = (pair.ravel() for pair in np.mgrid[: len(vectors), : len(vectors)])
    z = vectors[one] / length[one, None]
    across = vectors[two] - (vectors[two] * z).sum(1, keepdims=True) * z
    height = np.linalg.norm(across, axis=1)
    spans = height > _COLLINEAR
    if spans.any():
        z, x = z[spans], across[spans] / height[spans, None]
        frames = np.stack([x, np.cross(z, x), z], axis=1)
    else:  # all on a line
        frames = z[:, None] * np.array([0.0, 0.0, 1.0])[:, None]
    frames = np.concatenate([frames, frames * np.array([1.0, -1.0, 1.0])[:, None]])
    views = np.round(vectors @ frames.transpose(0, 2, 1) / _SAME).astype(np.int64).astype(np.uint64)
    # One number a vector: any function does that tells vectors apart, here a sum with wrap-around of large multiples.
    numbers = (views * np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)).sum(-1)
    numbers.sort(axis=1)
    first = numbers[np.lexsort(numbers.T[::-1])[0]]
    return hashlib.blake2b(first.tobytes(), digest_size=16).hexdigest()


def descriptor_key(name: str, vectors: np.ndarray, shape: str) -> str:
    """A name for the value of descriptor ``name`` on the shell of that shape.

    Order parameters depend on the scale, but only where distances differ.
    """
    length = np.linalg.norm(vectors, axis=1)
    if name == "lsop" and np.ptp(length) > _SAME * length.mean():
        return f"{name} {shape} {math.log(length.mean()):.7f}"
    return f"{name} {shape}"
