"""The energy of perturbed crystals: symmetry, forms, derivatives, supercells."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from irrepnet.crystals import NeighbourOptions, SymmetricCrystal
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import Parent, Perturbation, broken_graph, parent_of, symmetry_left
from irrepnet.models.energy import EnergyConfig, EnergyNet, Response, perturbed_batch

OPTIONS = NeighbourOptions(cutoff=4.0, n_max=6)
STRUCTURES = {
    "Pm-3m": (Lattice.cubic(4.06), ["K", "Nb", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]]),
    "Fm-3m": (Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5] * 3]),
    "P6_3mc": (Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
}


def parent(name: str = "Pm-3m", supercell=None) -> Parent:
    structure = Structure.from_spacegroup(name, *STRUCTURES[name])
    return parent_of(SymmetricCrystal.from_structure(structure), supercell, OPTIONS)


def network(group: str | None, seed: int = 0) -> EnergyNet:
    """Random weights everywhere, also where training starts from zero."""
    torch.manual_seed(seed)
    net = EnergyNet(EnergyConfig(group=group, channels=6, moments=3)).double()
    for weights in net.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.1)
    return net


def response(net: EnergyNet, over: Parent, *perturbations: Perturbation, form: Any = "one-frame") -> Response:
    graphs = [broken_graph(over, p, net.group, form) for p in perturbations]
    return net.response(perturbed_batch(graphs, net.group))


def random_perturbation(n: int, seed: int = 0, kinds="ufsm") -> Perturbation:
    random = np.random.default_rng(seed)
    u, strain = 0.1 * random.normal(size=(n, 3)), 0.02 * random.normal(size=(3, 3))
    field, moments = random.normal(size=3), random.normal(size=(n, 3))
    return Perturbation(
        u if "u" in kinds else None,
        strain + strain.T if "s" in kinds else None,
        field if "f" in kinds else None,
        moments if "m" in kinds else None,
    )


def turned(over: Parent, p: Perturbation, k: int, reversal: int = 1) -> Perturbation:
    """The perturbation after operation k of the parent."""
    known, rotation, to = p.checked(over), over.rotations[k], over.permutation[k]
    u, moments = np.empty((len(over), 3)), np.empty((len(over), 3))
    u[to] = known.displacements @ rotation.T
    moments[to] = reversal * np.linalg.det(rotation) * known.moments @ rotation.T
    return Perturbation(u, rotation @ known.strain @ rotation.T, rotation @ known.field, moments)


def averaged(over: Parent, p: Perturbation, operations: np.ndarray, reversal: np.ndarray) -> Perturbation:
    """What the operations, a group, leave of a perturbation."""
    images = [turned(over, p, k, r) for k, r in zip(operations, reversal)]
    names = ("displacements", "strain", "field", "moments")
    return Perturbation(*(np.mean([getattr(image, name) for image in images], axis=0) for name in names))


def assert_close(a: Response, b: Response, tolerance: float = 1e-10) -> None:
    for name, x, y in zip(Response._fields, a, b):
        assert (x - y).abs().max() < tolerance, name


@pytest.mark.parametrize(
    ("name", "group"), [("Pm-3m", "m-3m"), ("P6_3mc", "6mm"), ("P6_3mc", "6/mmm"), ("Fm-3m", "-43m")]
)
def test_equivariance(name, group):
    """Under every fifth operation of the parent whose rotation is in the group, alone and with time reversal."""
    over, net = parent(name), network(group)
    n = len(over)
    p = random_perturbation(n)
    inside = [
        k for k in range(len(over.element)) if np.abs(net.group.operations - over.rotations[k]).max((1, 2)).min() < 1e-9
    ]
    chosen = [(k, sign) for i, k in enumerate(inside) for sign in (1, -1) if i % 5 == 1]
    found = response(net, over, p, *(turned(over, p, *which) for which in chosen))
    forces, gradient = found.forces.reshape(-1, n, 3), found.moment_gradient.reshape(-1, n, 3)
    for i, (k, sign) in enumerate(chosen, 1):
        rotation, to = torch.from_numpy(over.rotations[k]), over.permutation[k]
        axial = sign * torch.linalg.det(rotation) * rotation
        assert (found.energy[i] - found.energy[0]).abs() < 1e-10
        assert (forces[i, to] - forces[0] @ rotation.T).abs().max() < 1e-10
        assert (found.stress[i] - rotation @ found.stress[0] @ rotation.T).abs().max() < 1e-10
        assert (found.polarization[i] - rotation @ found.polarization[0]).abs().max() < 1e-10
        assert (gradient[i, to] - gradient[0] @ axial.T).abs().max() < 1e-10
    assert found.energy.abs().min() > 1e-4  # it is not blind


@pytest.mark.parametrize("kind", ["[001]", "[011]", "[111]", "strain", "field", "moments", "all", "nothing"])
def test_frames_that_are_left_equal_the_full_form(kind):
    over, net = parent(), network("m-3m")
    pattern = np.zeros((5, 3))
    if kind.startswith("["):
        pattern[1] = 0.1 * np.array([int(c) for c in kind[1:4]])
    p = {
        "strain": Perturbation(strain=np.diag([0.02, 0.02, -0.01])),
        "field": Perturbation(field=np.array([0, 0.3, 0.3])),
        "moments": Perturbation(moments=np.outer(np.eye(5)[1], [0, 0, 1.0])),
        "all": Perturbation(
            np.outer(np.eye(5)[1], [0, 0, 0.1]),
            np.diag([0, 0, 0.02]),
            np.array([0, 0, 0.4]),
            np.outer(np.eye(5)[1], [0, 0, 1.0]),
        ),
    }.get(kind, Perturbation(pattern))
    if kind == "nothing":
        p = Perturbation()
    assert_close(response(net, over, p), response(net, over, p, form="full"))


@pytest.mark.parametrize("name", ["Pm-3m", "P6_3mc"])
def test_frames_of_random_subgroups_equal_the_full_form(name):
    """Random perturbations averaged over cyclic groups of operations, in a supercell too."""
    random = np.random.default_rng(1)
    over = parent(name, (1, 1, 2) if name == "P6_3mc" else None)
    net = network("6mm" if name == "P6_3mc" else "m-3m")
    for seed in range(4):
        k, sign = int(random.integers(1, len(over.element))), int(random.choice([1, -1]))
        powers, signs = [k], [sign]
        while len(powers) < 24:  # powers of (k, sign), each as often as the others
            to = over.permutation[k][over.permutation[powers[-1]]]
            rotation = over.rotations[k] @ over.rotations[powers[-1]]
            same = (over.permutation == to).all(1) & (np.abs(over.rotations - rotation).max((1, 2)) < 1e-9)
            powers.append(int(np.flatnonzero(same)[0]))
            signs.append(signs[-1] * sign)
        p = averaged(over, random_perturbation(len(over), seed), np.array(powers), np.array(signs))
        operations, _ = symmetry_left(over, p)
        assert len(operations) > 1
        graph = broken_graph(over, p, net.group)
        assert len(graph) * len(graph.operations) == 2 * net.group.order * len(over)
        assert_close(response(net, over, p), response(net, over, p, form="full"))


def test_symmetric_forces_and_stress():
    """Exactly those that the operations left allow: along z at every atom; in the parent none at all."""
    over, net = parent(), network("m-3m")
    moved = response(net, over, Perturbation(np.outer(np.eye(5)[1], [0, 0, 0.1])))
    assert moved.forces[:, :2].abs().max() < 1e-12 < moved.forces[:, 2].abs().min()
    assert (moved.forces.sum(0)).abs().max() < 1e-12
    assert (moved.stress - torch.diag(torch.diag(moved.stress[0]))).abs().max() < 1e-12
    still = response(net, over, Perturbation())
    assert still.energy.abs().max() < 1e-14
    assert still.forces.abs().max() < 1e-12
    assert still.polarization.abs().max() < 1e-12


def test_derivatives_are_those_of_the_energy():
    """Central differences: positions at fixed cell, the deformation, the field, the moments."""
    over, net = parent(), network("m-3m")
    p = random_perturbation(5).checked(over)
    found, h = response(net, over, p), 1e-4
    deformation = np.eye(3) + p.strain

    def difference(changed) -> float:
        ends = response(net, over, changed(h), changed(-h)).energy
        return float(ends[0] - ends[1]) / (2 * h)

    def at(atom: int, axis: int, h: float) -> np.ndarray:
        shift = np.zeros((5, 3))
        shift[atom, axis] = h
        return shift

    random = np.random.default_rng(0)
    for atom, axis in random.integers((5, 3), size=(4, 2)):
        expected = -difference(
            lambda h, i=atom, x=axis: Perturbation(
                p.displacements + at(i, x, h) @ np.linalg.inv(deformation), p.strain, p.field, p.moments
            )
        )
        assert abs(found.forces[atom, axis] - expected) < 1e-7
        expected = difference(
            lambda h, i=atom, x=axis: Perturbation(p.displacements, p.strain, p.field, p.moments + at(i, x, h))
        )
        assert abs(found.moment_gradient[atom, axis] - expected) < 1e-7
    expected = -difference(lambda h: Perturbation(p.displacements, p.strain, p.field + h * np.eye(3)[1], p.moments))
    assert abs(found.polarization[0, 1] - expected) < 1e-7
    volume = over.volume * np.linalg.det(deformation)
    for i, j in ((0, 0), (0, 1), (1, 2)):

        def strained(h, i=i, j=j):
            """F = (1 + η)(1 + ε) without its rotation: √(FᵀF) − 1."""
            further = np.zeros((3, 3))
            further[i, j] += h / 2
            further[j, i] += h / 2
            values, axes = np.linalg.eigh(deformation @ (np.eye(3) + further) @ (np.eye(3) + further) @ deformation)
            return Perturbation(p.displacements, axes * np.sqrt(values) @ axes.T - np.eye(3), p.field, p.moments)

        assert abs(found.stress[0, i, j] - difference(strained) / volume) < 1e-8


def test_smooth_through_the_parent():
    """Second differences of the energy stay bounded where the symmetry changes."""
    over, net = parent(), network("m-3m")
    pattern = np.outer(np.eye(5)[1], [0.3, 0.5, 0.8])
    steps = np.linspace(-1e-2, 1e-2, 21)
    energy = response(net, over, *(Perturbation(s * pattern) for s in steps)).energy.numpy()
    second = np.diff(energy, 2) / (steps[1] - steps[0]) ** 2
    assert np.ptp(second) < 1e-2 * abs(second).max()


def test_translation_permutation_and_time_reversal():
    over, net = parent(), network("m-3m")
    p = random_perturbation(5)
    shifted = Perturbation(p.displacements + np.array([0.3, -0.2, 0.1]), p.strain, p.field, p.moments)
    reversed_ = Perturbation(p.displacements, p.strain, p.field, -p.moments)
    found = response(net, over, p, shifted, reversed_)
    assert (found.energy - found.energy[0]).abs().max() < 1e-12
    order = np.array([3, 1, 4, 0, 2])
    position = np.argsort(order)
    other = Parent(
        over.lattice,
        over.positions[order],
        over.numbers[order],
        over.point_group,
        over.element,
        position[over.permutation[:, order]],
        *(lambda by: (position[over.receiver][by], position[over.sender][by], over.vector[by]))(
            np.argsort(position[over.receiver], kind="stable")
        ),
    )
    moved = response(net, other, Perturbation(p.displacements[order], p.strain, p.field, p.moments[order]))
    assert (moved.energy - found.energy[0]).abs().max() < 1e-12
    assert (moved.forces - found.forces[:5][order]).abs().max() < 1e-12


@pytest.mark.parametrize("supercell", [(2, 1, 1), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]])
def test_supercells(supercell):
    """The same perturbation in every cell: n times the energy, the same forces and stress."""
    one, many, net = parent(), parent("Pm-3m", supercell), network("m-3m")
    p = random_perturbation(5)
    cell = many.positions @ np.linalg.inv(one.lattice)
    own = np.array(
        [np.abs((x - one.positions @ np.linalg.inv(one.lattice) + 0.5) % 1 - 0.5).sum(1).argmin() for x in cell]
    )
    repeated = Perturbation(p.displacements[own], p.strain, p.field, p.moments[own])
    a, b = response(net, one, p), response(net, many, repeated)
    assert abs(b.energy - 2 * a.energy) < 1e-10
    assert (b.forces - a.forces[own]).abs().max() < 1e-10
    assert (b.stress - a.stress).abs().max() < 1e-10
    graph = broken_graph(many, repeated, net.group)
    assert len(graph) == len(broken_graph(one, p, net.group))  # the translations are symmetries too


def test_without_symmetry_nothing_ties_the_energy():
    """Group 1: the baseline sees a perturbation and its mirror image as different."""
    over, net = parent(), network("1")
    p = random_perturbation(5, kinds="u")
    found = response(net, over, p, turned(over, p, 7))
    assert (found.energy[0] - found.energy[1]).abs() > 1e-4


def test_without_frames_the_energy_is_invariant_under_all_rotations():
    """The body alone, on a crystal with its parent turned by any rotation: no group, no axes."""
    over, net = parent(), network(None)
    p = random_perturbation(5, kinds="us")
    turn = Rotation.from_rotvec([0.3, -0.7, 1.1]).as_matrix()
    other = replace(over, lattice=over.lattice @ turn.T, positions=over.positions @ turn.T, vector=over.vector @ turn.T)
    graphs = [
        broken_graph(over, p, net.group),
        broken_graph(other, Perturbation(p.displacements @ turn.T, turn @ p.strain @ turn.T), net.group),
    ]
    found = net.response(perturbed_batch(graphs, net.group))
    a, b = found.forces.reshape(2, 5, 3)
    assert abs(found.energy[0]) > 1e-4
    assert (found.energy[0] - found.energy[1]).abs() < 1e-10
    assert (b - a @ turn.T).abs().max() < 1e-10
    assert (found.stress[1] - turn @ found.stress[0].numpy() @ turn.T).abs().max() < 1e-10


def test_without_frames_all_operations_of_the_parent_are_kept():
    over, net = parent("P6_3mc"), network(None)
    p = random_perturbation(4, kinds="us")
    found = response(net, over, p, *(turned(over, p, k) for k in range(1, len(over.element))))
    assert (found.energy - found.energy[0]).abs().max() < 1e-10


@pytest.mark.parametrize("kind", ["f", "m"])
def test_without_frames_a_field_is_refused(kind):
    with pytest.raises(IrrepnetError, match="no frames"):
        response(network(None), parent(), random_perturbation(5, kinds=kind))


def test_frames_start_from_zero():
    torch.manual_seed(0)
    net = EnergyNet(EnergyConfig(group="m-3m", channels=6, layers=0)).double()
    assert response(net, parent(), random_perturbation(5)).energy.abs().max() < 1e-12
