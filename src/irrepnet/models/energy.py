"""The energy of a perturbed crystal, with forces and stress as its gradients."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from pydantic import BaseModel, Field
from torch import nn

from irrepnet.data.batch import union
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import BrokenGraph, unperturbed
from irrepnet.groups import PointGroup
from irrepnet.nn.convolution import GroupConvolution, mlp
from irrepnet.nn.edges import Edges
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.harmonics import Harmonics
from irrepnet.nn.radial import GaussianBasis

STEP = 0.1
"""Å, the size of displacement to which the network's inputs are scaled."""


class EnergyConfig(BaseModel, extra="forbid", frozen=True):
    """What an :class:`EnergyNet` is made of."""

    group: str | None = Field(
        default=None, description="model group G of the frames, as a rule the parent's point group; none for no frames"
    )
    channels: int = Field(default=16, ge=1, description="channels of the features")
    layers: int = Field(default=2, ge=0, description="convolutions of the body, which is invariant under O(3)")
    l_max: int = Field(default=3, ge=1, description="largest l of the moments of the bonds' directions in the body")
    moments: int = Field(default=8, ge=1, description="moments of each l")
    frame_layers: int = Field(default=1, ge=1, description="convolutions on the frames, if there is a group")
    radius: float = Field(default=6.0, gt=0, description="largest distance that the radial basis resolves, Å")


class Response(NamedTuple):
    """Energies of perturbed crystals and their derivatives, atoms of all crystals one after the other."""

    energy: torch.Tensor
    """(n_crystals,) eV a cell, 0 for the unperturbed parent."""
    forces: torch.Tensor
    """(n_atoms, 3) eV/Å on the atoms at (1 + ε)(x + u), in the parent's axes."""
    stress: torch.Tensor
    """(n_crystals, 3, 3) eV/Å³, symmetric: Cauchy stress (1/V) ∂E/∂η for a further strain η, positive under tension."""
    polarization: torch.Tensor
    """(n_crystals, 3) −∂E/∂field, a dipole moment a cell."""
    moment_gradient: torch.Tensor
    """(n_atoms, 3) ∂E/∂moment: minus the effective field on each moment."""


def perturbed_batch(
    graphs: Sequence[BrokenGraph], group: PointGroup, dtype: torch.dtype = torch.float64
) -> BrokenGraph[torch.Tensor]:
    """The graphs of one model group as a batch, and after them, once each, those of their unperturbed parents."""
    parents = list({id(graph.parent): graph.parent for graph in graphs}.values())
    position = {id(parent): len(graphs) + i for i, parent in enumerate(parents)}
    batch = union([*graphs, *(unperturbed(parent, group) for parent in parents)], dtype)
    return replace(batch, reference=torch.tensor([position[id(graph.parent)] for graph in graphs]))


