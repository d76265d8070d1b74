"""All that writes: what it needs, how it is done and gone on with, and what it leaves."""

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import ROOT
from tests.trust.processes import alone, command

from irrepnet.data import embedded
from irrepnet.graphs import FrameOptions
from irrepnet.training import load_config, train

SAME = ("model.safetensors", "predictions_test.csv", "split.json", "rejected.csv", "config.yaml")
CRYSTAL = ROOT / "examples" / "NaCl.cif"
SMALL = {"model.channels": 8, "training.epochs": 2, "training.device": "cpu"}


@dataclass(frozen=True)
class Job:
    """A kind of work.

    Attributes:
        prepare: writes into a folder what the work needs.
        run: does it: of that folder, and what to write.
        results: of what was written, by name; equal whenever the work came to its end.
        is_whole: whether a file of the result is there as a whole or not at all, at any time.
    """

    prepare: Callable[[Path], None]
    run: Callable[[Path, Path], object]
    results: Callable[[Path], dict[str, Any]]
    is_whole: bool = True


# -- training


def _properties(folder: Path) -> None:
    from tests.conftest import crystals

    data = folder / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, crystals())))
    _keep(folder, "point-group", data, {"data.targets": ["formation_energy_per_atom", "metal"], "model.layers": 1})


def _sites(folder: Path) -> None:
    from tests.training.test_site_runs import made_atoms

    from irrepnet.data import read_records

    lines = []
    for k, record in enumerate(read_records(made_atoms())[0]):
        crystal = {key: np.array(getattr(record, key)).tolist() for key in ("species", "frac_coords", "lattice")}
        lines.append({"id": f"made-{k}", **crystal, "born_charges": record.properties["born_charges"]})
    data = folder / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, lines)))
    _keep(folder, "site-symmetry", data, {"data.targets": ["born_charges"], "model.layers": 1})


def _energies(folder: Path) -> None:
    import ase.io
    from pymatgen.core import Lattice, Structure
    from tests.training.test_energy_runs import A, labelled, perturbed, turned

    data, parent = folder / "frames.extxyz", folder / "parent.cif"
    ase.io.write(data, [labelled(turned(perturbed(k, (1, 1, 1)), k)[0]) for k in range(16)])
    Structure(Lattice.cubic(A), ["Cu", "Au"], [[0] * 3, [0.5] * 3]).to(str(parent))
    own = {"data.parent": str(parent), "data.split": [0.6, 0.2, 0.2], "model.layers": 1, "model.moments": 4}
    _keep(folder, "energy", data, own)


def _hamiltonians(folder: Path) -> None:
    from tests.training.test_hamiltonian_runs import small_hamiltonian

    from irrepnet.hamiltonians import write_reduced

    data = folder / "data"
    data.mkdir()
    for cation, anion, a in (("Mg", "O", 4.2), ("Mg", "S", 5.2), ("Ca", "S", 5.7)):
        write_reduced(small_hamiltonian(cation, anion, a), data / f"{cation}{anion}.safetensors")
    own = {"data.test": "CaS", "data.split": [1.0, 0.0, 0.0], "model.cutoff": 4.5, "training.batch_size": 2}
    _keep(folder, "hamiltonian", data, own)


def _keep(folder: Path, preset: str, data: Path, own: dict[str, Any]) -> None:
    config = load_config(preset, {"data.source": str(data), **SMALL, **own})
    (folder / "config.yaml").write_text(config.to_yaml())


def _train(folder: Path, out: Path) -> None:
    os.environ["IRREPNET_CACHE"] = str(folder / "cache")
    train(load_config(str(folder / "config.yaml")), out, resume=True, quiet=True)


def run_results(out: Path) -> dict[str, Any]:
    """Bits of a finished run, without times, and the names of all its files."""
    found: dict[str, Any] = {name: (out / name).read_bytes() for name in SAME}
    rows = [line.split(",") for line in (out / "metrics.csv").read_text().splitlines()]
    timed = [k for k, name in enumerate(rows[0]) if "second" in name]
    found["metrics.csv"] = [[cell for k, cell in enumerate(row) if k not in timed] for row in rows]
    return found | {"names": sorted(path.name for path in out.iterdir())}


# -- the rest


def _records(folder: Path) -> None:
    pass


def _graphs(folder: Path, out: Path) -> None:
    from irrepnet.data.store import record_graphs

    os.environ["IRREPNET_CACHE"] = str(out)
    record_graphs(embedded("formation_energy_2015")[:384], FrameOptions(), workers=1)


