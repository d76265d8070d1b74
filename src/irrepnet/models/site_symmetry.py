"""A network for scalars and tensors of sites and crystals, with features in the irreps of each site's own group."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import nn

from irrepnet.crystals import MODEL_GROUPS
from irrepnet.data.sites import SITE_KINDS
from irrepnet.errors import IrrepnetError
from irrepnet.groups import PointGroup
from irrepnet.models.network import ModelGroup
from irrepnet.nn.edges import Edges
from irrepnet.nn.elements import ElementEmbedding
from irrepnet.nn.pooling import MeanSpread
from irrepnet.nn.radial import GaussianBasis
from irrepnet.nn.site import SiteConvolution, TensorReadout
from irrepnet.nn.site_bonds import SiteBonds, coordinate_irreps
from irrepnet.nn.site_tensors import WIDTH, SiteTensors, TensorTotals

if TYPE_CHECKING:
    from irrepnet.graphs import SiteGraph


class SiteSymmetryConfig(BaseModel, extra="forbid", frozen=True):
    """What a :class:`SiteSymmetryNet` is made of."""

    group: ModelGroup = "auto"
    channels: int = Field(default=64, ge=1, description="channels of the invariants of a site")
    covariants: int | None = Field(
        default=None,
        ge=0,
        description="channels of each non-trivial irrep of the model group; by default 8 where a target is axial, "
        "which the tensors do not reach, else 0",
    )
    tensors: int = Field(
        default=16, ge=0, description="channels of the vectors and tensors that all model groups share; 0 for none"
    )
    layers: int = Field(default=3, ge=0, description="convolutions")
    dropout: float = Field(
        default=0.15, ge=0, lt=1, description="share of the hidden features that a step of training leaves out"
    )
    radius: float = Field(default=8.0, gt=0, description="largest distance that the radial basis resolves, Å")


class SiteSymmetryNet(nn.Module):
    """Invariants and coordinates in the fixed subspaces of the site groups, convolved, read out as tensors of sites.

    Beside them go vectors and tensors of rank 2, projected likewise, by weights that all model groups share
    (:mod:`irrepnet.nn.site_tensors`). The tensor of a crystal is the mean of tensors of its atoms, and so one that the
    crystal's point group allows.

    The network runs on the sites of a batch and does not know how much symmetry made them: one atom an orbit, or
    all atoms. Their results are equal.

    Args:
        config: see :class:`SiteSymmetryConfig`.
        targets: {name: kind}, the tensors of a site. Kinds are "scalar", "vector", "ij" (rank 2), "ij=ji", "ij=-ji" and
            "ij=ji traceless"; polar, or axial with "axial " before them.
        sum_rule: names of targets that sum to zero over the atoms of a crystal, as Born effective charges do; of their
            sum each atom gives up a share, which depends on its invariants.
        of_crystals: names of targets of which a crystal has one, as the permittivity.

    Raises:
        IrrepnetError: an unknown kind, or a sum rule of no target.
    """

    def __init__(
        self,
        config: SiteSymmetryConfig,
        targets: Mapping[str, str],
        sum_rule: Sequence[str] = (),
        of_crystals: Sequence[str] = (),
    ) -> None:
        super().__init__()
        if unknown := set(sum_rule) - set(targets):
            raise IrrepnetError(f"sum rule of {', '.join(sorted(unknown))}: the targets are {', '.join(targets)}")
        self.config = config
        names = MODEL_GROUPS if config.group == "auto" else (PointGroup(config.group).name,)
        groups = [PointGroup(name) for name in names]
        self.targets, self.sum_rule, self.of_crystals = dict(targets), tuple(sum_rule), tuple(of_crystals)
        axial = any(_kind(kind)[0] for kind in targets.values())
        covariants = (8 if axial else 0) if config.covariants is None else config.covariants
        channels, self.covariants = config.channels, covariants
        self.embedding = ElementEmbedding(channels)
        self.distance = GaussianBasis(0.5, config.radius, 32)
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        self.bonds = nn.ModuleDict({group.name: SiteBonds(group) for group in groups})
        self.radial = nn.Linear(32 + 16, channels)
        self.angular = nn.ModuleDict(
            {name: nn.Linear(bonds.n_invariants, channels, bias=False) for name, bonds in self._bonds.items()}
        )
        self.edge = nn.Linear(channels, channels)
        self.convolutions = nn.ModuleList(
            SiteConvolution(self._bonds, channels, covariants, config.tensors, channels, layer == 0, config.dropout)
            for layer in range(config.layers)
        )
        self.norm = nn.LayerNorm(channels)
        self.readouts = nn.ModuleList()
        for kind in self.targets.values():
            acts = [(group, _representation(group, kind)) for group in groups]
            self.readouts.append(TensorReadout(acts, channels, covariants))
        self.site_tensors = nn.ModuleDict({group.name: SiteTensors(group) for group in groups})
        self.totals = nn.ModuleDict()
        for number, kind in enumerate(self.targets.values()):
            axial, projector = _kind(kind)
            if config.tensors and not axial and len(projector) > 1:
                self.totals[str(number)] = TensorTotals(config.tensors, projector)
        self.share = nn.Linear(channels, len(self.sum_rule)) if self.sum_rule else None
        if self.share is not None:
            nn.init.zeros_(self.share.weight)  # equal shares
            nn.init.zeros_(self.share.bias)

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor], *args: Any, **more: Any) -> Any:
        """Of earlier runs too, which did not know of their crystal or of shared tensors: these weights are zero."""
        own = self.state_dict().items()
        new = {
            key: torch.zeros_like(w)
            for key, w in own
            if key.endswith("context.weight") or "cartesian." in key or "totals." in key
        }
        return super().load_state_dict({**new, **state_dict}, *args, **more)

    @property
    def _bonds(self) -> dict[str, SiteBonds]:
        return dict(self.bonds.items())  # type: ignore[arg-type]

    def forward(self, batch: "SiteGraph[torch.Tensor]") -> dict[str, torch.Tensor]:
        """{name: (n_sites,), (n_sites, 3) or (n_sites, 3, 3)}, Cartesian in each crystal's standard frame.

        Of the targets that crystals have one of (n_crystals, …).

        Raises:
            IrrepnetError: the batch was made for another model group.
        """
        s, x, t = self._features(batch)
        name, coordinates, outputs = batch.group.name, _coordinates(batch), {}
        for number, ((target, kind), readout) in enumerate(zip(self.targets.items(), self.readouts)):
            axial, projector = _kind(kind)
            made = str(number)
            given = self.totals[made](t) if made in self.totals else None
            value = readout(s, x, name, batch.basis, coordinates, given).view(-1, *_shape(projector))
            value = _turned(value, batch.axes, axial)
            if target in self.sum_rule and self.share is not None:
                share = torch.nn.functional.softplus(self.share(s)[:, self.sum_rule.index(target)])
                value = value - _shared_out(self._at_atoms(value, axial, batch), share, batch)
            if target in self.of_crystals:
                value = _crystal_mean(self._at_atoms(value, axial, batch), batch)
            outputs[target] = value
        return outputs

    def pooled(self, batch: "SiteGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, 2 channels) mean and spread of the invariants of each crystal's atoms."""
        return MeanSpread()(self._features(batch)[0], batch.crystal, batch.size, batch.multiplicity)

    def _features(self, batch: "SiteGraph[torch.Tensor]") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Invariants, coordinates and tensors of the sites, after the layers."""
        name = batch.group.name
        if name not in self.bonds:
            raise IrrepnetError(f"the network has the model group {' or '.join(self.bonds)}, the batch {name}")
        unit = torch.nn.functional.normalize(batch.vector, dim=-1)
        tables = None
        if self.covariants:
            bonds = (batch.receiver, batch.sender, batch.carrier, batch.fixed, batch.basis)
            tables = self._bonds[name](batch.vector, *bonds)
        invariants = self._bonds[name].direction.invariants(unit) if tables is None else tables.invariants
        length = batch.vector.norm(dim=-1)
        relative = 3 * length / batch.nearest[batch.receiver]
        hidden = self.radial(torch.cat([self.distance(length), self.relative(relative)], -1))
        hidden = torch.nn.functional.silu(hidden + self.angular[name](invariants))
        hidden = torch.nn.functional.silu(self.edge(hidden))
        s = self.embedding(batch.numbers)
        coordinates = _coordinates(batch)
        x = batch.basis.new_zeros(len(batch.basis), self.covariants)
        neighbours = torch.zeros_like(batch.nearest).index_add(0, batch.receiver, batch.weight)
        numbers = (batch.receiver, batch.sender, torch.arange(len(hidden), device=hidden.device), len(hidden))
        edges = Edges(*numbers, 1 / neighbours[:, None], batch.weight)
        atoms = torch.zeros_like(s[: batch.size, 0]).index_add(0, batch.crystal, batch.multiplicity)
        crystals = (batch.crystal, batch.multiplicity / atoms[batch.crystal])
        t = s.new_zeros(len(s), WIDTH, self.config.tensors)
        seen = self.site_tensors[name](unit, batch.carrier, batch.basis, coordinates, len(s))
        for convolution in self.convolutions:
            x, t = _bounded(x, coordinates[0], len(s)), t * torch.rsqrt(1 + t.square().mean(2).sum(1))[:, None, None]
            s, x, t = convolution(s, x, t, hidden, tables, seen, edges, coordinates, crystals)
        return self.norm(s), x, t

    def at_atoms(
        self, outputs: Mapping[str, torch.Tensor], batch: "SiteGraph[torch.Tensor]"
    ) -> dict[str, torch.Tensor]:
        """The tensors of sites (n_sites, …) at all atoms (n_atoms, …), in the crystals' order and standard frame.

        What a crystal has one of is the same at all of its atoms.
        """
        crystal = batch.crystal[batch.atom_site]
        return {
            name: value[crystal]
            if name in self.of_crystals
            else self._at_atoms(value, _kind(self.targets[name])[0], batch)
            for name, value in outputs.items()
        }

    @staticmethod
    def _at_atoms(value: torch.Tensor, axial: bool, batch: "SiteGraph[torch.Tensor]") -> torch.Tensor:
        return _turned(value[batch.atom_site], batch.atom_operation, axial)


class SeparateNetworks(nn.ModuleDict):
    """A :class:`SiteSymmetryNet` for each model group, by name: what a run holds that has no ``shared`` in its card.

    Such runs were written when the kernel had one scalar an irrep where it has all couplings now. Of a present network
    theirs is the one without these couplings; the weights are taken over as they are.
    """

    def forward(self, batch: "SiteGraph[torch.Tensor]") -> dict[str, torch.Tensor]:
        return self._own(batch)(batch)

    def at_atoms(
        self, outputs: Mapping[str, torch.Tensor], batch: "SiteGraph[torch.Tensor]"
    ) -> dict[str, torch.Tensor]:
        """See :meth:`SiteSymmetryNet.at_atoms`."""
        return self._own(batch).at_atoms(outputs, batch)

    @property
    def targets(self) -> dict[str, str]:
        """See :class:`SiteSymmetryNet`."""
        return next(iter(self.values())).targets  # type: ignore[return-value]

    def _own(self, batch: "SiteGraph[torch.Tensor]") -> SiteSymmetryNet:
        if batch.group.name not in self:
            raise IrrepnetError(f"the network has the model group {' or '.join(self)}, the batch {batch.group.name}")
        return self[batch.group.name]  # type: ignore[return-value]

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor], *args: Any, **more: Any) -> Any:
        found = {}
        for name in self:
            own = {key.removeprefix(f"{name}."): w for key, w in state_dict.items() if key.startswith(f"{name}.")}
            found |= {f"{name}.{key}": w for key, w in _couplings_added(own, name, self[name]).items()}
        return super().load_state_dict(found, *args, **more)


_PARTS = (
    (r"edge\.0\.weight", "radial.weight", "angular.{group}.weight", 1),
    (r"edge\.0\.bias", "radial.bias", "", 0),
    (r"edge\.2\.(\w+)", r"edge.\1", "", 0),
    (r"(convolutions\.\d+)\.message\.(\w+)", r"\1.message.\2", r"\1.own.{group}.message.\2", 0),
    (r"(convolutions\.\d+)\.update\.0\.weight", r"\1.update.weight", r"\1.own.{group}.norms.weight", 1),
    (r"(convolutions\.\d+)\.update\.0\.bias", r"\1.update.bias", "", 0),
    (r"(convolutions\.\d+)\.update\.2\.(\w+)", r"\1.invariant.\2", r"\1.own.{group}.gates.\2", 0),
    (r"(convolutions\.\d+)\.(projections\.weight|mix)", "", r"\1.own.{group}.\2", 0),
    (r"(readouts\.\d+)\.(covariant\.weight)", "", r"\1.own.{group}.\2", 0),
)
"""An old weight, the present one of all groups in which its first rows (or columns) are, that of one group with the
others; and whether they are rows (0) or columns (1)."""


def _couplings_added(old: dict[str, torch.Tensor], group: str, net: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of an old network of one model group by their present names."""
    # what the old network has not, the functions f of the couplings, is zero; it had w = 1
    found = {key: torch.full_like(value, key.endswith(".joins")) for key, value in net.state_dict().items()}
    for key, value in old.items():
        for pattern, shared, own, dim in _PARTS:
            if match := re.fullmatch(pattern, key):
                names = [match.expand(name).format(group=group) for name in (shared, own)]
                first = found[names[0]].shape[dim] if shared else 0
                for name, part in zip(names, value.split([first, value.shape[dim] - first], dim)):
                    if name and part.shape[dim]:
                        found[name].narrow(dim, 0, part.shape[dim]).copy_(part)
                break
        else:
            found[key] = value
    return found


