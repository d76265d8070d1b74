"""Can a network learn tensors of sites: the electric field gradients of point charges?

    python benchmarks/site_tensors.py --data mp_2018.jsonl.gz --crystals 1800 --seeds 3
    python benchmarks/site_tensors.py --data mp_2018.jsonl.gz --crystals 200 --cost examples/*.cif
    python benchmarks/site_tensors.py --check

Labels that anybody can compute: formal charges (pymatgen's guess of oxidation states for the formula), and the
potential (V) and field gradient (V/Å²) that all other charges make at a site, by Ewald summation. Crystals are drawn
at random (``--seed``) from those whose model group is ``--group``, with at most ``--atoms`` atoms a primitive cell and
a neutral guess; split by formula (80/10/10). A row of the table is a network trained on both targets, by the task
of ``irrepnet train site-symmetry``; errors are means over the orbits of the test part, at the epoch with the least
validation loss. ``--cost`` times the site form
against the form that keeps all atoms, on the same weights and one batch a row. ``--check`` compares the sums with
published values.
"""

import argparse
import json
import os
import platform
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from pymatgen.core import Composition, Lattice, Structure
from scipy.special import erfc

from irrepnet.crystals import SymmetricCrystal, model_group, site_irreps
from irrepnet.data import read_records, split_by_formula
from irrepnet.data.batch import union
from irrepnet.data.sites import at_atoms
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import site_graph
from irrepnet.groups import PointGroup
from irrepnet.models import SiteSymmetryConfig, SiteSymmetryNet
from irrepnet.tasks.sites import SiteTask
from irrepnet.training import load_config, train

COULOMB = 14.399645  # e/(4π ε0), V Å
QUANTITIES = {
    "potential": {"symmetry": "scalar", "unit": "V"},
    "field gradient": {"symmetry": "ij=ji traceless", "unit": "V/Å²"},
}
TARGETS = {name: quantity["symmetry"] for name, quantity in QUANTITIES.items()}


