"""Tensors of crystals: ours against the mean of the group, O(3) networks with and without projection, and A1 alone.

    python benchmarks/tensors.py --out results/tensors
    python benchmarks/tensors.py --out results/tensors --targets e_electronic --rows covariant,isotropic --seeds 0
    python benchmarks/tensors.py --out results/tensors --table
    python benchmarks/tensors.py --out results/tensors --cut

Trains each row for each target and seed on one split by formula, 80/10/10; validation picks the epoch. Prints errors
and costs and, of the test part, errors by crystal system and by quartile of anisotropy. Every row is judged by the same
tables: predictions and published tensors, both from the run's predictions_test.csv. Runs in ``--jobs`` processes of one
thread, goes on where it was killed, and trains nothing with ``--table``. ``--cut`` reads the trained ``o3`` networks on
all atoms, with whole shells and with twelve neighbours, and prints what the cut does to the symmetry.
"""

import argparse
import json
from collections import defaultdict
from csv import DictReader
from typing import Any, NamedTuple

import numpy as np

from irrepnet.crystals import SymmetricCrystal
from irrepnet.data import embedded
from irrepnet.data.tensors import TENSOR_QUANTITIES, TensorQuantity
from irrepnet.tasks.targets import tensor_metrics
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.positive import exponential, logarithm
from jobs import Job, Rows, add_arguments, chosen, markdown, run_jobs, spread

SETS = {
    "e_electronic": "dielectric_constant",
    "e_total": "dielectric_constant",
    "piezoelectric_tensor": "piezoelectric_tensor",
    "elastic_tensor_original": "elastic_tensor_2015",
}
O3 = {"training.learning_rate": 0.004, "training.weight_decay": 0.3, "training.epochs": 25}
OURS = {"training.learning_rate": 0.004, "training.epochs": 30}
SMALL = OURS | {"model.channels": 36, "model.moment_channels": 8}
CUT = {"model.form": "atoms", "data.neighbours": "n-max"}
ROWS: Rows = {
    "o3-cut": ("tensor-field", O3 | CUT),
    "o3": ("tensor-field", O3),
    "o3-one-hot": ("tensor-field", O3 | {"model.one_hot": True}),
    "isotropic": ("covariant", {"model.isotropic": True}),
    "one-hot": ("covariant", {"model.one_hot": True}),
    "small": ("covariant", SMALL),
    "covariant": ("covariant", {}),
    "hypergraph": ("chgcnn", SMALL | {"model.hyperedges": ["bonds", "motifs"]}),
    "point-group": ("point-group", SMALL),
}
"""An e3nn network on all atoms with twelve neighbours, cut through shells; on whole shells, where it keeps the symmetry
by itself; with the operations of the point group as an input. Ours: the invariant part alone (A1); with the operations
as an input; with fewer weights than the e3nn network; the preset; the readout on hypergraphs with motifs, and on the
point-group network, each with about as many weights as the e3nn network. ``o3-cut + Reynolds``, the first row projected
on what the group allows, ``mean of the group``, and the mean of the predictions of all seeds need no training.
"""


class Run(Job):
    """One run: a row, a target, a seed."""

    rows = ROWS

    def settings(self) -> dict[str, Any]:
        tensor = TENSOR_QUANTITIES[self.target].tensor
        is_o3 = ROWS[self.row][0] == "tensor-field"
        return {
            "data.source": SETS[self.target],
            **({"model.l_max": max(part.l for part in tensor.parts)} if is_o3 else {}),
        }


class Result(NamedTuple):
    """One row for one seed: coefficients (n, dim) in the standard frames, by id, and what the run cost: processor
    seconds of the training, and weights."""

    predicted: dict[str, np.ndarray]
    true: dict[str, np.ndarray]
    cost: dict[str, Any]


def read(run: Run, crystals: dict[str, SymmetricCrystal]) -> Result | None:
    """None when the run is not finished."""
    if not (run.folder / "metrics.json").exists():
        return None
    tensor = TENSOR_QUANTITIES[run.target].tensor
    with (run.folder / "predictions_test.csv").open() as stream:
        rows = list(DictReader(stream))
    with (run.folder / "metrics.csv").open() as stream:
        seconds = float(np.median([float(row["cpu_seconds"]) for row in DictReader(stream)]))
    tables: dict[str, dict[str, np.ndarray]] = {}
    for which in ("true", "predicted"):
        names = [name for name in rows[0] if name.startswith(f"{which} ")]
        tables[which] = {
            row["id"]: _coefficients(tensor, [float(row[n]) for n in names], crystals[row["id"]]) for row in rows
        }
    found = json.loads((run.folder / "metrics.json").read_text())
    cost = {"seconds": seconds * found["epochs"], "parameters": found["parameters"]}
    return Result(tables["predicted"], tables["true"], cost)


