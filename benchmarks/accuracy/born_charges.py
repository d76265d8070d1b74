"""How well are Born effective charges predicted, and what are the irreps of the sites worth?

    python benchmarks/accuracy/born_charges.py --data born_charges.jsonl.gz --splits 3

The data are records with `born_charges` (n, 3, 3) in e and `e_electronic` (3, 3). For each ``--splits`` the crystals
are split by formula (80/10/10) with another seed, which is the seed of the weights too; a row of the table is

    element          the mean of each element's isotropic charges in the training part
    structure type   charges of the nearest training crystal of the same space group, Wyckoff positions and numbers of
                     elements (by the tabulated properties of the elements), the element's mean where there is none
    invariants       the preset `site-symmetry` without coordinates in irreps (model.covariants=0): isotropic charges,
                     and what the model group leaves alone
    site irreps      the preset
    both targets     the preset with the target born_charges,e_electronic

Errors are means over the atoms of the test part, in e: of the nine components, the validation error beside it; of the
isotropic part (a third of the trace); of a component of what is symmetric and traceless, and of what is antisymmetric.
"""

import argparse
import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from irrepnet.crystals import SymmetricCrystal, input_atoms
from irrepnet.data import Record, read_records, split_by_formula
from irrepnet.nn.elements import element_features
from irrepnet.training import load_config, predict, train

NETWORKS: Mapping[str, Mapping[str, object]] = {
    "invariants": {"model.covariants": 0},
    "site irreps": {},
    "both targets": {"data.targets": "born_charges,e_electronic"},
}


def charges(record: Record) -> np.ndarray:
    return np.array(record.properties["born_charges"], float)


def errors(true: Sequence[np.ndarray], predicted: Sequence[np.ndarray]) -> list[float]:
    """MAE of the components, of the isotropic, the traceless symmetric and the antisymmetric part, e."""
    off = np.concatenate(predicted) - np.concatenate(true)
    isotropic = np.trace(off, axis1=1, axis2=2) / 3
    symmetric = (off + off.swapaxes(1, 2)) / 2 - isotropic[:, None, None] * np.eye(3)
    antisymmetric = (off - off.swapaxes(1, 2)) / 2
    return [float(np.abs(part).mean()) for part in (off, isotropic, symmetric, antisymmetric)]


def element_means(records: Sequence[Record]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for record in records:
        for symbol, tensor in zip(record.species, charges(record)):
            found.setdefault(symbol, []).append(float(np.trace(tensor)) / 3)
    return {symbol: float(np.mean(values)) for symbol, values in found.items()}


def of_elements(record: Record, means: Mapping[str, float]) -> np.ndarray:
    return np.array([means.get(symbol, 0.0) for symbol in record.species])[:, None, None] * np.eye(3)


class StructureTypes:
    """Looks up charges by structure type."""

    def __init__(self, records: Sequence[Record], crystals: Mapping[str, SymmetricCrystal]) -> None:
        self.crystals = crystals
        self.known: dict[object, list[Record]] = {}
        for record in records:
            self.known.setdefault(self._key(crystals[record.id]), []).append(record)

    @staticmethod
    def _orbits(crystal: SymmetricCrystal) -> list[int]:
        """The first atoms of the orbits, by Wyckoff position, then by electronegativity."""
        x = element_features()[:, 2]
        return sorted(crystal.representatives, key=lambda a: (crystal.wyckoff[a], x[crystal.numbers[a]]))

    def _key(self, crystal: SymmetricCrystal) -> object:
        letters = tuple(crystal.wyckoff[a] for a in self._orbits(crystal))
        return crystal.spacegroup_number, letters, len(set(crystal.numbers.tolist()))

    def predict(self, record: Record) -> np.ndarray | None:
        """(n, 3, 3) in the record's axes; at each atom what the same operation leads to from the orbit's first atom."""
        crystal = self.crystals[record.id]
        known = self.known.get(self._key(crystal))
        if not known:
            return None
        elements = element_features()

        def distance(other: Record) -> float:
            own, its = (c.numbers[self._orbits(c)] for c in (crystal, self.crystals[other.id]))
            return float(((elements[own] - elements[its]) ** 2).sum())

        nearest = min(known, key=distance)
        source = self.crystals[nearest.id]
        at = input_atoms(source, nearest)
        given = charges(nearest)
        found = np.zeros((len(crystal), 3, 3))
        for a, b in zip(self._orbits(crystal), self._orbits(source)):
            tensor = source.rotation.T @ given[np.flatnonzero(at == b)[0]] @ source.rotation
            group = [crystal.point_group.operations[k] for k in crystal.site_groups[crystal.orbits[a]]]
            tensor = np.mean([g @ tensor @ g.T for g in group], 0)  # its site may be turned against ours
            for g, image in zip(crystal.point_group.operations, crystal.permutation):
                found[image[a]] = g @ tensor @ g.T
        return crystal.rotation @ found[input_atoms(crystal, record)] @ crystal.rotation.T


def network_rows(
    name: str, records: list[Record], split: int, epochs: int | None
) -> tuple[list[np.ndarray], float, float]:
    """Charges of all records, the validation error, and the processor time of the training, s."""
    settings = {
        "data.source": "given",
        "data.targets": "born_charges",
        "data.split_seed": split,
        "training.seed": split,
        "training.device": "cpu",
        **({} if epochs is None else {"training.epochs": epochs}),
        **NETWORKS[name],
    }
    with tempfile.TemporaryDirectory() as folder:
        run = train(load_config("site-symmetry", settings), Path(folder) / "run", quiet=True, data=records)
        with (run.folder / "metrics.csv").open(encoding="utf-8") as stream:
            seconds = sum(float(row["cpu_seconds"]) for row in csv.DictReader(stream))
        found = [np.array(row["born_charges"], float) for row in predict(run, [records])]
    return found, run.card["errors"]["validation"]["born_charges"]["mae"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="JSON lines of records")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which of them")
    parser.add_argument("--epochs", type=int, help="those of the preset by default")
    options = parser.parse_args()
    records, _ = read_records(options.data)
    crystals = {record.id: SymmetricCrystal.from_structure(record) for record in records}
    print(
        "| split | predicted by | validation | test | isotropic | traceless | antisymmetric | s |\n" + "|---" * 8 + "|"
    )
    for split in range(options.splits):
        parts = split_by_formula([record.formula for record in records], seed=split)
        training = [records[k] for k in parts["train"]]
        means, types = element_means(training), StructureTypes(training, crystals)
        looked_up = {
            record.id: types.predict(record) for record in records if record.id not in {r.id for r in training}
        }
        rows: dict[str, tuple[list[np.ndarray], str, str]] = {}
        rows["element"] = [of_elements(record, means) for record in records], "", ""
        of_types = [looked_up.get(record.id) for record in records]
        rows["structure type"] = (
            [own if own is not None else base for own, base in zip(of_types, rows["element"][0])],
            "",
            "",
        )
        for name in ["element", "structure type", *options.networks.split(",")]:
            if name in NETWORKS:
                found, validation, seconds = network_rows(name, records, split, options.epochs)
                rows[name] = found, f"{validation:.4f}", f"{seconds:.0f}"
            predicted, validation, seconds = rows[name]
            figures = errors([charges(records[k]) for k in parts["test"]], [predicted[k] for k in parts["test"]])
            cells = " | ".join(f"{figure:.4f}" for figure in figures)
            print(f"| {split} | {name} | {validation} | {cells} | {seconds} |", flush=True)


if __name__ == "__main__":
    main()
