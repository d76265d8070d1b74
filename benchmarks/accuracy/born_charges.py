"""How well are Born effective charges predicted, and what are the irreps of the sites and other crystals worth?

    python benchmarks/accuracy/born_charges.py --data born_charges.jsonl.gz --crystals mp_2018.jsonl.gz \\
        --start runs/crystals

The data are records with `born_charges` (n, 3, 3) in e and `e_electronic` (3, 3). For each ``--splits`` the crystals
are split by formula (80/10/10) with another seed, which is the seed of the weights too; with ``--random`` once at
random, 1,209 for training and 100 for the test, of which half choose the epoch. A row of the table is

    element          the mean of each element's isotropic charges in the training part
    structure type   charges of the nearest training crystal of the same space group, Wyckoff positions and numbers of
                     elements (by the tabulated properties of the elements), the element's mean where there is none
    invariants       the preset `site-symmetry` without tensors (model.tensors=0): isotropic charges, and what the
                     model group leaves alone
    tensors          the preset: vectors and tensors by weights that all model groups share
    irreps           coordinates in the irreps of the model group instead (model.tensors=0, model.covariants=8)
    both             (model.covariants=8)
    pretrained       the preset, begun with the weights of the run ``--start``; where there is none it is trained first,
                     on formation energies and band gaps of the crystals with at most 12 atoms in ``--crystals``
    three networks   the mean of three presets that begin with other weights
    with permittivity  the preset with the targets born_charges,e_electronic
    O(3)             a tensor-field network with l up to 2 and about as many weights, trained as the preset is; what it
                     makes has the symmetry of the sites, but not the sum rule
    O(3), projected  the same, less the mean over each crystal's atoms: the nearest charges that add up to zero

Errors are means over the atoms of the test part, in e: of the nine components, the validation error beside it; of the
isotropic part (a third of the trace); of a component of what is symmetric and traceless, and of what is antisymmetric.
``--share`` takes a part of the training crystals only. ``--by`` adds tables by site symmetry and by element, of the
last network over the test parts of all splits.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from irrepnet.crystals import SymmetricCrystal, input_atoms
from irrepnet.data import Record, read_records, split_by_formula
from irrepnet.data.batch import union
from irrepnet.graphs import SiteGraph, VectorGraph, VectorGraphOptions, vector_graph
from irrepnet.models import TensorFieldConfig, TensorFieldNet
from irrepnet.nn.convolution import mlp
from irrepnet.nn.elements import element_features
from irrepnet.tasks import Source
from irrepnet.tasks.sites import Rows, SiteExamples, SiteTask
from irrepnet.tensors import CartesianTensor
from irrepnet.training import load_config, predict, train
from irrepnet.training.checkpoint import State
from irrepnet.training.log import Log
from irrepnet.training.loop import run_epochs

NETWORKS: Mapping[str, Mapping[str, object]] = {
    "invariants": {"model.tensors": 0},
    "tensors": {},
    "irreps": {"model.tensors": 0, "model.covariants": 8},
    "both": {"model.covariants": 8},
    "pretrained": {},  # and the run to begin with
    "three networks": {"training.members": 3},
    "with permittivity": {"data.targets": "born_charges,e_electronic"},
    "O(3)": {},
}
LARGEST = 12
"""Atoms of the crystals of the pretraining; those with Born charges have no more, but for one in a hundred."""
Parts = Mapping[str, np.ndarray]


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


def pretrain(crystals: str, start: Path) -> None:
    """Train the run that others begin with, on numbers of crystals, if there is none yet."""
    settings = {
        "data.source": "given",
        "data.targets": "formation_energy_per_atom,band_gap",
        "data.split": (0.94, 0.03, 0.03),
        "model.dropout": 0.05,
        "training.epochs": 12,
        "training.device": "cpu",
    }
    records = [record for record in read_records(crystals)[0] if len(record) <= LARGEST]
    train(load_config("site-symmetry", settings), start, resume=True, data=records)


def network_rows(
    name: str, records: list[Record], parts: Parts, split: int, options: argparse.Namespace
) -> tuple[list[np.ndarray], float, float]:
    """Charges of all records, the validation error, and the processor time of the training, s."""
    used = np.sort(np.concatenate([*parts.values()]))  # their order by formula is that of the whole split
    given = grouped(records, options)
    settings = {
        "data.source": "given",
        "data.targets": "born_charges",
        "data.split": [len(part) / len(used) for part in parts.values()],
        "data.split_seed": split,
        "training.seed": split,
        "training.device": "cpu",
        **({} if options.epochs is None else {"training.epochs": options.epochs}),
        **({"start": str(options.start)} if name == "pretrained" else {}),
        **NETWORKS[name],
    }
    config = load_config("site-symmetry", settings)
    if name == "O(3)":
        return o3_rows(records, [given[k] for k in used], config)
    with tempfile.TemporaryDirectory() as folder:
        run = train(config, Path(folder) / "run", quiet=True, data=[given[k] for k in used])
        assert {records[k].id for k in parts["test"]} == set(run.split["test"]["id"])
        tables = [path.read_text(encoding="utf-8").splitlines() for path in run.folder.glob("metrics*.csv")]
        seconds = sum(float(row["cpu_seconds"]) for table in tables for row in csv.DictReader(table))
        found = [np.array(row["born_charges"], float) for row in predict(run, [records])]
    return found, run.card["errors"]["validation"]["born_charges"]["mae"], seconds


class O3Net(torch.nn.Module):
    """An O(3) network's features of the orbits' first atoms as their tensors, 0e + 1e + 2e."""

    def __init__(self) -> None:
        super().__init__()
        self.tensor = CartesianTensor("ij")
        config = TensorFieldConfig(channels=112, parity=True)
        self.body = TensorFieldNet(config, 0, VectorGraphOptions(), self.tensor.irreps)
        self.scalar = mlp(config.channels, config.channels, 1)

    def forward(self, batch: VectorGraph[torch.Tensor]) -> torch.Tensor:
        """(n_nodes, 9) in the standard frame."""
        x = self.body.features(batch)
        made = {irrep: linear(x[irrep])[..., 0] for irrep, linear in self.body.covariant.items()}
        made["0e"] = made["0e"] + self.scalar(self.body.norm(x["0e"][:, 0]))
        coefficients = torch.cat([made[str(part.irrep)] for part in self.tensor.parts], 1)
        basis = torch.from_numpy(self.tensor.change_of_basis.copy()).to(coefficients)
        return coefficients @ basis.reshape(9, 9)


class O3Sites(SiteTask):
    """Charges by the O(3) network, with all else as the site network has it."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.vectors: dict[int, VectorGraph] = {}

    def graphs(self, *given: Any) -> SiteExamples:
        found = super().graphs(*given)
        for record, graph in zip(found.records, found.graphs):
            self.vectors[id(graph)] = vector_graph(SymmetricCrystal.from_structure(record))
        return found

    def network(self) -> torch.nn.Module:
        return O3Net()

    def _outputs(self, network: Any, graphs: Sequence[SiteGraph], dtype: torch.dtype = torch.float32) -> Rows:
        values = network(union([self.vectors[id(graph)] for graph in graphs], dtype))
        return Rows(values, values.new_empty(len(graphs), 0))