class EnergyNet(nn.Module):
    """E = n · (mean over atoms of ε_a + mean over nodes of ε(v_a(g)) − the same of the unperturbed parent).

    An edge is a bond of the parent, r, and knows what has become of it, d = (1 + ε)(r + u_b − u_a); all is smooth in
    the perturbation. The layers are :class:`irrepnet.nn.GroupConvolution`.

    The *body* runs on the atoms. It sees lengths |d|, their change, and the lengths of the moments of the directions
    d̂ around each atom: ε_a is invariant under all of O(3) and blind to field and moments.

    The *frames*, if the configuration names a group G, are the nodes (g, a) of the graph. A node starts from the body's
    features, the field g⁻¹E and its moment ± det(g) g⁻¹m, and sees bonds as g⁻¹r̂ and g⁻¹(d − r). Their part of the
    energy starts from zero.

    E is exactly invariant under the operations of the parent's space group whose rotations lie in G (without frames:
    under all) and under time reversal, is the same in every supercell times the number of cells, and is 0 without a
    perturbation.

    A perturbation enters through its projection on the symmetry that the graph found left. So gradients, too, are
    those of the full form on all 2|G|·n nodes, although a reduced graph has lost the other directions.

    Args:
        config: see :class:`EnergyConfig`.

    Attributes:
        group: G; the group 1 if there are no frames.
        scale: eV an atom, the unit of ε.
    """

    def __init__(self, config: EnergyConfig) -> None:
        super().__init__()
        self.config = config
        self.group = PointGroup(config.group or "1")
        channels, moments = config.channels, (config.l_max, config.moments)
        self.embedding = ElementEmbedding(channels)
        self.distance = GaussianBasis(0.5, config.radius, 32)
        self.edge = mlp(32 + 1, channels, channels)
        self.harmonics = Harmonics(config.l_max)
        self.body = nn.ModuleList(
            GroupConvolution(PointGroup("1"), channels, channels, 0, None, moments) for _ in range(config.layers)
        )
        self.readout = AtomicEnergy(channels)
        self.frames = nn.ModuleList()
        if config.group is not None:
            self.vectors = nn.Linear(6, channels, bias=False)
            self.frames.extend(
                GroupConvolution(self.group, channels, channels, 6, None) for _ in range(config.frame_layers)
            )
            self.frame_readout = AtomicEnergy(channels)
            self.frame_readout.start_from_zero()
        self.register_buffer("scale", torch.ones(()))

    def forward(self, batch: BrokenGraph[torch.Tensor]) -> torch.Tensor:
        """(n_crystals,) eV a cell.

        Raises:
            IrrepnetError: a field or moments, and no frames.
        """
        displacements, strain, field, moments = _projected(batch)
        moved = _moved(batch, displacements, strain)
        v, hidden = self.body_features(batch, moved)
        energy = _mean(self.readout(v), batch.atom_crystal, len(batch.atoms))
        if self.frames:
            v = self._frames(batch, moved, field, moments, v, hidden)
            energy = energy + _mean(self.frame_readout(v), batch.crystal, len(batch.atoms))
        elif field.any() or moments.any():
            raise IrrepnetError("a field or moments: this network has no frames and is blind to them; name a group")
        assert batch.reference is not None
        n = len(batch.reference)
        return self.get_buffer("scale") * batch.atoms[:n] * (energy[:n] - energy[batch.reference])

    def body_features(self, batch: BrokenGraph[torch.Tensor], moved: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of the atoms (n_atoms, channels) and of the bonds (n_bonds, channels), from d (n_bonds, 3)."""
        length = moved.norm(dim=-1)
        stretch = (length - batch.bond_vector.norm(dim=-1)) / STEP
        hidden = nn.functional.silu(self.edge(torch.cat([self.distance(length), stretch[:, None]], -1), twice=True))
        harmonics = self.harmonics(moved / length[:, None])
        v = self.embedding(batch.numbers)
        bond, inverse_count = torch.arange(len(moved), device=moved.device), _inverse_count(batch.bond_receiver, v)
        numbers = (batch.bond_receiver, batch.bond_sender, bond, len(bond))
        edges = Edges(*numbers, inverse_count, harmonics=harmonics, twice=True)
        for layer in self.body:
            v = layer(v, hidden, (), edges)
        return v, hidden

    def _frames(
        self,
        batch: BrokenGraph[torch.Tensor],
        moved: torch.Tensor,
        field: torch.Tensor,
        moments: torch.Tensor,
        v: torch.Tensor,
        hidden: torch.Tensor,
    ) -> torch.Tensor:
        """Features of the nodes."""
        sign = batch.node_reversal * torch.linalg.det(batch.node_rotation)
        own = [field.index_select(0, batch.crystal), sign[:, None] * moments.index_select(0, batch.node_atom)]
        v = v.index_select(0, batch.node_atom) + self.vectors((torch.stack(own, 1) @ batch.node_rotation).flatten(1))
        unit = batch.bond_vector / batch.bond_vector.norm(dim=-1, keepdim=True)
        bonds = torch.stack([unit, (moved - batch.bond_vector) / STEP], 1).index_select(0, batch.bond)
        covariants = (bonds @ batch.node_rotation.index_select(0, batch.receiver)).flatten(1)  # g⁻¹ of each
        numbers = (batch.receiver, batch.sender, batch.bond, len(hidden))
        edges = Edges(*numbers, _inverse_count(batch.receiver, v), directed=len(covariants), twice=True)
        for layer in self.frames:
            v = layer(v, hidden, [(slice(None), covariants)], edges)
        return v

    def response(self, batch: BrokenGraph[torch.Tensor], training: bool = False) -> Response:
        """Energies and their derivatives; with ``training`` these can be differentiated by the weights."""
        inputs = [
            getattr(batch, name).detach().requires_grad_() for name in ("displacements", "strain", "field", "moments")
        ]
        displacements, strain, field, moments = inputs
        perturbed = replace(batch, displacements=displacements, strain=strain, field=field, moments=moments)
        with torch.enable_grad():
            energy = self(perturbed)
            by_u, by_strain, by_field, by_moment = torch.autograd.grad(
                energy.sum(), inputs, create_graph=training, materialize_grads=True
            )
        size = len(energy)
        n = int((batch.atom_crystal < size).sum())
        deformation = torch.eye(3, dtype=by_strain.dtype, device=by_strain.device) + batch.strain[:size]
        by_x = torch.linalg.solve(deformation[batch.atom_crystal[:n]], by_u[:n, :, None])[:, :, 0]
        # A further strain η takes U = 1 + ε to √(U (1 + 2η) U): in the axes of U dU_ij = 2 w_i w_j / (w_i + w_j) η_ij.
        stretch, axes = torch.linalg.eigh(deformation)
        factor = 2 * stretch[:, :, None] * stretch[:, None] / (stretch[:, :, None] + stretch[:, None])
        by_stretch = axes.mT @ (by_strain[:size] + by_strain[:size].mT) @ axes / 2
        stress = axes @ (factor * by_stretch) @ axes.mT / (batch.volume[:size] * stretch.prod(-1))[:, None, None]
        return Response(
            energy=energy if training else energy.detach(),
            forces=-by_x,
            stress=(stress + stress.mT) / 2,
            polarization=-by_field[:size],
            moment_gradient=by_moment[:n],
        )


class AtomicEnergy(nn.Module):
    """ε(v) = MLP(v) + mean of (A v)(B v): the product starts the harmonic part where the network is still linear."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.dense = mlp(channels, channels, 1)
        self.left, self.right = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def start_from_zero(self) -> None:
        for weights in (*self.dense[-1].parameters(), *self.left.parameters()):
            nn.init.zeros_(weights)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """(n, channels) → (n,)."""
        return self.dense(self.norm(v), twice=True)[:, 0] + (self.left(v) * self.right(v)).mean(-1)


def _moved(batch: BrokenGraph[torch.Tensor], displacements: torch.Tensor, strain: torch.Tensor) -> torch.Tensor:
    """(n_bonds, 3) d = (1 + ε)(r + u_b − u_a)."""
    moved = batch.bond_vector + displacements.index_select(0, batch.bond_sender)
    moved = moved - displacements.index_select(0, batch.bond_receiver)
    return moved + (strain.index_select(0, batch.bond_crystal) @ moved[:, :, None])[:, :, 0]


def _inverse_count(receiver: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """(len(v), 1) one over the number of neighbours."""
    return 1 / torch.bincount(receiver, minlength=len(v)).to(v.dtype)[:, None]


def _mean(values: torch.Tensor, owner: torch.Tensor, size: int) -> torch.Tensor:
    """Mean over the rows of each owner: (n, …) → (size, …)."""
    count = values.new_zeros(size).index_add(0, owner, torch.ones_like(owner, dtype=values.dtype))
    total = values.new_zeros(size, *values.shape[1:]).index_add(0, owner, values)
    return total / count.reshape(-1, *[1] * (values.dim() - 1))


def _projected(batch: BrokenGraph[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Displacements, strain, field and moments: the mean over the operations that are left."""
    rotation, owner, size = batch.op_rotation, batch.op_crystal, len(batch.atoms)

    def at_atoms(vectors: torch.Tensor, op: torch.Tensor) -> torch.Tensor:
        moved = (op.index_select(0, batch.image_op) @ vectors.index_select(0, batch.source)[:, :, None])[:, :, 0]
        return _mean(moved, batch.image, len(vectors))

    strain = _mean(rotation @ batch.strain.index_select(0, owner) @ rotation.mT, owner, size)
    field = _mean((rotation @ batch.field.index_select(0, owner)[:, :, None])[:, :, 0], owner, size)
    moments = at_atoms(batch.moments, batch.op_axial[:, None, None] * rotation)
    return at_atoms(batch.displacements, rotation), (strain + strain.mT) / 2, field, moments