def ewald(crystal: SymmetricCrystal, charges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Potential (V) and field gradient ∂_i∂_j φ (V/Å²) at each orbit's first atom, made by all other charges.

    Ewald's sum (Ann. Phys. 369, 253 (1921)) and its second derivative. With charges that are not neutral it is that in
    a uniform background, whose own, isotropic part of the gradient is left out.

    Args:
        charges: (n_atoms,) in e.

    Returns:
        (n_orbits,) and (n_orbits, 3, 3).
    """
    lattice, points = crystal.lattice, crystal.cart_coords
    volume = abs(np.linalg.det(lattice))
    alpha = np.sqrt(np.pi) / np.cbrt(volume)
    reach = 5.5  # erfc(5.5) = 7e-15
    reciprocal = 2 * np.pi * np.linalg.inv(lattice).T

    def vectors(basis: np.ndarray, radius: float) -> np.ndarray:
        most = np.ceil(radius * np.linalg.norm(np.linalg.inv(basis), axis=0)).astype(int)
        steps = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in most], indexing="ij"), -1).reshape(-1, 3)
        found = steps @ basis
        return found[np.linalg.norm(found, axis=1) <= radius]

    cell = np.linalg.norm(lattice, axis=1).sum()
    shifts = vectors(lattice, reach / alpha + cell)
    k = vectors(reciprocal, 2 * alpha * reach)
    k = k[np.linalg.norm(k, axis=1) > 1e-9]
    k2 = (k**2).sum(1)
    waves = 4 * np.pi / volume * np.exp(-k2 / (4 * alpha**2)) / k2
    potentials, gradients = [], []
    for a in crystal.representatives:
        apart = points - points[a]
        r = (apart[:, None] + shifts).reshape(-1, 3)
        q = np.repeat(charges, len(shifts))
        d = np.linalg.norm(r, axis=1)
        near = (d > 1e-6) & (d < reach / alpha)
        r, q, d = r[near], q[near], d[near]
        gauss = 2 * alpha / np.sqrt(np.pi) * np.exp(-((alpha * d) ** 2))
        b0 = erfc(alpha * d) / d
        b1 = (b0 + gauss) / d**2
        b2 = (3 * b1 + 2 * alpha**2 * gauss) / d**2
        structure = waves * (np.cos(k @ apart.T) @ charges)
        background = np.pi / (alpha**2 * volume) * charges.sum()
        potentials.append(q @ b0 + structure.sum() - 2 * alpha / np.sqrt(np.pi) * charges[a] - background)
        gradient = np.einsum("n,ni,nj->ij", q * b2, r, r) - np.einsum("n,ni,nj->ij", structure, k, k)
        gradients.append(gradient - np.trace(gradient) / 3 * np.eye(3))
    return COULOMB * np.array(potentials), COULOMB * np.array(gradients)


def check() -> None:
    """Madelung constants, and the field gradient in hexagonal close packing."""
    for symbol, a, second, unit, published in [
        ("Fm-3m", 5.64, [0.5, 0.5, 0.5], 5.64 / 2, 1.7475646),
        ("Pm-3m", 4.12, [0.5, 0.5, 0.5], 4.12 * np.sqrt(0.75), 1.7626747),
        ("F-43m", 5.41, [0.25, 0.25, 0.25], 5.41 * np.sqrt(3) / 4, 1.6380550),
    ]:
        structure = Structure.from_spacegroup(symbol, Lattice.cubic(a), ["Na", "Cl"], [[0, 0, 0], second])
        crystal = SymmetricCrystal.from_structure(structure)
        potential, gradient = ewald(crystal, np.where(crystal.numbers == 11, 1.0, -1.0))
        constant = abs(potential[0]) * unit / COULOMB
        print(f"{symbol}: Madelung constant {constant:.7f} ({published}), gradient {abs(gradient).max():.1e} V/Å²")
    for ratio in (1.55, 1.633, 1.70, 1.89):
        lattice = Lattice.hexagonal(3.0, 3.0 * ratio)
        structure = Structure.from_spacegroup("P6_3/mmc", lattice, ["Mg"], [[1 / 3, 2 / 3, 0.25]])
        crystal = SymmetricCrystal.from_structure(structure)
        zz = ewald(crystal, np.ones(len(crystal)))[1][0, 2, 2] / COULOMB * 27
        print(f"hcp, c/a {ratio}: V_zz a³/e {zz:.4f}; Das and Pomerantz (1961) {0.0065 - 4.3584 * (ratio - 1.633):.4f}")


def formal_charges(crystal: SymmetricCrystal) -> np.ndarray | None:
    """(n_atoms,) the likeliest oxidation states of the elements, None if no neutral choice is known."""
    composition = Composition(crystal.formula)
    if len(composition) < 2 or len(composition) > 4 or composition.num_atoms > 30:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guesses = composition.oxi_state_guesses()
    return np.array([guesses[0][species] for species in crystal.species]) if guesses else None


class Sample:
    """Crystals with graphs and labels; the lists run over crystals."""

    def __init__(self, path: str, group: PointGroup, wanted: int, atoms: int, seed: int) -> None:
        self.crystals: list[SymmetricCrystal] = []
        self.charges: list[np.ndarray] = []
        records = read_records(path)[0]
        for i in np.random.default_rng(seed).permutation(len(records)):
            if len(self.crystals) == wanted:
                break
            if len(records[i]) > 4 * atoms:
                continue
            try:
                crystal = SymmetricCrystal.from_structure(records[i])
            except IrrepnetError:
                continue
            fits = len(crystal) <= atoms and model_group(crystal) == group
            if fits and (charges := formal_charges(crystal)) is not None:
                self.crystals.append(crystal)
                self.charges.append(charges)
        self.graphs = [site_graph(crystal, group) for crystal in self.crystals]

    def label(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [ewald(crystal, charges) for crystal, charges in zip(self.crystals, self.charges)]


def report(name: str, sample: Sample, labels, indices, potential: np.ndarray, gradient: np.ndarray) -> None:
    """Errors over orbits, and what a prediction has where the site symmetry forbids it."""
    true = [np.concatenate([labels[i][k] for i in indices]) for k in (0, 1)]
    allowed = []
    for i in indices:
        for orbit in range(len(sample.graphs[i])):
            basis = np.linalg.qr(site_irreps(sample.crystals[i], orbit).field_gradient.basis.reshape(-1, 9).T)[0]
            allowed.append(np.eye(9) - basis @ basis.T)
    violation = np.abs(np.einsum("nij,nj->ni", allowed, gradient.reshape(-1, 9))).max()
    size = np.linalg.norm(true[1], axis=(1, 2))
    forced = size < 1e-6
    error = np.linalg.norm(gradient - true[1], axis=(1, 2))
    zero = np.abs(gradient[forced]).max() if forced.any() else 0.0
    print(
        f"{name:24s} | {np.abs(potential - true[0]).mean():.3f} | {error[~forced].mean():.3f} | "
        f"{error[~forced].mean() / size[~forced].mean():.0%} | {(error < 0.25 * size)[~forced].mean():.0%} | "
        f"{violation:.0e} | {zero:.0e}",
        flush=True,
    )


def learn(options: argparse.Namespace) -> None:
    group = PointGroup(options.group)
    start = time.perf_counter()
    sample = Sample(options.data, group, options.crystals, options.atoms, options.seed)
    labels = sample.label()
    records, _ = read_records([labelled(sample, i, own) for i, own in enumerate(labels)])
    parts = split_by_formula([record.formula for record in records], seed=options.seed)  # as the runs split them
    test = parts["test"]
    sites = [len(graph) for graph in sample.graphs]
    names = [crystal.point_group.name for crystal in sample.crystals]
    print(
        f"{len(names)} crystals of {len(set(names))} point groups, {sum(sites)} orbits, "
        f"{sum(map(len, sample.crystals))} atoms; {' / '.join(str(len(parts[p])) for p in parts)}; "
        f"prepared in {time.perf_counter() - start:.0f} s"
    )
    known = np.concatenate([labels[i][0] for i in parts["train"]])
    zeros = sum((np.abs(labels[i][1]).max((1, 2)) < 1e-6).sum() for i in test)
    print(f"test part: {sum(sites[i] for i in test)} orbits, at {zeros} of them the field gradient is zero by symmetry")
    print("network | potential, V | gradient, V/Å² | of its mean | within 25 % | forbidden part | at zeros")
    elements = np.concatenate([sample.graphs[i].numbers for i in parts["train"]])
    mean_of = {z: known[elements == z].mean() for z in set(elements.tolist())}
    guess = np.array([mean_of.get(int(z), known.mean()) for i in test for z in sample.graphs[i].numbers])
    report("element's mean, zero", sample, labels, test, guess, np.zeros((len(guess), 3, 3)))
    for name, covariants in (("invariants alone", 0), ("site symmetry", options.covariants)):
        for seed in range(options.seeds):
            overrides = {
                "data.source": options.data,
                "data.targets": list(QUANTITIES),
                "data.sites": QUANTITIES,
                "data.split_seed": options.seed,
                "model.group": options.group,
                "model.covariants": covariants,
                "model.layers": options.layers,
                "training.epochs": options.epochs,
                "training.batch_size": options.batch,
                "training.seed": seed,
                "training.device": "cpu",
            }
            config = load_config("site-symmetry", overrides)
            with tempfile.TemporaryDirectory() as folder:
                run = train(config, Path(folder) / "run", quiet=True, data=records)
                metrics = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
                assert run.split["test"]["id"] == [records[i].id for i in test]
            assert isinstance(run.task, SiteTask)
            assert isinstance(run.model, SiteSymmetryNet)
            with torch.no_grad():
                outputs = run.model(union([sample.graphs[i] for i in test]))
            potential, gradient = (
                target.given(target.decode(outputs[target.name].numpy().reshape(-1, target.width)))
                for target in run.task.targets
            )
            report(f"{name}, seed {seed}", sample, labels, test, potential, gradient)
            print(f"  {metrics['parameters']:,} parameters, {metrics['seconds_per_epoch']:.1f} s/epoch", flush=True)


def labelled(sample: Sample, number: int, labels: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """A crystal in the record format, with the labels of all its atoms."""
    crystal, graph = sample.crystals[number], sample.graphs[number]
    values = (at_atoms(own, graph, axial=False) for own in labels)
    return {
        "id": str(number),
        "species": list(crystal.species),
        "frac_coords": crystal.frac_coords.tolist(),
        "lattice": crystal.lattice.tolist(),
        **{name: own.tolist() for name, own in zip(QUANTITIES, values)},
    }


def cost(options: argparse.Namespace) -> None:
    """Processor time of the site form and of the form that keeps all atoms: by crystal system, and by file."""
    rows: dict[str, tuple[PointGroup, list[SymmetricCrystal]]] = {}
    if options.data:
        group = PointGroup(options.group)
        sample = Sample(options.data, group, options.crystals, options.atoms, options.seed).crystals
        for system in sorted({crystal.point_group.system for crystal in sample}):
            rows[system] = group, [crystal for crystal in sample if crystal.point_group.system == system]
        rows["all"] = group, sample
    for path in options.files:
        crystal = SymmetricCrystal.from_structure(path)
        rows[f"{crystal.formula}, {crystal.spacegroup_symbol}"] = model_group(crystal), [crystal] * 32
    print(
        "crystals | atoms | orbits | edges, all atoms | sites | ms/crystal, all atoms | sites | factor | step: factor"
    )
    for name, (group, crystals) in rows.items():
        torch.manual_seed(0)
        net = SiteSymmetryNet(SiteSymmetryConfig(group=group.name, covariants=options.covariants), TARGETS)
        forms = {
            "atoms": union([site_graph(c, group, symmetry=np.zeros(1, int)) for c in crystals]),
            "sites": union([site_graph(c, group) for c in crystals]),
        }
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(options.rounds):
            for form, batch in forms.items():
                begin = time.process_time()
                with torch.no_grad():
                    net(batch)
                middle = time.process_time()
                net.zero_grad()
                torch.stack([(out**2).sum() for out in net(batch).values()]).sum().backward()
                times.setdefault((form, "forward"), []).append(middle - begin)
                times.setdefault((form, "step"), []).append(time.process_time() - middle)
        n = len(crystals)
        ms = {key: 1e3 * float(np.median(values)) / n for key, values in times.items()}
        print(
            f"{name}, {n} | {len(forms['sites'].atom_site) / n:.1f} | {len(forms['sites'].numbers) / n:.1f} | "
            f"{len(forms['atoms'].receiver) / n:.0f} | {len(forms['sites'].receiver) / n:.0f} | "
            f"{ms['atoms', 'forward']:.2f} | {ms['sites', 'forward']:.2f} | "
            f"{ms['atoms', 'forward'] / ms['sites', 'forward']:.1f} | {ms['atoms', 'step'] / ms['sites', 'step']:.1f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="JSON lines of records")
    parser.add_argument("files", nargs="*", help="with --cost: structures to time, 32 copies of each")
    parser.add_argument("--group", default="m-3m", help="model group")
    parser.add_argument("--crystals", type=int, default=1500)
    parser.add_argument("--atoms", type=int, default=16, help="most atoms a primitive cell")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and the split")
    parser.add_argument("--seeds", type=int, default=1, help="networks a row")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--covariants", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cost", action="store_true", help="time the two forms instead")
    parser.add_argument("--check", action="store_true", help="the sums against published values instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.check:
        check()
        return
    if not options.data and not (options.cost and options.files):
        parser.error("--data is needed")
    print(f"{platform.machine()}, {os.cpu_count()} cpus, 1 thread, torch {torch.__version__}")
    (cost if options.cost else learn)(options)


if __name__ == "__main__":
    main()
