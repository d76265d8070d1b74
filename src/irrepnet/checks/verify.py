"""Does a model keep the symmetry that it claims? Residuals on a crystal of the user's."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from irrepnet.crystals import (
    NeighbourOptions,
    SymmetricCrystal,
    frame_rotation,
    input_atoms,
    model_group,
    plain_supercell,
)
from irrepnet.data.batch import AnyGraph, union
from irrepnet.data.sites import turned as turned_sites
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import (
    FORMS,
    FrameOptions,
    GraphOptions,
    GroupedSiteOptions,
    HypergraphOptions,
    Perturbation,
    SiteGraph,
    SiteGraphOptions,
    VectorGraphOptions,
    broken_graph,
    frame_graph,
    grouped_sites,
    network_graph,
    parent_of,
    site_graph,
)
from irrepnet.graphs.cache import bypassed
from irrepnet.groups import PointGroup
from irrepnet.hamiltonians import hermiticity, symmetry_residual
from irrepnet.models import ModelConfig, SiteSymmetryConfig, SiteSymmetryNet, TensorHead, build_model
from irrepnet.models.energy import EnergyConfig, EnergyNet
from irrepnet.tasks import Task, task_class
from irrepnet.tasks.energies import EnergyTask, respond
from irrepnet.tasks.hamiltonians import HamiltonianTask, sample_for
from irrepnet.tasks.sites import SiteTask
from irrepnet.tensors import CartesianTensor
from irrepnet.training import load_config, load_run, presets

if TYPE_CHECKING:
    from pymatgen.core import Structure

DESCRIPTIONS = ("rotation", "translation", "permutation", "supercell")


def random_network(
    config: ModelConfig, options: GraphOptions | None = None, seed: int = 0, tensors: Sequence[CartesianTensor] = ()
) -> torch.nn.Module:
    """A network with random weights everywhere, also where training starts from zero: nothing is idle."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _filled(build_model(config, 1, options or config.reads(**config.graph_fields), tensors))


def _filled(net: torch.nn.Module) -> torch.nn.Module:
    """The network with random weights where there are none."""
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    return net


@bypassed()
def verify(
    model: torch.nn.Module, source: object, options: GraphOptions | None = None, seed: int = 0
) -> dict[str, Any]:
    """Run ``model`` in float64 on equal descriptions of one crystal and compare the outputs.

    Descriptors are computed anew for each description: in the cache, shells of one shape have one value.

    Args:
        model: takes a batch; its outputs are dimensionless numbers (before units). Those of a :class:`TensorHead` are
            compared in the axes of the description.
        source: whatever :meth:`SymmetricCrystal.from_structure` takes.
        options: how the graph is made, and by their type which graph; frames by default.
        seed: of the random rotation, translation, supercell and permutation.

    Returns:
        ``formula``, ``point_group`` and the largest absolute differences of the outputs: ``rotation`` (a random
        orientation of the input), ``translation``, ``permutation``, ``supercell``, each through reading, symmetry
        search and graph, and ``largest`` of all.

        Of a network on hypergraphs also ``orbits`` (every atom a node of its own), and ``nodes`` either way.

        Of a point-group network also ``group``, ``equivariance`` (the crystal turned by every element of the
        group, full form), ``forms`` (each form against the full one), and ``frames`` and ``nodes`` by form. If the
        crystal needs more frames than the options allow, ``orbits`` and ``nodes`` as on hypergraphs, and ``frames``.

    Raises:
        IrrepnetError: the structure cannot be used, or its point group is not contained in the model's.
    """
    options = options or FrameOptions()
    model = copy.deepcopy(model).double().eval()
    crystal = SymmetricCrystal.from_structure(source, symprec=options.symprec)

    def output(graph: AnyGraph) -> torch.Tensor:
        with torch.no_grad():
            found = model(union([graph], torch.float64))[0]
        if not torch.isfinite(found).all():
            raise IrrepnetError(f"the model's output for {crystal.formula} is not finite; its weights are unusable")
        return found

    graph = options.graph
    turned = model.turned if isinstance(model, TensorHead) else lambda found, rotation: found
    special = _SPECIAL[type(options)](crystal, options, output, turned)
    reference = output(graph(crystal))
    differences = {}
    for name, (structure, rotation) in _descriptions(crystal, seed).items():
        made = SymmetricCrystal.from_structure(structure, symprec=options.symprec)
        differences[name] = _difference(turned(output(graph(made)), made.rotation), turned(reference, rotation))
    report = {"formula": crystal.formula, "point_group": crystal.point_group.name, **special, **differences}
    residuals = [report[name] for name in (*DESCRIPTIONS, "orbits", "equivariance") if name in report]
    report["largest"] = max([*residuals, *report.get("forms", {}).values()])
    return report


