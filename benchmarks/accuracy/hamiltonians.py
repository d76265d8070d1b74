"""How good are the Hamiltonians of compounds that the network has not seen, beside H0 and the nearest compound?

    python benchmarks/accuracy/hamiltonians.py --data embedded --folds 5 --o3 --times 20 --out results
    python benchmarks/accuracy/hamiltonians.py --data embedded --leave O --leave F,Cl --leave zincblende --out results

With ``--folds`` every formula is held out once, a fold of all formulas at a time; with ``--leave`` all crystals that
have one of some elements (a family of anions or cations), or are of a structure type. Each training is a run of
`irrepnet hamiltonian train` in ``--out``, which goes on where it was; parts whose rows are in its rows.jsonl are done,
and settings, by ``--set``, must stay. Validation is a tenth of the formulas that are left.

Rows: ours; H0 (free atoms' densities); nearest, the bands of the training crystal that is most alike, as they are: one
of the structure type with as many electrons, by Mendeleev's numbers (Pettifor) of the elements, then by size; with
``--o3`` the network of O(3) of ``benchmarks/hamiltonians.py``, from the same crystals (weights of both are printed).

Figures, with the exact S but for nearest:

valence, conduction: meV, rms of the occupied bands and of the next four on a mesh of k, after one common shift;
gap: meV, of the fundamental gap on that mesh;
masses: median relative error of 1/m, of insulators, at the k of both band edges of the direct Hamiltonian, along x, y,
    z and [111], of the heaviest and the lightest of the bands that meet there (within 1 meV);
overlap: of the densities of states of the occupied and the next four bands, after the shift, Gaussians of 0.1 eV on
    8 × 8 × 8 k: the integral of the smaller of both over that of one;
irreps: part of the levels at the high-symmetry points, of those bands, with the right irrep at the right place.

With ``--times`` that many crystals of each test part, spread over it, are predicted from their structure alone, and
made by self-consistency (H0 and checks left out), in processor time.
"""

import argparse
import importlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core.periodic_table import Element

from irrepnet.errors import IrrepnetError
from irrepnet.hamiltonians import Hamiltonian, Request, band_gap, band_irreps, effective_masses, k_path, read_provenance
from irrepnet.hamiltonians.dft import generate as dft
from irrepnet.hamiltonians.embedded import FOLDER
from irrepnet.hamiltonians.symmetry import Action, irreducible
from irrepnet.tasks.hamiltonians import HamiltonianSample, HamiltonianTask, predicted_numbers, read_samples, sample_of
from irrepnet.training import load_config, parse_assignment, train

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from jobs import markdown

peers = importlib.import_module("hamiltonians")  # the one in the folder above

FIGURES = ("valence", "conduction", "gap", "masses", "overlap", "irreps")
DIRECTIONS = ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1])
MESH = (8, 8, 8)
WIDTH = 0.1  # eV


