"""Configurations that say what their keys mean."""

import pytest
import yaml
from typer.testing import CliRunner

from irrepnet.cli.main import app
from irrepnet.training import load_config, presets
from irrepnet.training.commented import commented

ELSE = {"energy": {"data.source": "a", "data.parent": "b"}, "hamiltonian": {"data.source": "a"}}


@pytest.mark.parametrize("preset", presets())
def test_every_key_of_every_preset_is_there_and_explained(preset):
    config = load_config(preset, ELSE.get(preset, {"data.source": "a", "data.targets": "born_charges"}))
    text = commented(config)
    assert load_config(yaml.safe_load(text)) == config
    lines = text.splitlines()
    keys = [k for k, line in enumerate(lines) if not line.lstrip().startswith("#") and not line.endswith(":")]
    names = [lines[k].strip().partition(":")[0] for k in keys]
    assert {"epochs", "source", "split_seed", "learning_rate"} <= set(names)
    bare = {name for k, name in zip(keys, names) if not lines[k - 1].lstrip().startswith("#")}
    assert bare <= {"task", "name"}
    assert all(len(line) <= 120 for line in lines)
    assert not any(mark in text for mark in ("`", ":class:", "see ,"))


def test_the_command_prints_what_train_reads(tmp_path):
    result = CliRunner().invoke(app, ["config", "point-group", "--target", "gap", "--set", "model.channels=8"])
    assert result.exit_code == 0, result.output
    (tmp_path / "c.yaml").write_text(result.output)
    config = load_config(tmp_path / "c.yaml")
    assert (config.data.targets, config.model.channels) == (["gap"], 8)
