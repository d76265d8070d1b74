"""Training a network, a run's folder, and using what was trained."""

from irrepnet.training.config import RunConfig, load_config, parse_assignment, presets
from irrepnet.training.load import Run, load_run
from irrepnet.training.run import train
from irrepnet.training.targets import Target
from irrepnet.training.use import evaluate, predict

__all__ = [
    "Run",
    "RunConfig",
    "Target",
    "evaluate",
    "load_config",
    "load_run",
    "parse_assignment",
    "predict",
    "presets",
    "train",
]