def _difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


def _descriptions(crystal: SymmetricCrystal, seed: int) -> "dict[str, tuple[Structure, np.ndarray]]":
    """The idealised crystal, to which all descriptions must lead back to the last digits, told in other ways.

    Each with the rotation that leads from the crystal's standard frame to its axes.
    """
    from pymatgen.core import Structure

    lattice, species, frac_coords = crystal.lattice, crystal.species, crystal.frac_coords
    n = len(crystal)
    numbers = {"atom": list(range(n))}  # to find them again
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)
    order = rng.permutation(n)
    moved, supercell = (Structure(lattice, species, frac_coords, site_properties=numbers) for _ in range(2))
    moved.translate_sites(range(n), rng.uniform(size=3))
    supercell.make_supercell(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 2]]))
    return {
        "rotation": (Structure(lattice @ rotation.T, species, frac_coords, site_properties=numbers), rotation),
        "translation": (moved, np.eye(3)),
        "permutation": (
            Structure(
                lattice, [species[i] for i in order], frac_coords[order], site_properties={"atom": order.tolist()}
            ),
            np.eye(3),
        ),
        "supercell": (supercell, np.eye(3)),
    }


def _orbits(
    crystal: SymmetricCrystal,
    options: GraphOptions,
    output: Callable[[AnyGraph], torch.Tensor],
    turned: Callable[[torch.Tensor, np.ndarray], torch.Tensor],
) -> dict[str, Any]:
    """One node an orbit against one node an atom."""
    graphs = {
        "orbits": options.graph(crystal),
        "atoms": options.graph(plain_supercell(crystal)),
    }
    return {
        "orbits": _difference(*map(output, graphs.values())),
        "nodes": {name: len(made) for name, made in graphs.items()},
    }


