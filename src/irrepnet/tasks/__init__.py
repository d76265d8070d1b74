"""What is learned: a class for each kind of thing, behind one protocol."""

from importlib import import_module

from irrepnet.tasks.config import RunConfig, Section, TrainingConfig
from irrepnet.tasks.task import Examples, Judgement, Learning, Source, Task, Together

TASKS = {
    "properties": "irrepnet.tasks.properties:PropertyTask",
    "sites": "irrepnet.tasks.sites:SiteTask",
    "energies": "irrepnet.tasks.energies:EnergyTask",
    "hamiltonians": "irrepnet.tasks.hamiltonians:HamiltonianTask",
}
"""Where the task of each name is; imported when it is asked for."""


def task_class(name: str) -> type[Task]:
    """The task of that name, a key of ``TASKS``."""
    module, _, kind = TASKS[name].partition(":")
    return getattr(import_module(module), kind)


__all__ = [
    "TASKS",
    "Examples",
    "Judgement",
    "Learning",
    "RunConfig",
    "Section",
    "Source",
    "Task",
    "Together",
    "TrainingConfig",
    "task_class",
]
