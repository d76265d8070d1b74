"""The O(3)-equivariant network: tensor field network, Thomas et al., arXiv:1802.08219."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import VectorGraphOptions
from irrepnet.graphs.vectors import VectorForm
from irrepnet.groups import SCALAR, O3Irrep, O3Irreps
from irrepnet.models.network import NetworkConfig
from irrepnet.nn.convolution import mlp
from irrepnet.nn.elements import Atoms, atom_embedding
from irrepnet.nn.o3 import Features, FixedMean, O3Filters, TensorFieldLayer
from irrepnet.nn.pooling import MeanSpread, pooled_numbers
from irrepnet.nn.radial import BesselBasis, GaussianBasis, Radial
from irrepnet.nn.sets import members, shares

if TYPE_CHECKING:
    from irrepnet.graphs import VectorGraph


class TensorFieldConfig(NetworkConfig, frozen=True):
    """What a :class:`TensorFieldNet` is made of."""

    reads: ClassVar = VectorGraphOptions
    makes_tensors: ClassVar = True

    name: Literal["tensor-field"] = "tensor-field"
    channels: int = Field(default=48, ge=1, description="scalars of an atom; copies of an irrep halve with each l")
    layers: int = Field(default=3, ge=1, description="convolutions")
    l_max: int = Field(default=2, ge=0, le=6, description="largest l of the features and of the filters")
    parity: bool = Field(default=False, description="pseudo-irreps 0o, 1e, 2o … too, half as many of each")
    residual: bool = Field(default=True, description="layers add to the features")
    atoms: Atoms = Field(default="properties", description="atoms as one-hot bins, learned embedding, or properties")
    radial: Radial = Field(default="gaussian", description="expansion of distances")
    one_hot: bool = Field(default=False, description="the operations of the crystal's point group as an input")
    form: VectorForm = Field(default="asymmetric-unit", description="nodes are orbits, or atoms: equal results")

    @property
    def graph_fields(self) -> dict[str, Any]:
        """The fields of :class:`irrepnet.graphs.VectorGraphOptions` that the network fixes."""
        return {"form": self.form}

    @property
    def irreps(self) -> O3Irreps:
        """Of the features of an atom, for example 48x0e+24x1o+12x2e."""
        natural = {O3Irrep.natural(l): max(self.channels >> l, 1) for l in range(self.l_max + 1)}
        pseudo = {O3Irrep(irrep.l, -irrep.parity): max(copies >> 1, 1) for irrep, copies in natural.items()}
        return O3Irreps({**natural, **pseudo} if self.parity else natural)

    def network(self, outputs: int, options: Any, irreps_out: O3Irreps | None = None) -> nn.Module:
        return TensorFieldNet(self, outputs, options, irreps_out)


class TensorFieldNet(nn.Module):
    """Convolutions with filters R(r) Y(r̂) on features in irreps of O(3), gated; pooled over the atoms.

    It runs on the nodes of a batch and does not know whether they are the atoms or the orbits: the results are equal.

    Args:
        config: see :class:`TensorFieldConfig`.
        outputs: numbers a crystal.
        options: of the graphs, of which it takes the cutoff as the largest distance that it resolves.
        irreps_out: of :meth:`covariants`, such as "2x0e+2x2e+1x4e"; e3nn's notation, no irrep twice.

    Raises:
        IrrepnetError: ``irreps_out`` is not to be read, or has an irrep that the last convolution cannot reach.
    """

    def __init__(
        self,
        config: TensorFieldConfig,
        outputs: int,
        options: VectorGraphOptions,
        irreps_out: O3Irreps | str | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        channels = hidden = config.channels
        irreps, between = O3Irreps({SCALAR: channels}), config.irreps
        self.irreps_out = O3Irreps(irreps_out or "")
        # the last layer makes what is read out: scalars, and channels of the other irreps asked for
        wanted = {irrep: max(channels >> irrep.l, copies) for irrep, copies in self.irreps_out.items()}
        last = O3Irreps({SCALAR: channels, **{irrep: copies for irrep, copies in wanted.items() if irrep != SCALAR}})
        self.filters = O3Filters(between, between + last, config.l_max)
        self.embedding = atom_embedding(config.atoms, channels)
        self.point_group = nn.Linear(64, channels, bias=False) if config.one_hot else None
        self.distance = (
            BesselBasis(options.cutoff, 32) if config.radial == "bessel" else GaussianBasis(0.5, options.cutoff, 32)
        )
        self.relative = GaussianBasis(0.5, 6.0, 16)  # distance over the nearest neighbour's, times 3
        self.edge = nn.Sequential(mlp(32 + 16, hidden, hidden), nn.LayerNorm(hidden), nn.SiLU())
        self.layers = nn.ModuleList()
        for target in [between] * (config.layers - 1) + [last]:
            layer = TensorFieldLayer(irreps, target, self.filters, hidden, config.residual)
            self.layers.append(layer)
            irreps = layer.irreps_out
        if missing := ", ".join(str(irrep) for irrep in sorted(last) if irrep not in irreps):
            raise IrrepnetError(
                f"irreps_out: no path leads to {missing}; take more layers than {config.layers}, a larger l_max than "
                f"{config.l_max}, or parity"
            )
        self.norm = nn.LayerNorm(channels)
        self.pool = MeanSpread()
        self.readout = mlp(2 * channels, channels, outputs) if outputs else None
        self.covariant = nn.ModuleDict(
            {str(irrep): nn.Linear(irreps[irrep], copies, bias=False) for irrep, copies in self.irreps_out.items()}
        )
        self.crystal_mean = FixedMean(self.irreps_out)

    def forward(self, batch: "VectorGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs), without units."""
        return self.invariants(self.features(batch), batch)

    def features(self, batch: "VectorGraph[torch.Tensor]") -> Features:
        """Of the nodes' atoms, by irrep: (n_nodes, 2l+1, copies), in the crystal's standard frame."""
        length = batch.vector.norm(dim=-1)
        relative = self.relative(3 * length / batch.nearest[batch.receiver])
        hidden = self.edge(torch.cat([self.distance(length), relative], -1))
        groups = shares(batch.sets, batch.vector.dtype)
        kernels = self.filters(batch.vector, batch.weight, batch.receiver, batch.operation, batch.site_group, groups)
        v = self.embedding(batch.numbers)
        if self.point_group is not None:
            symmetry = members(batch.sets)[batch.crystal_group].to(v.dtype)
            v = v + self.point_group(symmetry).index_select(0, batch.crystal)
        x = {"0e": v[:, None]}
        for layer in self.layers:
            x = layer(x, hidden, kernels, (batch.receiver, batch.sender))
        return x

    def invariants(self, x: Features, batch: "VectorGraph[torch.Tensor]") -> torch.Tensor:
        """(n_crystals, outputs) from the scalars of the atoms, their mean and spread."""
        scalars = self.norm(x["0e"][:, 0])
        return pooled_numbers(self.readout, self.pool, scalars, batch.crystal, batch.size, batch.multiplicity)

    def covariants(self, x: Features, batch: "VectorGraph[torch.Tensor]") -> Features:
        """By irrep of ``irreps_out``, (n_crystals, 2l+1, copies): mean over the atoms, exactly in Fix_P.

        In the crystal's standard frame.
        """
        wanted = {irrep: linear(x[irrep]) for irrep, linear in self.covariant.items()}
        return self.crystal_mean(
            wanted,
            shares(batch.sets, batch.vector.dtype)[batch.crystal_group],
            batch.crystal,
            batch.size,
            batch.multiplicity,
        )
