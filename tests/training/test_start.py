"""A run that begins with the weights of another one."""

import json
from hashlib import sha256

import pytest
import torch
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.errors import IrrepnetError
from irrepnet.tasks.targets import NumberTarget
from irrepnet.tasks.task import Task
from irrepnet.training import load_config, load_run, train
from irrepnet.training.start import take_weights


def fresh(config) -> tuple[Task, torch.nn.Module]:
    """A task of numbers with its network."""
    from irrepnet.tasks import task_class

    task = task_class(config.task)(config)
    task.targets = [NumberTarget(name, "regression", "", 0.0, 1.0) for name in config.data.targets]
    torch.manual_seed(1)
    return task, task.network()


def test_what_fits_is_taken_and_the_rest_stays(small_config, small_run):
    source = load_run(small_run).model.state_dict()
    task, network = fresh(small_config(data__targets="band_gap"))
    before = {name: values.clone() for name, values in network.state_dict().items()}
    found = take_weights(network, task, small_run)
    for name, values in network.state_dict().items():
        assert torch.equal(values, (before if name.startswith("readout") else source)[name]), name
    assert 0 < found["taken"] < found["weights"] == sum(p.numel() for p in network.parameters())
    assert found["sha256"] == sha256((small_run / "model.safetensors").read_bytes()).hexdigest()


def test_the_readout_too_where_the_targets_are_the_same(small_config, small_run, tmp_path):
    run = train(small_config(start=str(small_run), training__epochs=1), tmp_path / "run", quiet=True)
    assert run.card["start"]["taken"] == run.card["start"]["weights"]
    assert run.card["start"] == json.loads((tmp_path / "run" / "start.json").read_text())
    assert f"weights are those of {small_run}" in (tmp_path / "run" / "log.txt").read_text()
    first = float((tmp_path / "run" / "metrics.csv").read_text().splitlines()[1].split(",")[2])
    assert first < float((small_run / "metrics.csv").read_text().splitlines()[1].split(",")[2])  # training loss


def test_the_command_takes_the_network_of_the_run(small_config, small_data, tmp_path):
    train(small_config(training__epochs=1, data__n_max=6, model__channels=4), tmp_path / "first", quiet=True)
    words = ["train", "--from", str(tmp_path / "first"), "--data", str(small_data), "--target", "band_gap"]
    result = CliRunner().invoke(app, [*words, "--epochs", "1", "--out", str(tmp_path / "second")])
    assert result.exit_code == 0, result.output
    config = load_run(tmp_path / "second").config
    assert (config.model.channels, config.data.n_max, config.data.targets) == (4, 6, ["band_gap"])
    assert config.start == str(tmp_path / "first")
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "third")])
    assert "give a preset or a YAML file, or a run to begin with by --from" in str(result.exception)


def test_what_is_refused(small_config, small_run, tmp_path):
    def refused(start, **overrides):
        with pytest.raises(IrrepnetError) as error:
            train(
                small_config(start=str(start), **overrides), tmp_path / str(len(list(tmp_path.iterdir()))), quiet=True
            )
        return str(error.value)

    assert f"{tmp_path}: holds no run" in refused(tmp_path)
    model = {"model": {"name": "mpnn", "channels": 8, "layers": 1}}
    assert "the network point-group, whose weights do not fit mpnn" in refused(small_run, **model)
    another = {"model__channels": 6, "data__targets": "band_gap"}
    assert "none of its weights fits this network" in refused(small_run, **another)


def test_a_number_s_network_takes_those_of_a_tensor_s_network(small_config, tmp_path):
    """The latter has all of its parts in one called net."""
    from irrepnet.data import embedded

    records = embedded("dielectric_constant")[:40]
    settings = {"data.source": "given", "data.targets": "e_electronic", "training.epochs": 1, "training.device": "cpu"}
    small = {"model.channels": 8, "model.layers": 1, "model.moment_channels": 4}
    train(load_config("covariant", settings | small), tmp_path / "run", quiet=True, data=records)
    task, network = fresh(load_config("covariant", settings | small | {"data.targets": "n"}))
    take_weights(network, task, tmp_path / "run")
    source = load_run(tmp_path / "run").model.state_dict()
    assert torch.equal(network.state_dict()["embedding.linear.weight"], source["net.embedding.linear.weight"])