def _shards(out: Path) -> dict[str, Any]:
    return {path.name: path.read_bytes() for path in (out / "graphs").glob("*.safetensors")}


def _results(folder: Path, out: Path) -> None:
    from irrepnet.graphs.cache import Cache

    kept = Cache(out / "descriptors.sqlite")
    for k in range(400):
        kept.put({f"{k} {i}": [k, i] for i in range(20)})


def _kept(out: Path) -> dict[str, Any]:
    from irrepnet.graphs.cache import Cache

    return Cache(out / "descriptors.sqlite").get(f"{k} {i}" for k in range(400) for i in range(20))


def _run(folder: Path) -> None:
    _properties(folder)
    _train(folder, folder / "run")


def _report(folder: Path, out: Path) -> None:
    """The pages of a run lie in its folder."""
    import shutil

    from irrepnet.report import write_report

    if not out.exists():
        own = out.with_name(f"{out.name}.{os.getpid()}")
        shutil.copytree(folder / "run", own)
        with suppress(OSError):  # of two at once
            own.rename(out)
    write_report(out)


def _pages(out: Path) -> dict[str, Any]:
    names = ("parity.png", "learning_curve.png", "report.html")
    text = {name: (out / name).read_bytes() for name in names if (out / name).exists()}
    return {name: content.replace(os.fsencode(out), b"") for name, content in text.items()}


def _crystal_page(folder: Path, out: Path) -> None:
    from irrepnet.report import write_crystal_page

    out.mkdir(parents=True, exist_ok=True)
    write_crystal_page(CRYSTAL, out / "page.html", bands_seconds=0)  # bands take long, and write nothing else


def _predictions(folder: Path, out: Path) -> None:
    from irrepnet.errors import IrrepnetError

    out.mkdir(parents=True, exist_ok=True)
    code, said = command("predict", folder / "run", folder / "data.jsonl", "-o", out / "table.csv")
    if code:
        raise IrrepnetError(said)


def _generate(folder: Path, out: Path) -> None:
    from tests.hamiltonians.dft.test_generate import requests

    from irrepnet.errors import IrrepnetError
    from irrepnet.hamiltonians import generate_all

    for each in generate_all(requests("fcc:He:3.0", scales=(1.0, 1.02)), out):
        if each.error:
            raise IrrepnetError(each.error)


class Near:
    """Numbers that PySCF makes, which are not the same to the last bit in every process."""

    def __init__(self, *arrays: Any) -> None:
        self.arrays = arrays

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Near) and all(
            a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-5) for a, b in zip(self.arrays, other.arrays)
        )


def _numbers(out: Path) -> dict[str, Any]:
    from irrepnet.hamiltonians import read_reduced

    found = {path.name: read_reduced(path) for path in sorted(out.glob("*.safetensors"))}
    return {name: Near(made.H, made.S, made.H0) for name, made in found.items()}


def _files(out: Path) -> dict[str, Any]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".part"}


TRAININGS = {
    "properties": Job(_properties, _train, run_results, is_whole=False),
    "sites": Job(_sites, _train, run_results, is_whole=False),
    "energies": Job(_energies, _train, run_results, is_whole=False),
    "hamiltonians": Job(_hamiltonians, _train, run_results, is_whole=False),
}
JOBS = {
    **TRAININGS,
    "store": Job(_records, _graphs, _shards),
    "cache": Job(_records, _results, _kept),
    "report of a run": Job(_run, _report, _pages),
    "report of a crystal": Job(_records, _crystal_page, _files),
    "predictions": Job(_run, _predictions, _files),
    "generate": Job(_records, _generate, _numbers),
}
QUICK = ("properties", "cache", "predictions")
NAMES = [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in JOBS]
"""Those that are not quick go with the slow tests, even if there is one case of them."""


def prepared(job: Job, folder: Path) -> tuple[Path, dict[str, Any], float]:
    """What the work needs, what comes of it, and the seconds that it takes."""
    inputs = folder / "inputs"
    inputs.mkdir()
    for work, *arguments in ((job.prepare, inputs), (job.run, inputs, folder / "whole")):
        start = time.perf_counter()
        done = alone(work, *arguments)
        assert done.code == 0, done.said
    return inputs, job.results(folder / "whole"), time.perf_counter() - start


assert sys.platform == "linux", "limits and kills are those of Linux"
