"""Training a network, a run's folder, and using what was trained.

A name is imported when it is used: PyTorch takes a second, and a preset or a run that is not there is told before.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irrepnet.tasks import RunConfig
    from irrepnet.training.config import load_config, parse_assignment, presets
    from irrepnet.training.load import Run, load_run
    from irrepnet.training.run import build_graphs, train
    from irrepnet.training.start import configuration_from
    from irrepnet.training.use import evaluate, predict

__all__ = [
    "Run",
    "RunConfig",
    "build_graphs",
    "configuration_from",
    "evaluate",
    "load_config",
    "load_run",
    "parse_assignment",
    "predict",
    "presets",
    "train",
]

_HOMES = {
    "irrepnet.tasks": ("RunConfig",),
    "irrepnet.training.config": ("load_config", "parse_assignment", "presets"),
    "irrepnet.training.load": ("Run", "load_run"),
    "irrepnet.training.run": ("build_graphs", "train"),
    "irrepnet.training.start": ("configuration_from",),
    "irrepnet.training.use": ("evaluate", "predict"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