def left_out(samples: Sequence[HamiltonianSample], options: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Names of trainings, and the formulas that are held out."""
    formulas = sorted({sample.formula for sample in samples})
    for name in options.leave:
        words = name.split(",")
        own = {s.formula for s in samples for word in words if word in s.species or f"-{word}-" in s.id}
        if not own or len(own) == len(formulas):
            raise SystemExit(f"--leave {name}: {len(own)} of {len(formulas)} compounds are of it")
        yield name, sorted(own)
    if not options.leave:
        order = np.random.default_rng(0).permutation(len(formulas))
        for fold, part in enumerate(np.array_split(order, options.folds)):
            yield f"fold-{fold}", [formulas[k] for k in sorted(part)]


# -- figures


def levels(hamiltonian: Hamiltonian, act: Action, bands: int) -> list[str]:
    """The irreps of the lowest bands at the points of the standard path, one a band."""
    found = []
    points = {label: k for branch in k_path(hamiltonian.known_cell) for label, k in branch}
    for label, k in points.items():
        own = [f"{label} {level.label}" for level in band_irreps(hamiltonian, act, k) for _ in level.bands]
        found += own[:bands]
    return found


def inverse_masses(hamiltonian: Hamiltonian, edges: Sequence[tuple[np.ndarray, list[int]]]) -> np.ndarray:
    """1/m of the heaviest and the lightest band of each edge (k, bands) in all directions."""
    found = []
    for k, bands in edges:
        for direction in DIRECTIONS:
            own = 1 / effective_masses(hamiltonian, k, direction)[bands]
            found += [own[abs(own).argmin()], own[abs(own).argmax()]]
    return np.array(found)


def band_edges(sample: HamiltonianSample) -> list[tuple[np.ndarray, list[int]]]:
    """k of both edges of the gap of the direct Hamiltonian, and the bands that meet there; [] in a metal."""
    assert sample.true is not None
    if not sample.is_insulator or sample.occupied >= len(sample.true):
        return []
    gap = band_gap(sample.true, sample.occupied, (6, 6, 6))
    if gap.fundamental <= 0:
        return []
    edges = []
    for k, band in ((gap.k_top, sample.occupied - 1), (gap.k_bottom, sample.occupied)):
        energies = sample.true.eigenvalues(k)
        edges.append((k, np.flatnonzero(abs(energies - energies[band]) < 1e-3).tolist()))
    return edges


def errors_of_bands(sample: HamiltonianSample, predicted: Hamiltonian) -> tuple[float, float, float]:
    """Of valence, conduction and gap, meV; for H(R) in one basis those of `irrepnet.hamiltonians.compare`."""
    assert sample.true is not None
    k, weights = irreducible(sample.act, (6, 6, 6))
    n = sample.occupied
    exact, found = (each.eigenvalues(k)[:, : n + 4] for each in (sample.true, predicted))
    gaps = [own[:, n:].min() - own[:, :n].max() for own in (exact, found)]
    squares = (found - exact - weights @ (found - exact)[:, :n].mean(1)) ** 2
    valence, conduction = (float(np.sqrt(weights @ own.mean(1))) for own in (squares[:, :n], squares[:, n:]))
    return 1000 * valence, 1000 * conduction, 1000 * abs(gaps[1] - gaps[0])


def overlap_of_densities(sample: HamiltonianSample, predicted: Hamiltonian) -> float:
    assert sample.true is not None
    k, weights = irreducible(sample.act, MESH)
    n = sample.occupied
    exact, found = (each.eigenvalues(k)[:, : n + 4] for each in (sample.true, predicted))
    found = found - weights @ (found - exact)[:, :n].mean(1)
    energies = np.arange(min(exact.min(), found.min()) - 1, max(exact.max(), found.max()) + 1, WIDTH / 5)
    densities = np.zeros((2, len(energies)))
    for density, own in zip(densities, (exact, found)):
        for level, weight in zip(own, weights):
            density += weight * np.exp(-(((energies[:, None] - level) / WIDTH) ** 2) / 2).sum(1)
    return float(densities.min(0).sum() / densities[0].sum())


def figures(sample: HamiltonianSample, predicted: Hamiltonian, act: Action, edges: Sequence[Any]) -> dict[str, float]:
    """{figure: value}, NaN where there is none; `act` is that of the orbitals of the prediction."""
    true, nan = sample.true, float("nan")
    assert true is not None

    def masses() -> float:
        exact, found = (inverse_masses(each, edges) for each in (true, predicted))
        return float(np.median(abs(found / exact - 1)))

    def irreps() -> float:
        bands = min(sample.occupied + 4, len(true))
        pair = levels(true, sample.act, bands), levels(predicted, act, bands)
        return float(np.mean([a == b for a, b in zip(*pair)]))

    def known(figure: Callable[[], Any], otherwise: Any = nan) -> Any:
        try:
            return figure()
        except IrrepnetError:  # orbitals are linearly dependent at some k that it takes
            return otherwise

    return dict(
        zip(
            FIGURES,
            (
                *known(lambda: errors_of_bands(sample, predicted), (nan, nan, nan)),
                known(masses) if edges else nan,
                known(lambda: overlap_of_densities(sample, predicted)),
                known(irreps) if sample.act.group.is_primitive else nan,
            ),
        )
    )


# -- rows beside ours


def nearest(sample: HamiltonianSample, others: Sequence[HamiltonianSample]) -> HamiltonianSample | None:
    """The most alike of the same structure type."""

    def numbers(each: HamiltonianSample) -> np.ndarray:
        elements = sorted((Element(symbol) for symbol in each.species), key=lambda own: own.group)
        return np.array([element.mendeleev_no for element in elements])

    def kind(each: HamiltonianSample) -> tuple[Any, ...]:
        return each.id.split("-")[1], len(each.species), each.electrons, len(each.act.group)

    def apart(other: HamiltonianSample) -> tuple[float, float]:
        ratio = peers.size(other) / peers.size(sample)
        return float(abs(numbers(other) - numbers(sample)).sum()), abs(np.log(ratio))

    return min((other for other in others if kind(other) == kind(sample)), key=apart, default=None)


def times(sample: HamiltonianSample, task: HamiltonianTask, model: Any, folder: Path) -> tuple[float, float]:
    """Processor time in s of a prediction from the structure, and of self-consistency to the same H(R)."""
    request = Request.model_validate(read_provenance(folder / f"{sample.id}.safetensors")["request"])
    before = time.process_time()
    task.hamiltonian(model, sample_of(dft.start(request), sample.id))
    ours, before = time.process_time() - before, time.process_time()
    calculation, plan = dft._set_up(request)
    found = calculation.converged(plan.scf_kmesh, request.settings.tolerance)
    dft._reduced(calculation, plan, found.potential, found.potential)
    return ours, time.process_time() - before


# -- the tables


def text(name: str, value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.0f}" if name in FIGURES[:3] else f"{value:.1%}" if name == "overlap" else f"{value:.0%}"


def print_tables(rows: Sequence[dict[str, Any]]) -> None:
    """A row a compound of ours, means over its crystals; means and medians over all crystals of each method."""
    methods = list(dict.fromkeys(row["method"] for row in rows))

    def of(method: str, formula: str | None = None) -> list[dict[str, Any]]:
        return [row for row in rows if row["method"] == method and formula in (None, row["formula"])]

    def mean(own: Sequence[dict[str, Any]], name: str, how: Any = np.mean) -> float:
        known = [row[name] for row in own if not np.isnan(row[name])]
        return float(how(known)) if known else float("nan")

    formulas = list(dict.fromkeys(row["formula"] for row in rows))
    table = []
    for formula in formulas:
        own, start = of("ours", formula), of("H0", formula)
        cells = [text(name, mean(own, name)) for name in FIGURES] + [text(n, mean(start, n)) for n in FIGURES[:3]]
        table.append([formula, str(len(own)), *cells])
    print("\n" + markdown(["compound", "n", *FIGURES, *(f"H0: {name}" for name in FIGURES[:3])], table))
    table = [
        [method, word, str(len(of(method))), *(text(name, mean(of(method), name, how)) for name in FIGURES)]
        for method in methods
        for word, how in (("mean", np.mean), ("median", np.median))
    ]
    print("\n" + markdown(["", "", "n", *FIGURES], table) + "\n")
    for method in methods[1:]:
        common = [formula for formula in formulas if of(method, formula)]
        pairs = [(mean(of("ours", formula), "valence"), mean(of(method, formula), "valence")) for formula in common]
        better = np.mean([ours < other for ours, other in pairs]) if pairs else float("nan")
        print(f"valence bands better than those of {method} for {better:.0%} of {len(common)} compounds")
    timed = [row for row in rows if "seconds" in row]
    if timed:
        parts = np.array([row["seconds"] for row in timed])
        part, worst = np.median(parts[:, 0] / parts[:, 1]), (parts[:, 0] / parts[:, 1]).max()
        print(
            f"processor time of {len(timed)} predictions from the structure: mean {parts[:, 0].mean():.1f} s, ", end=""
        )
        print(f"of self-consistency {parts[:, 1].mean():.1f} s; median {part:.2f} of it, at most {worst:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="embedded", help="Hamiltonians")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--leave", action="append", default=[], help="elements, as F,Cl, or a structure type")
    parser.add_argument("--only", type=int, help="this fold alone")
    parser.add_argument("--o3", action="store_true", help="the network of O(3) too")
    parser.add_argument("--times", type=int, default=0, help="crystals of each part whose computation is timed")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of the configuration")
    options = parser.parse_args()
    samples = read_samples(options.data).records
    folder = FOLDER if options.data == "embedded" else Path(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    path, rows = options.out / "rows.jsonl", defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        rows[(row := json.loads(line))["method"]].append(row)
    done = {row["part"] for row in rows["O(3)" if options.o3 else "ours"]}
    for number, (name, formulas) in enumerate(left_out(samples, options)):
        if options.only not in (None, number) or name in done:
            continue
        for method in rows:  # those without the network of O(3)
            rows[method] = [row for row in rows[method] if row["part"] != name]
        settings: dict[str, Any] = {"data.source": options.data, "data.test": formulas, "data.split": [0.9, 0.1, 0.0]}
        config = load_config("hamiltonian", settings | dict(map(parse_assignment, options.set)))
        run = train(config, options.out / name, resume=True, quiet=True)
        assert isinstance(run.task, HamiltonianTask)
        weights = sum(own.numel() for own in run.model.parameters())
        print(f"{name}: {weights:,} weights", flush=True)
        test = [k for k, sample in enumerate(samples) if sample.formula in formulas]
        learners = [k for k in range(len(samples)) if k not in test]
        o3 = None
        if options.o3:
            changed = config.model_copy(update={"training": config.training.model_copy(update={"weight_decay": 0.01})})
            o3 = peers.trained("O(3)", samples, np.array(learners), changed, options.out / f"{name}-o3")
            print(f"{name}: O(3), {sum(own.numel() for own in o3[0].parameters()):,} weights", flush=True)
        timed = {test[k] for k in np.linspace(0, len(test) - 1, min(options.times, len(test))).round().astype(int)}
        for k in test:
            sample = samples[k]
            found = {"ours": (run.task.hamiltonian(run.model, sample), sample.act), "H0": (sample.start, sample.act)}
            if (near := nearest(sample, [samples[other] for other in learners])) is not None and near.true is not None:
                found["nearest"] = near.true, near.act
            if o3 is not None:
                found["O(3)"] = sample.predicted(predicted_numbers(o3[0], o3[1][k])), sample.act
            edges = band_edges(sample)
            for method, (predicted, act) in found.items():
                row = {"method": method, "part": name, "id": sample.id, "formula": sample.formula}
                row |= figures(sample, predicted, act, edges)
                if method == "ours" and k in timed:
                    row["seconds"] = times(sample, run.task, run.model, folder)
                rows[method].append(row)
                print(name, sample.id, method, *(text(n, row[n]) for n in FIGURES), flush=True)
        lines = [json.dumps(row) for own in rows.values() for row in own]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print_tables([row for own in rows.values() for row in own])


if __name__ == "__main__":
    main()
