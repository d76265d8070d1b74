"""Networks, one file each."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from torch import nn

from irrepnet.crystals import FrameOptions, GraphOptions, HypergraphOptions, VectorGraphOptions
from irrepnet.errors import IrrepnetError
from irrepnet.models.cgcnn import CGCNN, CGCNNConfig
from irrepnet.models.covariant import CovariantConfig, CovariantNet
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
    if tensors:
        return _with_tensors(config, outputs, options, tensors)
    match config, options:
        case PointGroupConfig(), FrameOptions():
            return PointGroupNet(config, outputs)
        case CGCNNConfig(), HypergraphOptions():
            return CGCNN(config, outputs, options)
        case MPNNConfig(), HypergraphOptions():
            return MPNN(config, outputs, options)
        case CHGCNNConfig(), HypergraphOptions():
            return CrystalHypergraphNet(config, outputs, options)
        case TensorFieldConfig(), VectorGraphOptions():
            return TensorFieldNet(config, outputs, options)
        case CovariantConfig(), VectorGraphOptions():
            return CovariantNet(config, outputs, options)
    wanted, given = READS[config.name].__name__, type(options).__name__
    raise IrrepnetError(f"the network {config.name} reads other graphs: give {wanted}, not {given}")


def _with_tensors(
    config: ModelConfig, outputs: int, options: GraphOptions, tensors: Sequence[CartesianTensor]
) -> TensorHead:
    if not isinstance(config, TensorFieldConfig | CovariantConfig) or not isinstance(options, VectorGraphOptions):
        raise IrrepnetError(f"the network {config.name} predicts no tensors; take covariant or tensor-field")
    largest = max(part.l for tensor in tensors for part in tensor.parts)
    if config.l_max < largest:  # such parts would be zero wherever the site symmetry forbids all smaller l
        formulas = ", ".join(tensor.formula for tensor in tensors)
        raise IrrepnetError(f"model.l_max is {config.l_max}; tensors {formulas} have parts up to l = {largest}: set it")
    if isinstance(config, TensorFieldConfig):
        return TensorHead(lambda n, irreps: TensorFieldNet(config, n, options, irreps), outputs, tensors)
    return TensorHead(lambda n, irreps: CovariantNet(config, n, options, irreps), outputs, tensors)


__all__ = [
    "CGCNN",
    "MPNN",
    "READS",
    "CGCNNConfig",
    "CHGCNNConfig",
    "CovariantConfig",
    "CovariantNet",
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