def _coordinates(batch: "SiteGraph[torch.Tensor]") -> tuple[torch.Tensor, torch.Tensor]:
    """Site and irrep of each coordinate."""
    return torch.repeat_interleave(batch.fixed.sum(1)), coordinate_irreps(batch.fixed)


def _bounded(x: torch.Tensor, site: torch.Tensor, n_sites: int) -> torch.Tensor:
    """Coordinates (n_coordinates, channels) over sqrt(1 + their squared norm at the site, mean over the channels).

    A layer is a polynomial in them of third degree and more: without this now and then a crystal explodes, and with it
    the training.
    """
    norm = x.new_zeros(n_sites).index_add(0, site, x.square().mean(1))
    return x * torch.rsqrt(1 + norm)[site, None]


def _shared_out(value: torch.Tensor, share: torch.Tensor, batch: "SiteGraph[torch.Tensor]") -> torch.Tensor:
    """The sums of values (n_atoms, …) over each crystal, divided among its sites by shares (n_sites,): (n_sites, …)."""
    crystal = batch.crystal[batch.atom_site]
    total = value.new_zeros(batch.size, *value.shape[1:]).index_add(0, crystal, value)
    shares = share.new_zeros(batch.size).index_add(0, crystal, share[batch.atom_site])
    return total[batch.crystal] * (share / shares[batch.crystal]).view(-1, *(1,) * (value.ndim - 1))