def _coefficients(tensor: CartesianTensor, components: list[float], crystal: SymmetricCrystal) -> np.ndarray:
    values = np.zeros(tensor.shape)
    for value, orbit in zip(components, tensor.components.values()):
        for index, sign in orbit.items():
            values[index] = sign * value
    return tensor.to_irreps(tensor.rotate(values, crystal.rotation.T))


def projected(tensor: CartesianTensor, result: Result, crystals: dict[str, SymmetricCrystal]) -> Result:
    """Reynolds' operator of each crystal's point group on the predictions."""
    mean = {k: _project(tensor, x, crystals[k]) for k, x in result.predicted.items()}
    return result._replace(predicted=mean)


def _project(tensor: CartesianTensor, coefficients: np.ndarray, crystal: SymmetricCrystal) -> np.ndarray:
    return tensor.to_irreps(tensor.allowed(crystal.point_group).project(tensor.from_irreps(coefficients)))


def mean_of(quantity: TensorQuantity, results: list[Result]) -> Result:
    """The mean of several runs' predictions (of the logarithms, if positive definite), at the cost of all."""
    ids = list(results[0].true)
    values = np.array([[result.predicted[k] for k in ids] for result in results])
    values = np.array([values[0], *(nearer(quantity, each, values[0]) for each in values[1:])])
    predicted = dict(zip(ids, _mean(quantity, values)))
    cost = {key: sum(result.cost[key] for result in results) for key in ("seconds", "parameters")}
    return Result(predicted, results[0].true, cost)