def o3_rows(records: list[Record], used: list[Record], config: Any) -> tuple[list[np.ndarray], float, float]:
    """As `network_rows`; the charges do not add up to zero."""
    task, log, training = O3Sites(config), Log(quiet=True), config.training
    examples = task.prepare(Source("given", used, [], ""), log)
    parts = task.split(examples)
    task.fit(examples, parts["train"])
    torch.manual_seed(training.seed)
    state = State.start(task.network(), training.weight_decay)
    print(f"O(3): {sum(w.numel() for w in state.model.parameters())} weights", file=sys.stderr)
    run_epochs(state, len(parts["train"]), task.learning(examples, parts, torch.device("cpu")), training)
    state.model.load_state_dict(state.best)
    validation = task.judge(state.model, examples, parts["validation"]).errors["born_charges"]["mae"]
    found = [
        np.array(row["born_charges"], float) for row in task.predict(state.model, list(task.items([records])), log)
    ]
    return found, float(validation or 0), sum(row["cpu_seconds"] for row in state.history)


def grouped(records: Sequence[Record], options: argparse.Namespace) -> list[Record]:
    """What is split by formula: at random if each crystal has a formula of its own."""
    return [replace(record, formula=record.id) if options.random else record for record in records]


def split_of(records: Sequence[Record], split: int, options: argparse.Namespace) -> Parts:
    fractions = (1209 / 1309, 50 / 1309, 50 / 1309) if options.random else (0.8, 0.1, 0.1)
    parts = dict(split_by_formula([record.formula for record in grouped(records, options)], fractions, split))
    return {**parts, "train": parts["train"][:: round(1 / options.share)]}


