"""How far a prediction can be trusted: which training crystals are near, and how wrong predictions as far away were.

The features that a network makes of a crystal before its readout are the place; distances between crystals are those of
the standardised features on their principal axes, divided by the typical distance of a validation crystal from its
neighbours among the training crystals (Janet et al., Chem. Sci. 10, 7913 (2019)). Errors of the validation crystals
give bounds that hold for nine of ten crystals like them: a quantile regression (Koenker & Bassett, Econometrica 46, 33
(1978)) on the distance, scaled until nine of ten are below (conformal prediction: Lei et al., J. Am. Stat. Assoc. 113,
1094 (2018), section 5.2).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load, save

from irrepnet.inlets import json_value

COVERAGE = 0.9
NEAREST = 3
AXES = 16
_HELD = 10_000  # validation crystals that tell enough, of more that many at equal intervals
_BLOCK, _DISTANCES = 256, 2**24  # crystals at a time, and distances between them and known ones that are in memory


class NearestCrystals(NamedTuple):
    """Of n crystals.

    Attributes:
        index: (n, NEAREST) positions of the nearest training crystals, the nearest first; -1 where there are fewer.
        distance: (n, NEAREST), in typical distances.
    """

    index: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Reliability:
    """What a run knows of its training crystals.

    Attributes:
        mean, axes: (F,) and (F, k): features − mean times axes are coordinates.
        known: (n, k) of the training crystals.
        unit: the typical distance.
        far: a distance, in units, that all but one of a hundred validation crystals have.
        bounds: by target, a and b: (a + b · distance) · size is not exceeded by the errors of nine of ten crystals,
            where size is what the target's errors are in proportion to.
    """

    mean: np.ndarray
    axes: np.ndarray
    known: np.ndarray
    unit: float
    far: float
    bounds: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, train: np.ndarray, held: np.ndarray, errors: Mapping[str, np.ndarray]) -> "Reliability":
        """From features of training and validation crystals, (n, F) and (m, F), and errors over sizes, (m,) by target.

        Of very many validation crystals at most 10,000 count, at equal intervals. An error that is not known is NaN.
        Targets of which too few are known for nine of ten to mean anything have no bound.
        """
        parts = [train[start : start + 2**14] for start in range(0, len(train), 2**14)]  # all may be many
        mean = train.mean(0, dtype=float)
        squares = sum(((part - mean).T @ (part - mean) for part in parts), np.zeros((len(mean), len(mean))))
        spread = np.sqrt(np.diag(squares) / len(train))
        unit_of = np.where(spread > 1e-9, spread, 1.0)
        values, vectors = np.linalg.eigh(squares / np.outer(unit_of, unit_of))
        kept = min(AXES, max(1, int((values > 1e-9 * values[-1]).sum())))
        axes = vectors[:, ::-1][:, :kept] / unit_of[:, None]
        known = np.concatenate([((part - mean) @ axes).astype(np.float16) for part in parts])
        raw = cls(mean, axes, known, 1.0, np.inf, {})
        some = slice(None, None, max(1, -(-len(held) // _HELD)))
        distance = raw.neighbours(held[some]).distance.mean(1)
        unit = float(np.median(distance)) or 1.0
        distance = distance / unit
        bounds = {}
        for name, error in ((name, error[some]) for name, error in errors.items()):
            good = np.isfinite(error)
            if (bound := _bound(distance[good], error[good])) is not None:
                bounds[name] = bound
        return cls(mean, axes, raw.known, unit, float(np.quantile(distance, 0.99)), bounds)

    def neighbours(self, features: np.ndarray) -> NearestCrystals:
        """The training crystals nearest to crystals with features (n, F)."""
        at, known = (features - self.mean) @ self.axes, self.known.astype(float)
        squares = (known**2).sum(1)
        distance, index = np.zeros((len(at), NEAREST)), np.full((len(at), NEAREST), -1)
        block = min(_BLOCK, max(1, _DISTANCES // max(len(known), 1)))
        for start in range(0, len(at), block):
            rows = np.arange(start, min(start + block, len(at)))
            score = at[rows] @ known.T
            score *= -2
            score += squares
            for rank in range(min(NEAREST, len(known))):
                index[rows, rank] = nearest = score.argmin(1)
                score[rows - start, nearest] = np.inf
                distance[rows, rank] = np.linalg.norm(at[rows] - known[nearest], axis=1)
        distance[:, len(known) :] = distance[:, : len(known)].max(1, initial=0.0, keepdims=True)
        return NearestCrystals(index, distance / self.unit)

    def bound(self, target: str, distance: np.ndarray) -> np.ndarray:
        """(n,) what errors over sizes do not exceed in nine of ten cases, by the mean distance (n,) of the nearest."""
        a, b = self.bounds[target]
        return a + b * distance

    def written(self) -> bytes:
        """The content of a safetensors file that :meth:`read` reads."""
        text = json.dumps({"unit": self.unit, "far": self.far, "bounds": self.bounds})
        tensors = {"mean": self.mean.astype(np.float32), "axes": self.axes.astype(np.float32), "known": self.known}
        in_order = {name: np.ascontiguousarray(array) for name, array in tensors.items()}  # others are written wrong
        return save(in_order, metadata={"reliability": text})

    @classmethod
    def read(cls, content: bytes) -> "Reliability":
        """Raises KeyError, TypeError, ValueError or SafetensorError if the content is none of :meth:`written`."""
        tensors = load(content)
        head = json_value(content[8 : 8 + int.from_bytes(content[:8], "little")])
        said = json_value(head["__metadata__"]["reliability"])
        bounds = {name: (float(a), float(b)) for name, (a, b) in said["bounds"].items()}
        arrays = {name: tensors[name] for name in ("mean", "axes", "known")}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ValueError("a training crystal has a place that is not finite")
        return cls(**arrays, unit=float(said["unit"]), far=float(said["far"]), bounds=bounds)


def _bound(distance: np.ndarray, error: np.ndarray) -> tuple[float, float] | None:
    """a and b of the bound a + b · distance."""
    from scipy.optimize import linprog
    from scipy.sparse import eye, hstack

    n = len(error)
    rank = int(np.ceil((n + 1) * COVERAGE))
    if rank > n or not error.any():
        return None
    # the fit asks which errors are above the line, not how far: what is huge may be less so
    scale = float(np.quantile(error, COVERAGE)) or float(error[error > 0].mean())
    wanted = np.minimum(error / scale, 1e6)
    # a, b, and what errors are above and below a + b · distance; none is negative
    line = np.stack([np.ones(n), distance], 1)
    price = np.concatenate([np.zeros(2), np.full(n, COVERAGE), np.full(n, 1 - COVERAGE)])
    a, b = linprog(price, A_eq=hstack([line, eye(n), -eye(n)], "csr"), b_eq=wanted, method="highs").x[:2]
    quantile = np.sort(error / np.maximum(a + b * distance, 1e-300))[rank - 1]
    return float(a * quantile), float(b * quantile)
