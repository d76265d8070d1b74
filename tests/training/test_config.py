"""The configuration: presets, overrides, and errors that name every key."""

from dataclasses import replace

import pytest
import yaml

from irrepnet.errors import IrrepnetError
from irrepnet.graphs import FrameOptions, HypergraphOptions
from irrepnet.models import PointGroupConfig
from irrepnet.training import load_config, parse_assignment, presets

DATA = {"data.source": "formation_energy_2015", "data.targets": "formation_energy_per_atom"}


def test_the_preset_needs_only_data_and_target():
    config = load_config("point-group", DATA)
    assert "point-group" in presets()
    assert config.model == PointGroupConfig(group="auto")
    assert config.data.point_groups is None
    assert (config.training.epochs, config.training.batch_size, config.training.ema) == (60, 24, 0.996)


def test_a_resolved_configuration_reads_back_as_itself(tmp_path):
    config = load_config("point-group", DATA | {"training.epochs": 7, "data.point_groups": None})
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml())
    assert load_config(path) == config


def test_targets_and_point_groups_in_the_spellings_that_people_and_yaml_use():
    config = load_config("point-group", DATA | {"data.targets": "a, b", "data.point_groups": [23, "Oh"]})
    assert config.data.targets == ["a", "b"]
    assert config.data.point_groups == ["23", "m-3m"]


def test_all_problems_are_reported_at_once_with_their_keys():
    with pytest.raises(IrrepnetError) as error:
        load_config(
            "point-group",
            {
                "data.targets": "energy",
                "data.split": [0.5, 0.5, 0.5],
                "data.point_groups": ["m-4m"],
                "training.epoch": 3,
                "training.batch_size": 0,
                "training.ema": "often",
                "nonsense": 1,
            },
        )
    message = str(error.value)
    assert "7 problem" in message
    for expected in (
        "data.source: is required (or give --data)",
        "data.split: must be three positive fractions",
        "data.point_groups: ",
        "training.epoch: unknown key; did you mean epochs?",
        "training.batch_size: ",
        "training.ema: ",
        "nonsense: unknown key",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("source", "overrides", "message"),
    [
        ("point-grup", {}, "the presets are: cgcnn, chgcnn, covariant, energy, hamiltonian, irreps, mpnn, point-group"),
        ("point-group", {}, "data: is required"),
        ({"data": 3}, {}, "data: "),
        ({"data": 3}, {"data.source": "x"}, "data is not a section"),
        ("point-group", DATA | {"data.targets": "a,a"}, "named twice"),
        ("point-group", DATA | {"data.targets": []}, "data.targets"),
    ],
)
def test_errors(source, overrides, message):
    with pytest.raises(IrrepnetError, match=message):
        load_config(source, overrides)


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "a: [1", "\x00"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(IrrepnetError, match=r"config\.yaml"):
        load_config(path)


def test_assignments_are_yaml_values():
    assert parse_assignment("training.learning_rate=1e-3") == ("training.learning_rate", "1e-3")
    assert load_config("point-group", DATA | dict([parse_assignment("training.learning_rate=1e-3")])).training == (
        load_config("point-group", DATA | {"training.learning_rate": 0.001}).training
    )
    assert parse_assignment("data.point_groups=[m-3m, 432]") == ("data.point_groups", ["m-3m", 432])
    assert parse_assignment("data.point_groups=null") == ("data.point_groups", None)
    for text in ("training.epochs", "=3", "a=[1"):
        with pytest.raises(IrrepnetError, match="write key=value"):
            parse_assignment(text)


def test_every_preset_needs_only_data_and_target():
    own = {
        "site-symmetry": {"data.source": "x", "data.targets": "born_charges"},
        "energy": {"data.source": "x", "data.parent": "parent.cif"},
        "hamiltonian": {"data.source": "x"},
    }
    for name in presets():
        config = load_config(name, own.get(name, DATA))
        assert config.model.name == name
        assert load_config(config.model_dump(mode="json")) == config


def test_a_configuration_without_a_name_is_of_the_point_group_network():
    assert load_config({"model": {"group": "m-3", "channels": 8}}, DATA).model.name == "point-group"
    assert load_config({}, DATA).model.name == "point-group"


def test_the_graph_follows_from_the_data_and_the_network():
    changed = DATA | {"data.cutoff": 5.0, "data.n_max": 8, "data.symprec": 0.02}
    frames = FrameOptions(5.0, 8, symprec=0.02)
    assert load_config("point-group", changed).graph == frames
    assert load_config("point-group", changed | {"model.group": "Oh", "model.max_frames": 6}).graph == replace(
        frames, group="m-3m", max_frames=6
    )
    invariant = {"model.directions": False, "model.mixing": "none"}
    assert load_config("point-group", changed | invariant).graph == replace(frames, max_frames=0)
    changed |= {"data.neighbours": "nearest", "data.scale": 1.2}
    bonds = HypergraphOptions(5.0, 8, symprec=0.02, neighbours="nearest", scale=1.2)
    assert load_config("cgcnn", changed).graph == load_config("mpnn", changed).graph == bonds
    changed |= {"model.hyperedges": ["bonds", "cell"], "model.resemblance": True}
    assert load_config("chgcnn", changed).graph == replace(bonds, hyperedges=("bonds", "cell"), resemblance=True)


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        ("cgcnn", {"model.chanels": 3}, "model.chanels: unknown key; did you mean channels"),
        ("cgcnn", {"model.group": "m-3m"}, "model.group: unknown key"),
        ("point-group", {"model.group": "m-4m"}, "model.group: unknown point group 'm-4m'"),
        ("point-group", {"model.max_frames": -1}, "model.max_frames: "),
        ("chgcnn", {"model.strategy": "gossip"}, "model.strategy: "),
        ("chgcnn", {"model.hyperedges": ["bonds", "tripets"]}, "model.hyperedges: .*did you mean triplets"),
        ("cgcnn", {"model.name": "cgcn"}, "no network 'cgcn', there are point-group, .*; did you mean cgcnn"),
        ("cgcnn", {"model": {"name": "mpnn", "messag": "mlp"}}, "model.messag: unknown key; did you mean message"),
        ("cgcnn", {"model": 3}, "model: .*got 3"),
        ("covariant", {"data.tensors": {"mine": {"symmetry": "ij", "unt": "eV"}}}, "mine.unt: .*did you mean unit"),
        ("cgcnn", {"data.neighbours": "voronoy"}, "data.neighbours: "),
        ("point-group", {"data.neighbours": "voronoi"}, "data.neighbours: the point-group network reads whole shells"),
    ],
)
def test_errors_of_the_networks(preset, overrides, message):
    with pytest.raises(IrrepnetError, match=message):
        load_config(preset, DATA | overrides)


def test_a_mapping_is_not_changed_by_the_overrides():
    document = yaml.safe_load("data: {source: x, targets: [y]}")
    load_config(document, {"data.source": "z"})
    assert document["data"]["source"] == "x"


def test_a_scale_that_no_method_reads_is_an_error():
    with pytest.raises(IrrepnetError, match=r"data\.scale: is for data\.neighbours=nearest"):
        load_config("cgcnn", DATA | {"data.scale": 2.0})
    assert load_config("cgcnn", DATA | {"data.scale": 2.0, "data.neighbours": "nearest"}).data.scale == 2.0
