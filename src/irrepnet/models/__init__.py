"""Networks, one file each."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions, GraphOptions, HypergraphOptions, VectorGraphOptions
from irrepnet.groups import O3Irreps
from irrepnet.models.cgcnn import CGCNN, CGCNNConfig
from irrepnet.models.covariant import CovariantConfig, CovariantNet, CovariantReadout
from irrepnet.models.energy import EnergyConfig, EnergyNet, Response
from irrepnet.models.hypergraph import CHGCNNConfig, CrystalHypergraphNet
from irrepnet.models.mpnn import MPNN, MPNNConfig
from irrepnet.models.point_group import PointGroupConfig, PointGroupNet
from irrepnet.models.site_symmetry import SiteSymmetryConfig, SiteSymmetryNet
from irrepnet.models.tensor_field import TensorFieldConfig, TensorFieldNet
from irrepnet.models.tensors import TensorHead
from irrepnet.tensors import CartesianTensor

ModelConfig = Annotated[
    PointGroupConfig | CGCNNConfig | MPNNConfig | CHGCNNConfig | TensorFieldConfig | CovariantConfig,
    Field(discriminator="name"),
]

READS: dict[str, type[GraphOptions]] = {
    "point-group": FrameOptions,
    "cgcnn": HypergraphOptions,
    "mpnn": HypergraphOptions,
    "chgcnn": HypergraphOptions,
    "tensor-field": VectorGraphOptions,
    "covariant": VectorGraphOptions,
}
"""Which options make the graphs that the network of that name reads."""


def build_model(
    config: ModelConfig, outputs: int, options: GraphOptions, tensors: Sequence[CartesianTensor] = ()
) -> nn.Module:
    """The network of a configuration: batch → (n_crystals, outputs), with tensors as in :class:`TensorHead`.

    Args:
        config: of any network.
        outputs: numbers a crystal.
        options: of the graphs that it reads, of the type in ``READS``.
        tensors: to be predicted besides.

    Raises:
        IrrepnetError: tensors that the network cannot predict, an unknown type of hyperedges, or options of another
            kind of graph.
    """
    if not tensors:
        return _network(config, outputs, options)
    if isinstance(config, CGCNNConfig | MPNNConfig):
        raise IrrepnetError(
            f"the network {config.name} predicts no tensors; take covariant, tensor-field, chgcnn or point-group"
        )
    largest = max(part.l for tensor in tensors for part in tensor.parts)
    if config.l_max < largest:  # such parts would be zero wherever the site symmetry forbids all smaller l
        formulas = ", ".join(tensor.formula for tensor in tensors)
        raise IrrepnetError(f"model.l_max is {config.l_max}; tensors {formulas} have parts up to l = {largest}: set it")
    return TensorHead(lambda n, irreps: _network(config, n, options, irreps), outputs, tensors)


def _network(config: ModelConfig, outputs: int, options: GraphOptions, irreps_out: O3Irreps | None = None) -> nn.Module:
    match config, options:
        case PointGroupConfig(), FrameOptions():
            return PointGroupNet(config, outputs, irreps_out)
        case CGCNNConfig(), HypergraphOptions():
            return CGCNN(config, outputs, options)
        case MPNNConfig(), HypergraphOptions():
            return MPNN(config, outputs, options)
        case CHGCNNConfig(), HypergraphOptions():
            return CrystalHypergraphNet(config, outputs, options, irreps_out)
        case TensorFieldConfig(), VectorGraphOptions():
            return TensorFieldNet(config, outputs, options, irreps_out)
        case CovariantConfig(), VectorGraphOptions():
            return CovariantNet(config, outputs, options, irreps_out)
    wanted, given = READS[config.name].__name__, type(options).__name__
    raise IrrepnetError(f"the network {config.name} reads other graphs: give {wanted}, not {given}")


__all__ = [
    "CGCNN",
    "MPNN",
    "READS",
    "CGCNNConfig",
    "CHGCNNConfig",
    "CovariantConfig",
    "CovariantNet",
    "CovariantReadout",
    "CrystalHypergraphNet",
    "EnergyConfig",
    "EnergyNet",
    "MPNNConfig",
    "ModelConfig",
    "PointGroupConfig",
    "PointGroupNet",
    "Response",
    "SiteSymmetryConfig",
    "SiteSymmetryNet",
    "TensorFieldConfig",
    "TensorFieldNet",
    "TensorHead",
    "build_model",
]
