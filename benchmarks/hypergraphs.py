"""What do hyperedges add to a crystal graph network, and how does ours compare with the original CGCNN code?

    python benchmarks/hypergraphs.py --data elastic_tensor_2015 --targets log_K_VRH,log_G_VRH --out results/elastic \\
        --rows cgcnn,bonds,triplets,motifs,cell,all --seeds 0,1,2
    python benchmarks/hypergraphs.py --data elastic_tensor_2015 --targets log_K_VRH --out results/elastic \\
        --rows original --peer CHECKOUT --peer-python PYTHON --epochs 1000
    python benchmarks/hypergraphs.py --data perovskite_castelli.jsonl.gz --targets heat_all --out results/perovskites \\
        --set training.compile=true --epochs 30

Trains each row for each target and seed on one split by formula, 80/10/10, and prints a table of errors and costs;
validation picks the epoch, the test part is read once a run. Runs in ``--jobs`` processes of one thread. It can be
killed: started again it goes on, and reads what is finished. ``--table`` trains nothing.
"""

import argparse
import json
from csv import DictReader
from pathlib import Path
from typing import Any

import numpy as np

from irrepnet.errors import IrrepnetError
from jobs import Job, Rows, add_arguments, chosen, markdown, run_jobs, spread

ALL = ["bonds", "triplets", "motifs", "cell"]
ROWS: Rows = {
    "cgcnn": ("cgcnn", {}),
    "mpnn": ("mpnn", {}),
    "bonds": ("chgcnn", {"model.hyperedges": ["bonds"]}),
    "triplets": ("chgcnn", {"model.hyperedges": ["bonds", "triplets"]}),
    "motifs-csm": ("chgcnn", {"model.hyperedges": ["bonds", "motifs"], "model.motif_features": ["csm"]}),
    "motifs-lsop": ("chgcnn", {"model.hyperedges": ["bonds", "motifs"], "model.motif_features": ["lsop"]}),
    "motifs": ("chgcnn", {"model.hyperedges": ["bonds", "motifs"]}),
    "cell": ("chgcnn", {"model.hyperedges": ["bonds", "cell"]}),
    "all": ("chgcnn", {"model.hyperedges": ALL}),  # strategy exchange
    "relatives": ("chgcnn", {"model.hyperedges": ALL, "model.strategy": "relatives"}),
    "aggregation": ("chgcnn", {"model.hyperedges": ALL, "model.strategy": "aggregation"}),
    "point-group": ("point-group", {}),
}
"""And "original", the original CGCNN code."""


class Run(Job):
    """One run: a row, a target, a seed."""

    rows = ROWS

    @property
    def admitted(self) -> list[str] | None:
        return self.options.point_groups and self.options.point_groups.split(",")

    def settings(self) -> dict[str, Any]:
        return {"data.source": self.options.data, "data.point_groups": self.admitted}

    def train(self) -> str:
        if self.row != "original":
            return super().train()
        try:
            self._original()
        except IrrepnetError as error:
            return str(error)
        return ""

    def _original(self) -> None:
        from original_cgcnn import train_original

        if not (self.options.peer and self.options.peer_python):
            raise IrrepnetError("the row original needs --peer and --peer-python")
        parts = self._parts()
        self.folder.mkdir(parents=True, exist_ok=True)
        ids = {name: [record.id for record, _ in pairs] for name, pairs in parts.items()}
        (self.folder / "split.json").write_text(json.dumps(ids) + "\n")
        epochs = self.options.epochs or 1000
        train_original(
            Path(self.options.peer), self.options.peer_python, parts, self.target, self.seed, epochs, self.folder
        )

    def _parts(self) -> dict[str, list[Any]]:
        """(record, value) of the crystals of each part, with the split of every other row."""
        from irrepnet.data import read_records, split_by_formula, target_values
        from irrepnet.data.batch import prepare
        from irrepnet.training import parse_assignment

        records, _ = read_records(self.options.data)
        values = dict(zip((record.id for record in records), target_values(records, self.target).tolist()))
        known = [record for record in records if not np.isnan(values[record.id])]
        kept, _, _ = prepare(known, lambda crystal: crystal, point_groups=self.admitted)
        seed = dict(map(parse_assignment, self.options.set)).get("data.split_seed", 0)
        split = split_by_formula([record.formula for record in kept], seed=seed)
        return {name: [(kept[i], values[kept[i].id]) for i in part] for name, part in split.items()}

    def result(self) -> dict[str, Any] | None:
        """Errors and costs of the finished run; None when it is not finished."""
        path = self.folder / "metrics.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        split = json.loads((self.folder / "split.json").read_text())["test"]
        seconds = found["seconds_per_epoch"]
        if (history := self.folder / "metrics.csv").exists():
            with history.open() as stream:
                seconds = float(np.median([float(row["seconds"]) for row in DictReader(stream)]))
        return {
            "test": found["test"][self.target]["mae"],
            "validation": found["validation"][self.target]["mae"],
            "seconds": seconds,
            "parameters": found["parameters"],
            "epochs": found["epochs"],
            "split": split["id"] if isinstance(split, dict) else split,
        }


def table(runs: list[Run], unit: str) -> str:
    """The finished runs of one target as a table in Markdown; mean ± standard deviation over the seeds."""
    first, splits, rows = None, {}, []
    for row in dict.fromkeys(run.row for run in runs):
        found = [result for run in runs if run.row == row and (result := run.result())]
        if not found:
            continue
        splits[row] = frozenset(frozenset(result["split"]) for result in found)
        test, validation = ([result[key] for result in found] for key in ("test", "validation"))
        first = first or np.mean(test)
        seconds = f"{np.mean([result['seconds'] for result in found]):.2f}"
        cells = [row, len(found), found[0]["epochs"], spread(test), spread(validation), seconds]
        rows.append([*cells, f"{found[0]['parameters']:,}", f"{np.mean(test) / first:.3f}"])
    header = ["network", "seeds", "epochs", f"test MAE ({unit})", "validation MAE", "s/epoch", "parameters"]
    warning = f"\n\nWARNING: the test parts differ: {', '.join(splits)}" if len(set(splits.values())) > 1 else ""
    return markdown([*header, "to the first"], rows) + warning


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="an embedded set, or a file of records")
    parser.add_argument("--targets", required=True, help="comma-separated; each is learned alone")
    parser.add_argument("--out", required=True, help="folder for the runs and results")
    parser.add_argument("--point-groups", help="the crystals' point groups to admit; all by default")
    add_arguments(parser, [*ROWS, "original"])
    parser.set_defaults(rows=",".join(ROWS))
    parser.add_argument("--peer", help="checkout of github.com/txie-93/cgcnn, for the row original")
    parser.add_argument("--peer-python", help="interpreter with torch, pymatgen and scikit-learn")
    options = parser.parse_args()
    runs = [Run(*which, options) for which in chosen(parser, options, {"rows": [*ROWS, "original"]})]
    run_jobs(runs)
    from irrepnet.data import target_unit

    for target in options.targets.split(","):
        print(f"\n{target}\n\n{table([run for run in runs if run.target == target], target_unit(target))}")


if __name__ == "__main__":
    main()