def site_symmetries(record: Record, crystal: SymmetricCrystal) -> list[str]:
    """The point group of the site of each of the record's atoms."""
    names = [crystal.point_group.subgroup(own).group.name for own in crystal.site_groups]
    return [names[orbit] for orbit in crystal.orbits[input_atoms(crystal, record)]]


def print_by(label: str, groups: Sequence[str], errors: np.ndarray, least: int = 20) -> None:
    """A line a group with at least so many atoms: their number and the mean of their errors."""
    print(f"\n| {label} | atoms | MAE |\n|---|---|---|")
    names, which = np.unique(np.array(groups), return_inverse=True)
    counts, sums = np.bincount(which), np.bincount(which, errors)
    for k in np.argsort(sums / counts):
        if counts[k] >= least:
            print(f"| {names[k]} | {counts[k]} | {sums[k] / counts[k]:.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="JSON lines of records")
    parser.add_argument("--splits", default="0,1,2", help="their seeds")
    parser.add_argument("--random", action="store_true", help="1,209/100 crystals at random, not by formula")
    parser.add_argument("--share", type=float, default=1.0, help="of the training crystals")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="which of them")
    parser.add_argument("--epochs", type=int, help="those of the preset by default")
    parser.add_argument("--crystals", help="JSON lines of the crystals to begin with")
    parser.add_argument("--start", type=Path, help="the run to begin with")
    parser.add_argument("--by", action="store_true", help="errors by site symmetry and by element")
    options = parser.parse_args()
    if options.crystals:
        pretrain(options.crystals, options.start)
    records, _ = read_records(options.data)
    crystals = {record.id: SymmetricCrystal.from_structure(record) for record in records}
    print(
        "| split | predicted by | validation | test | isotropic | traceless | antisymmetric | s |\n" + "|---" * 8 + "|"
    )
    sites: list[str] = []
    elements: list[str] = []
    off: list[np.ndarray] = []
    for split in map(int, options.splits.split(",")):
        parts = split_of(records, split, options)
        held = [*parts["validation"], *parts["test"]] if options.random else parts["test"]
        true = [charges(records[k]) for k in held]

        def row(name: str, predicted: list[np.ndarray], validation: str = "", seconds: str = "") -> None:
            cells = " | ".join(f"{figure:.4f}" for figure in errors(true, predicted))  # noqa: B023 (called here)
            print(f"| {split} | {name} | {validation} | {cells} | {seconds} |", flush=True)  # noqa: B023

        training = [records[k] for k in parts["train"]]
        means, types = element_means(training), StructureTypes(training, crystals)
        predicted = [of_elements(records[k], means) for k in held]
        row("element", predicted)
        of_types = [types.predict(records[k]) for k in held]
        row("structure type", [base if own is None else own for own, base in zip(of_types, predicted)])
        for name in options.networks.split(","):
            found, validation, seconds = network_rows(name, records, parts, split, options)
            predicted = [found[k] for k in held]
            row(name, predicted, f"{validation:.4f}", f"{seconds:.0f}")
            if name == "O(3)":
                row("O(3), projected", [own - own.mean(0) for own in predicted])
        for k in held:
            sites += site_symmetries(records[k], crystals[records[k].id])
            elements += records[k].species
        off += [np.abs(own - known).mean((1, 2)) for own, known in zip(predicted, true)]
    if options.by:
        print_by("site symmetry", sites, np.concatenate(off))
        print_by("element", elements, np.concatenate(off))


if __name__ == "__main__":
    main()
