"""Networks, one file each."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny
from pydantic_core import PydanticCustomError
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import GraphOptions
from irrepnet.models.cgcnn import CGCNN, CGCNNConfig
from irrepnet.models.covariant import CovariantConfig, CovariantNet, CovariantReadout
from irrepnet.models.energy import EnergyConfig, EnergyNet, Response
from irrepnet.models.ensemble import Ensemble
from irrepnet.models.hypergraph import CHGCNNConfig, CrystalHypergraphNet
from irrepnet.models.irreps import IrrepConfig, IrrepNet
from irrepnet.models.mpnn import MPNN, MPNNConfig
from irrepnet.models.network import NetworkConfig
from irrepnet.models.point_group import PointGroupConfig, PointGroupNet
from irrepnet.models.site_symmetry import SeparateNetworks, SiteSymmetryConfig, SiteSymmetryNet
from irrepnet.models.tensor_field import TensorFieldConfig, TensorFieldNet
from irrepnet.models.tensors import TensorHead
from irrepnet.tensors import CartesianTensor

NETWORKS: dict[str, type[NetworkConfig]] = {
    kind.model_fields["name"].default: kind
    for kind in (
        PointGroupConfig,
        CGCNNConfig,
        MPNNConfig,
        CHGCNNConfig,
        TensorFieldConfig,
        IrrepConfig,
        CovariantConfig,
    )
}
"""The networks of crystals by name; a new one is a file and its place in this line."""


def network_kind(section: Mapping[str, Any]) -> type[NetworkConfig] | None:
    """The network that a section names, the point-group network if it names none; None if there is no such network."""
    return NETWORKS.get(str(section.get("name", "point-group")))


def _of_its_kind(section: Any) -> Any:
    """A section as what its network is made of."""
    if not isinstance(section, Mapping):
        return section
    kind = network_kind(section)
    if kind is None:
        raise PydanticCustomError("unknown_network", "no such network", {"name": section["name"]})
    return kind.model_validate(section)


ModelConfig = Annotated[SerializeAsAny[NetworkConfig], BeforeValidator(_of_its_kind)]
"""What any of the networks is made of; its key ``name`` says of which."""


def build_model(config: Any, outputs: int, options: GraphOptions, tensors: Sequence[CartesianTensor] = ()) -> nn.Module:
    """The network of a configuration: batch → (n_crystals, outputs), with tensors as in :class:`TensorHead`.

    Args:
        config: of any network.
        outputs: numbers a crystal.
        options: of the graphs that it reads, of the type ``config.reads``.
        tensors: to be predicted besides.

    Raises:
        IrrepnetError: tensors that the network cannot predict, an unknown type of hyperedges, or options of another
            kind of graph.
    """
    if tensors and not config.makes_tensors:
        *able, last = (name for name, kind in reversed(NETWORKS.items()) if kind.makes_tensors)
        raise IrrepnetError(f"the network {config.name} predicts no tensors; take {', '.join(able)} or {last}")
    options = config.checked(options)
    if not tensors:
        return config.network(outputs, options)
    largest = max(part.l for tensor in tensors for part in tensor.parts)
    if config.l_max < largest:  # such parts would be zero wherever the site symmetry forbids all smaller l
        formulas = ", ".join(tensor.formula for tensor in tensors)
        raise IrrepnetError(f"model.l_max is {config.l_max}; tensors {formulas} have parts up to l = {largest}: set it")
    return TensorHead(lambda n, irreps: config.network(n, options, irreps), outputs, tensors)


__all__ = [
    "CGCNN",
    "MPNN",
    "NETWORKS",
    "CGCNNConfig",
    "CHGCNNConfig",
    "CovariantConfig",
    "CovariantNet",
    "CovariantReadout",
    "CrystalHypergraphNet",
    "EnergyConfig",
    "EnergyNet",
    "Ensemble",
    "IrrepConfig",
    "IrrepNet",
    "MPNNConfig",
    "ModelConfig",
    "NetworkConfig",
    "PointGroupConfig",
    "PointGroupNet",
    "Response",
    "SeparateNetworks",
    "SiteSymmetryConfig",
    "SiteSymmetryNet",
    "TensorFieldConfig",
    "TensorFieldNet",
    "TensorHead",
    "build_model",
    "network_kind",
]