def nearer(quantity: TensorQuantity, values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Values (n, dim), where their sign is a convention of the sign that is nearer to the others'."""
    return values if quantity.signed else np.where((values * others).sum(1, keepdims=True) < 0, -values, values)


def _mean(quantity: TensorQuantity, values: np.ndarray) -> np.ndarray:
    """(n, …, dim) → (…, dim), of the logarithms if the tensor is positive definite."""
    tensor = quantity.tensor
    if not quantity.positive:
        return values.mean(0)
    return tensor.to_irreps(exponential(tensor, logarithm(tensor, tensor.from_irreps(values)).mean(0)))


def group_mean(run: Run, result: Result, crystals: dict[str, SymmetricCrystal]) -> Result:
    """The mean, in the standard frame, over the training crystals of the point group; over all where there are none."""
    from irrepnet.data.tensors import tensor_coefficients

    quantity = TENSOR_QUANTITIES[run.target]
    tensor = quantity.tensor
    training = json.loads((run.folder / "split.json").read_text())["train"]["id"]
    records = {record.id: record for record in embedded(SETS[run.target])}
    values = {k: tensor_coefficients(crystals[k], records[k].properties[run.target], quantity) for k in training}

    groups: dict[Any, list[np.ndarray]] = defaultdict(list)
    for k, value in values.items():
        groups[crystals[k].point_group].append(value)
    means = {group: _mean(quantity, np.array(found)) for group, found in groups.items()}
    overall = _mean(quantity, np.array(list(values.values())))
    predicted = {
        k: means.get(crystals[k].point_group, _project(tensor, overall, crystals[k])) for k in result.predicted
    }
    return Result(predicted, result.true, {"seconds": 0.0, "parameters": 0})


def tables(target: str, runs: list[Run]) -> str:
    """The finished runs of one target in Markdown."""
    quantity = TENSOR_QUANTITIES[target]
    tensor = quantity.tensor
    crystals = {record.id: SymmetricCrystal.from_structure(record) for record in embedded(SETS[target])}
    results: dict[str, list[Result]] = defaultdict(list)
    for run in runs:
        if result := read(run, crystals):
            if not results["mean of the group"]:
                results["mean of the group"] = [group_mean(run, result, crystals)]
            results[run.row].append(result)
            if run.row == "o3-cut":
                results["o3-cut + Reynolds"].append(projected(tensor, result, crystals))
    if not results:
        return "no run is finished"
    for row in [row for row, found in results.items() if len(found) > 1]:
        results[f"{row}, {len(results[row])} together"] = [mean_of(quantity, results[row])]
    tests = {frozenset(result.true) for found in results.values() for result in found}
    warning = ["WARNING: the test parts differ"] if len(tests) > 1 else []

    def errors(found: list[Result], ids: list[str]) -> dict[str, list[float]]:
        """Each figure, for each seed."""
        figures: dict[str, list[float]] = defaultdict(list)
        for result in found:
            predicted, true = (np.array([table[k] for k in ids]) for table in (result.predicted, result.true))
            true = nearer(quantity, true, predicted)
            is_isotropic = np.array([part.l == 0 for part in tensor.parts for _ in part.basis])
            for key, value in tensor_metrics(tensor, true, predicted, np.zeros((1, tensor.dim))).items():
                figures[key].append(np.nan if value is None else value)
            figures["anisotropic"].append(float(np.linalg.norm((predicted - true)[:, ~is_isotropic], axis=1).mean()))
            allowed = np.array([_project(tensor, x, crystals[k]) for k, x in zip(ids, predicted)])
            size = np.linalg.norm(predicted, axis=1)
            figures["violation"].append(float((np.linalg.norm(predicted - allowed, axis=1) / size).mean()))
        return figures

    ids = sorted(next(iter(results.values()))[0].true)
    true = np.array([next(iter(results.values()))[0].true[k] for k in ids])
    keys = ["frobenius", "ewt25", "ewt10", "ewt5", "anisotropic", "mae", "violation"]
    keys += ["mae_K", "mae_G", "mae_E"] if tensor.rank == 4 else []
    rows = []
    for row, found in results.items():
        figures, cost = errors(found, ids), found[0].cost
        cells = [row, len(found), *(spread(figures[key]) for key in keys)]
        rows.append([*cells, f"{np.mean([r.cost['seconds'] for r in found]):.0f}", f"{cost['parameters']:,}"])
    unit = f", {quantity.unit}" if quantity.unit else ""
    title = f"{target}{unit}: {len(ids)} test crystals, mean norm {np.linalg.norm(true, axis=1).mean():.3g}"
    parts = [title, markdown(["network", "seeds", *keys, "CPU s", "weights"], rows), *warning]

    is_isotropic = np.array([part.l == 0 for part in tensor.parts for _ in part.basis])
    divisions = {"crystal system": [crystals[k].point_group.system for k in ids]}
    if is_isotropic.any():
        anisotropy = np.linalg.norm(true[:, ~is_isotropic], axis=1) / np.linalg.norm(true, axis=1)
        quartile = np.searchsorted(np.quantile(anisotropy, [0.25, 0.5, 0.75]), anisotropy)
        divisions["quartile of anisotropy"] = [f"{q + 1}" for q in quartile]
    for name, labels in divisions.items():
        lines = []
        for label in sorted(set(labels)):
            own = [k for k, other in zip(ids, labels) if other == label]
            found = {row: errors(each, own) for row, each in results.items()}
            cells = (f"{np.mean(f['frobenius']):.3g}, {100 * np.mean(f['ewt25']):.0f} %" for f in found.values())
            lines.append([label, len(own), *cells])
        parts += [f"Frobenius error and EwT25 by {name}:", markdown([name, "crystals", *results], lines)]
    return "\n\n".join(parts)


def cut_table(runs: list[Run]) -> str:
    """The same weights on all atoms with whole shells and with twelve neighbours: errors and violation, in Markdown."""
    import torch

    from irrepnet.graphs import VectorGraphOptions, vector_graph
    from irrepnet.models import build_model
    from irrepnet.tasks.properties import batches, predict_batches
    from irrepnet.tasks.targets import TensorTarget
    from irrepnet.training import load_run

    torch.set_num_threads(1)
    rows = []
    for run in runs:
        crystals = {record.id: SymmetricCrystal.from_structure(record) for record in embedded(SETS[run.target])}
        result = read(run, crystals)
        if result is None:
            continue
        trained = load_run(run.folder)
        target, ids = trained.target(run.target), list(result.true)
        assert isinstance(target, TensorTarget)
        tensor, true = TENSOR_QUANTITIES[run.target].tensor, np.array([result.true[k] for k in ids])
        for neighbours in ("shells", "n-max"):
            options = VectorGraphOptions(form="atoms", neighbours=neighbours)
            network = build_model(trained.config.model, 0, options, [tensor])
            network.load_state_dict(trained.model.state_dict())
            graphs = [vector_graph(crystals[k], options) for k in ids]
            predicted = target.decode(predict_batches(network, batches(graphs)))
            allowed = np.array([_project(tensor, x, crystals[k]) for k, x in zip(ids, predicted)])
            violation = np.linalg.norm(predicted - allowed, axis=1) / np.linalg.norm(predicted, axis=1)
            errors = (np.linalg.norm(x - true, axis=1).mean() for x in (predicted, allowed))
            cells = [*(f"{x:.4g}" for x in errors), f"{violation.mean():.2g}", f"{(violation > 0.01).mean():.0%}"]
            rows.append([run.target, run.seed, neighbours, *cells])
    return markdown(["target", "seed", "neighbours", "Frobenius", "projected", "violation", "above 1 %"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for the runs")
    parser.add_argument("--targets", default=",".join(SETS), help=f"of {', '.join(SETS)}")
    add_arguments(parser, list(ROWS))
    parser.add_argument("--cut", action="store_true", help="train nothing, cut the neighbours of the rows o3")
    options = parser.parse_args()
    which = chosen(parser, options, {"rows": list(ROWS), "targets": list(SETS)})
    runs = [Run(*one, options) for one in which]
    if options.cut:
        print(cut_table([run for run in runs if run.row == "o3"]))
        return
    run_jobs(runs)
    for target in options.targets.split(","):
        print(f"\n{tables(target, [run for run in runs if run.target == target])}")


if __name__ == "__main__":
    main()