def _crystal_mean(value: torch.Tensor, batch: "SiteGraph[torch.Tensor]") -> torch.Tensor:
    """The mean of values (n_atoms, …) over each crystal, (n_crystals, …)."""
    crystal = batch.crystal[batch.atom_site]
    total = value.new_zeros(batch.size, *value.shape[1:]).index_add(0, crystal, value)
    return total / torch.bincount(crystal, minlength=batch.size).view(-1, *(1,) * (value.ndim - 1))


def _turned(value: torch.Tensor, operation: torch.Tensor, axial: bool) -> torch.Tensor:
    """Tensors (n, 3, …) of rank 0 to 2, each by its operation (n, 3, 3)."""
    if value.ndim == 2:
        value = torch.einsum("nij,nj->ni", operation, value)
    elif value.ndim == 3:
        value = operation @ value @ operation.mT
    sign = torch.linalg.det(operation).round() if axial else torch.ones_like(operation[:, 0, 0])
    return value * sign.view(-1, *(1,) * (value.ndim - 1))


def _kind(kind: str) -> tuple[bool, torch.Tensor]:
    """Whether axial, and the projector on the tensors among all of the rank, (w, w) with w = 3^rank."""
    name = kind.removeprefix("axial ")
    if name not in SITE_KINDS:
        raise IrrepnetError(f"unknown kind of site tensor {kind!r}; choose one of {', '.join(SITE_KINDS)}")
    return name != kind, torch.from_numpy(SITE_KINDS[name])


def _representation(group: PointGroup, kind: str) -> np.ndarray:
    """(|G|, w, w) how the group acts on the tensors of a kind among all of the rank."""
    axial, projector = _kind(kind)
    components = torch.eye(len(projector), dtype=torch.float64).view(-1, *_shape(projector))
    operations = torch.from_numpy(group.operations.copy())
    acted = [_turned(components, g.expand(len(projector), 3, 3), axial) for g in operations]
    return (projector @ torch.stack(acted).view(len(acted), *projector.shape).mT).numpy()


def _shape(projector: torch.Tensor) -> tuple[int, ...]:
    return {1: (), 3: (3,), 9: (3, 3)}[len(projector)]
