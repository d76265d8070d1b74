"""What a saved network holds: names and shapes of the weights of networks with irreps of O(3) do not change."""

import hashlib
from dataclasses import replace

import pytest

from irrepnet.graphs import HypergraphOptions
from irrepnet.models import CHGCNNConfig, CovariantConfig, PointGroupConfig, TensorFieldConfig, build_model
from irrepnet.tensors import STIFFNESS, CartesianTensor

SYMMETRIC, PIEZO = CartesianTensor("ij=ji"), CartesianTensor("ijk=ikj")
AXIAL = CartesianTensor("ij=ji", axial=True)
NETWORKS = [
    (CovariantConfig(), [SYMMETRIC, PIEZO, STIFFNESS], 74, "653be5ba960ef3ef"),
    (TensorFieldConfig(), [], 44, "22483845cee86b88"),
    (TensorFieldConfig(l_max=4, parity=True), [SYMMETRIC, AXIAL, PIEZO], 62, "a824306fad246e53"),
    (CHGCNNConfig(hyperedges=("bonds", "cell")), [STIFFNESS, PIEZO], 100, "3d6584fd39b73443"),
    (PointGroupConfig(), [PIEZO, STIFFNESS], 123, "a0fa8c487b6826aa"),
]


@pytest.mark.parametrize(("config", "tensors", "count", "digest"), NETWORKS)
def test_names_and_shapes(config, tensors, count, digest):
    options = config.reads(**config.graph_fields)
    if isinstance(options, HypergraphOptions):
        options = replace(options, directions=True)
    weights = build_model(config, 1, options, tensors).state_dict()
    text = "\n".join(f"{name} {tuple(weights[name].shape)}" for name in sorted(weights))
    assert (len(weights), hashlib.sha256(text.encode()).hexdigest()[:16]) == (count, digest)