def _frames(
    crystal: SymmetricCrystal,
    options: FrameOptions,
    output: Callable[[AnyGraph], torch.Tensor],
    turned: Callable[[torch.Tensor, np.ndarray], torch.Tensor],
) -> dict[str, Any]:
    """The three forms, and the crystal turned by the elements of the group; of an orbit graph what `_orbits` does.

    ``turned`` moves an output in the standard frame by an orthogonal matrix.
    """
    chosen = network_graph(crystal, options)
    group = model_group(crystal) if options.group == "auto" else PointGroup(options.group)
    if not chosen.group:
        atoms = replace(network_graph(plain_supercell(crystal), options), point_group_number=chosen.point_group_number)
        return {
            "group": group.name,
            "orbits": _difference(output(chosen), output(atoms)),
            "frames": {"needed": group.order // crystal.point_group.order, "at most": options.max_frames},
            "nodes": {"orbits": len(chosen), "atoms": len(atoms)},
        }
    graphs = {form: frame_graph(crystal, group, options, form) for form in FORMS}
    full, n = graphs["full"], len(crystal)
    reference = output(full)
    # Turned by q, what a node (g, a) saw at g⁻¹r it sees at g⁻¹q r.
    frame = group.operations[full.receiver // n]
    axes = frame_rotation(crystal)
    equivariance = 0.0
    for q in group.operations:
        vector = np.einsum("eki,kl,elj,ej->ei", frame, q, frame, full.vector)
        image = output(replace(full, vector=vector, class_vector=vector))
        equivariance = max(equivariance, _difference(image, turned(reference, axes.T @ q @ axes)))
    return {
        "group": group.name,
        "equivariance": equivariance,
        "forms": {form: _difference(output(graph), reference) for form, graph in graphs.items() if form != "full"},
        "frames": {form: group.order if form == "full" else graph.frames for form, graph in graphs.items()},
        "nodes": {form: len(graph) for form, graph in graphs.items()},
    }


def _sites(
    crystal: SymmetricCrystal,
    options: GroupedSiteOptions,
    output: Callable[[AnyGraph], torch.Tensor],
    turned: Callable[[torch.Tensor, np.ndarray], torch.Tensor],
) -> dict[str, Any]:
    """One site an orbit against one an atom, and the crystal turned by the elements of the model group."""
    chosen = options.graph(crystal)
    (group,) = (graph.group for graph in chosen.groups.values())
    plain, identity = site_graph(crystal, group, options, np.zeros(1, int)), np.zeros(1, int)
    atoms = grouped_sites(plain, crystal, identity)
    reference, axes, equivariance = output(atoms), frame_rotation(crystal), 0.0
    for q in group.operations:
        image = output(grouped_sites(replace(plain, vector=plain.vector @ q.T), crystal, identity))
        equivariance = max(equivariance, _difference(image, turned(reference, axes.T @ q @ axes)))
    return {
        "group": group.name,
        "equivariance": equivariance,
        "orbits": _difference(output(chosen), reference),
        "nodes": {"orbits": len(chosen), "atoms": len(atoms)},
    }


_SPECIAL: dict[type[GraphOptions], Callable[..., dict[str, Any]]] = {
    HypergraphOptions: _orbits,
    VectorGraphOptions: _orbits,
    FrameOptions: _frames,
    GroupedSiteOptions: _sites,
}
"""What is checked for one kind of graphs only: crystal, options, output → entries of the report."""


def verify_sites(
    network: torch.nn.Module, source: object, options: SiteGraphOptions | None = None, seed: int = 0
) -> dict[str, Any]:
    """The same for values of sites: at every atom of each description, in its order and axes.

    Args:
        network: a :class:`SiteSymmetryNet`.
        source, options, seed: see :func:`verify`.

    Returns:
        As :func:`verify`, with ``group``; ``orbits`` compares one atom an orbit with all atoms.

    Raises:
        IrrepnetError: the structure cannot be used, or the network has not its model group.
    """
    options = options or SiteGraphOptions()
    net: Any = copy.deepcopy(network).double().eval()
    crystal = SymmetricCrystal.from_structure(source, symprec=options.symprec)

    def values(graph: SiteGraph) -> list[tuple[bool, np.ndarray]]:
        """Of each target whether it is axial, and its values at all atoms in the standard frame."""
        batch = union([graph], torch.float64)
        with torch.no_grad():
            found = net.at_atoms(net(batch), batch)
        return [(net.targets[name].startswith("axial "), value.numpy()) for name, value in found.items()]

    def largest(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
        return max(float(np.abs(a - b).max()) for a, b in zip(one, other))

    graph = options.graph(crystal)
    plain = site_graph(crystal, graph.group, options, np.zeros(1, int))
    reference = values(graph)
    differences = {"orbits": largest([v for _, v in reference], [v for _, v in values(plain)])}
    for name, (structure, rotation) in _descriptions(crystal, seed).items():
        made = SymmetricCrystal.from_structure(structure, symprec=options.symprec)
        atoms = input_atoms(made, structure)
        number = np.array(structure.site_properties["atom"])
        found = [turned_sites(v[atoms], made.rotation[None], axial) for axial, v in values(options.graph(made))]
        wanted = [turned_sites(v[number], rotation[None], axial) for axial, v in reference]
        differences[name] = largest(found, wanted)
    nodes = {"orbits": len(graph), "atoms": len(plain)}
    report = {"formula": crystal.formula, "point_group": crystal.point_group.name, "group": graph.group.name}
    return {**report, "nodes": nodes, **differences, "largest": max(differences.values())}


def verify_energy(
    net: EnergyNet, source: object, options: NeighbourOptions | None = None, seed: int = 0
) -> dict[str, Any]:
    """Energy and forces of a randomly perturbed crystal: equal under every operation of the crystal's space group.

    Args:
        net: any.
        source: the symmetric crystal, whatever :meth:`SymmetricCrystal.from_structure` takes.
        options: of its bonds.
        seed: of the perturbation.

    Returns:
        ``formula``, ``point_group``, ``group`` of the frames, ``nodes`` by form; and the largest differences, eV and
        eV/Å: ``equivariance``, ``supercell`` (1×1×2), ``forms`` (one frame against all), ``gradient`` (forces against
        finite differences), ``largest`` of all.

    Raises:
        IrrepnetError: the structure cannot be used.
    """
    exact = copy.deepcopy(net).double().eval()
    crystal = SymmetricCrystal.from_structure(source)
    parent, double = parent_of(crystal, None, options), parent_of(crystal, (1, 1, 2), options)
    rng = np.random.default_rng(seed)
    strain = 0.01 * rng.normal(size=(3, 3))
    u = 0.05 * rng.normal(size=(len(parent), 3))
    start = Perturbation(u - u.mean(0), strain + strain.T)
    forms: dict[str, Literal["one-frame", "full"]] = {"one-frame": "one-frame", "full": "full"}
    graphs = {name: broken_graph(parent, start, exact.group, form) for name, form in forms.items()}
    found = {name: respond(exact, [graph]) for name, graph in graphs.items()}
    energy, forces = found["one-frame"].energy, found["one-frame"].forces.numpy()
    moved = []
    for permutation, rotation in zip(parent.permutation, parent.rotations):
        shifted, wanted = np.empty_like(u), np.empty_like(u)
        shifted[permutation], wanted[permutation] = start.displacements @ rotation.T, forces @ rotation.T
        image = Perturbation(shifted, rotation @ start.strain @ rotation.T)
        there = respond(exact, [broken_graph(parent, image, exact.group)])
        moved.append(max(_difference(there.energy, energy), float(np.abs(there.forces.numpy() - wanted).max())))
    twice = respond(
        exact,
        [broken_graph(double, Perturbation(np.repeat(start.displacements, 2, axis=0), start.strain), exact.group)],
    )
    step, way = 1e-4, rng.normal(size=u.shape)
    way -= way.mean(0)
    ends = [Perturbation(start.displacements + sign * step * way, start.strain) for sign in (1, -1)]
    high, low = (float(respond(exact, [broken_graph(parent, end, exact.group)]).energy[0]) for end in ends)
    by_force = -float((forces * (way @ (np.eye(3) + start.strain))).sum())
    differences = {
        "equivariance": max(moved),
        "supercell": _difference(twice.energy, 2 * energy),
        "gradient": abs((high - low) / (2 * step) - by_force),
    }
    form = max(_difference(a, b) for a, b in zip(found["full"][:3], found["one-frame"][:3]))
    report = {"formula": crystal.formula, "point_group": crystal.point_group.name, "group": exact.group.name}
    nodes = {name: len(graph) for name, graph in graphs.items()}
    return {
        **report,
        "nodes": nodes,
        **differences,
        "forms": {"one-frame": form},
        "largest": max(*differences.values(), form),
    }


def verify_hamiltonian(task: HamiltonianTask, network: torch.nn.Module, file: str | Path) -> dict[str, Any]:
    """How far the predicted H of a crystal is from Hermitian and from obeying its space group, eV.

    Raises:
        IrrepnetError: the file cannot be used.
    """
    sample = sample_for(file, task.settings)
    found = task.hamiltonian(network, sample)
    residual = symmetry_residual(found, sample.act).symmetry
    differences = {"hermiticity": hermiticity(found), "symmetry": residual}
    report = {"formula": sample.formula, "point_group": sample.act.group.point_group.name}
    return {**report, "nodes": {"sites": len(sample.species)}, **differences, "largest": max(differences.values())}


def verify_model(name: str, file: str | Path, seed: int = 0) -> dict[str, Any]:
    """Check a run, or a preset with random weights, on a crystal.

    Args:
        name: a run folder, or a preset.
        file: a structure file; for Hamiltonians also a *.safetensors.
        seed: of the weights of a preset, and of what is done to the crystal.

    Raises:
        IrrepnetError: the run or the file cannot be used.
    """
    if name in presets():
        task, network = _random(name, file, seed)
    else:
        run = load_run(name)
        task, network = run.task, run.model
    if isinstance(task, SiteTask):
        return verify_sites(network, file, task.config.graph, seed)
    if isinstance(task, EnergyTask):
        return verify_energy(network, file, task.config.data.shells, seed)  # type: ignore[arg-type]
    if isinstance(task, HamiltonianTask):
        return verify_hamiltonian(task, network, file)
    return verify(network, file, task.config.graph, seed)


def _random(preset: str, file: str | Path, seed: int) -> tuple[Task, torch.nn.Module]:
    """The task of a preset, without data, and a network with random weights everywhere."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = load_config(preset, {"data.source": "none"} | _NEEDED.get(preset, {"data.targets": "none"}))
        task = task_class(config.task)(config)
        if isinstance(task, SiteTask):
            kinds = {"scalar": "scalar", "vector": "vector", "tensor": "ij", "axial tensor": "axial ij"}
            return task, _filled(SiteSymmetryNet(SiteSymmetryConfig(), kinds))
        if isinstance(task, EnergyTask):
            crystal = SymmetricCrystal.from_structure(file)
            return task, _filled(EnergyNet(EnergyConfig(group=crystal.point_group.name)))
        if isinstance(task, HamiltonianTask):
            return task, _filled(task.network())
        return task, _filled(build_model(config.model, 1, config.graph))


_NEEDED = {
    "site-symmetry": {"data.targets": "born_charges"},
    "energy": {"data.parent": "none"},
    "hamiltonian": {},
}
"""What a preset's configuration needs besides its data."""
