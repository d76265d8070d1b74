"""Training a network, a run's folder, and using what was trained."""

from irrepnet.tasks import RunConfig
from irrepnet.training.config import load_config, parse_assignment, presets
from irrepnet.training.load import Run, load_run
from irrepnet.training.run import train
from irrepnet.training.start import configuration_from
from irrepnet.training.use import evaluate, predict

__all__ = [
    "Run",
    "RunConfig",
    "configuration_from",
    "evaluate",
    "load_config",
    "load_run",
    "parse_assignment",
    "predict",
    "presets",
    "train",
]
