"""What a training run asks of a task; everything that differs from one kind of target to another is behind this.

    read the data → prepare examples → split → fit targets → network → loss, validation → judge → card

The order of the calls is that of :func:`irrepnet.training.run.train`. A task is made anew for every run, from its
configuration; :meth:`Task.fit` or :meth:`Task.load` tell it its targets.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch

from irrepnet.data import (
    DATASETS,
    Rejection,
    data_hash,
    is_crystal,
    read_crystals,
    read_records,
    split_by_file,
    split_by_formula,
    stream_records,
)
from irrepnet.errors import IrrepnetError
from irrepnet.tasks.config import RunConfig
from irrepnet.tasks.reliability import Reliability
from irrepnet.tasks.targets import Target, load_target

EVALUATION_BATCH = 256
GIVEN = "given"
Item = tuple[str, Any]
"""The name of a file, or `GIVEN`, and what is to be predicted: a Record, or the Rejection of one; of Hamiltonians what
was given itself."""


class Log(Protocol):
    """Where a task says what it does: :class:`irrepnet.training.log.Log`."""

    def line(self, text: str) -> None: ...
    def progress(self, label: str, total: int, done: int = 0) -> AbstractContextManager[Callable[[int], None]]: ...


@dataclass(frozen=True)
class Source:
    """What a data source holds, before anything is computed.

    Attributes:
        name: the source as it was given.
        records: what could be read, each with ``id``, ``formula`` and ``species``.
        rejections: what could not.
        hash: of the records' content.
    """

    name: str
    records: Sequence[Any]
    rejections: list[Rejection]
    hash: str

    @property
    def licence(self) -> str | None:
        return DATASETS[self.name].licence if self.name in DATASETS else None


def read_source(name: str, data: Any = None) -> Source:
    """Read a data source; raises IrrepnetError when nothing in it can be read.

    Args:
        name: of the source.
        data: what to read in its place, see :func:`irrepnet.data.read_records`; ``name`` is then only a name.
    """
    records, rejections = read_records(name if data is None else data)
    if not records:
        reason = f"; the first reason: {rejections[0].reason}" if rejections else ""
        raise IrrepnetError(f"{name}: holds no readable crystal{reason}")
    return Source(name, records, rejections, data_hash(records))


@dataclass(frozen=True)
class Examples:
    """What is learned from, ready for a network.

    Attributes:
        records: n of them, see :class:`Source`.
        rejections: those left out, with reasons.
        failures: for each record the sites on which a descriptor failed: "site 2 (O, Wyckoff e): why".
    """

    records: list[Any]
    rejections: list[Rejection]
    failures: list[tuple[str, ...]] = field(default_factory=list, kw_only=True)

    def __len__(self) -> int:
        return len(self.records)


class Deviations(NamedTuple):
    """How far predictions of n examples are off.

    Attributes:
        error: (n,) in the target's unit; NaN where it is not known.
        size: (n,) what errors are in proportion to.
    """

    error: np.ndarray
    size: np.ndarray


Together = Callable[[Callable[[np.ndarray], Iterable[Any]], int], list[Any]]
"""A function of positions, which returns something for each, and how many there are → what it makes of all of them.
Several processes may have a share of these each."""


class Learning(NamedTuple):
    """How a network learns.

    Attributes:
        loss: network, positions among the training examples → loss of a step.
        validate: network, who shares the work → loss on the validation examples, and figures by name.
    """

    loss: Callable[[torch.nn.Module, np.ndarray], torch.Tensor]
    validate: Callable[[torch.nn.Module, Together], tuple[float, dict[str, Any]]]


class Judgement(NamedTuple):
    """How good predictions are.

    Attributes:
        errors: by target, then by name of the figure; JSON values, with ``n`` among them.
        header, rows: a table of true and predicted values, or of errors, a row an example or an atom of it.
    """

    errors: dict[str, dict[str, Any]]
    header: list[str]
    rows: list[list[Any]]


class Task(ABC):
    """One kind of thing that is learned.

    Args:
        config: of a run, of the class ``Config``.

    Attributes:
        name: in configurations and cards.
        Config: the class of its configurations.
        targets: what is predicted; empty before :meth:`fit` or :meth:`load`.
        reliability: how far predictions can be trusted; None before :meth:`finish`, and where features are not known.
    """

    name: ClassVar[str]
    Config: ClassVar[type[RunConfig]]
    grouped_by: ClassVar[str] = "formula"
    """What of a record is in one part of the split only: its "formula" or its "id"."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.targets: list[Target] = []
        self.reliability: Reliability | None = None

    def read(self, source: str, data: Any = None) -> Source:
        """What the source holds; see :func:`read_source`."""
        return read_source(source, data)

    @abstractmethod
    def prepare(self, source: Source, log: Log, targets: Sequence[str] | None = None) -> Any:
        """The :class:`Examples` in the source that have a value of one of the targets, by default of any of the run's;
        what cannot be used is listed. Raises IrrepnetError if none is left."""

    def split(self, examples: Any) -> dict[str, np.ndarray]:
        """Indices of "train", "validation" and "test"; no formula (or id) is in two parts, unless a file says so."""
        if isinstance(self.config.data.split, str):
            return split_by_file([record.id for record in examples.records], Path(self.config.data.split))
        keys = [getattr(record, self.grouped_by) for record in examples.records]
        return split_by_formula(keys, self.config.data.split, self.config.data.split_seed)

    @abstractmethod
    def fit(self, examples: Any, train: np.ndarray) -> None:
        """Set ``targets``, from the training examples."""

    @abstractmethod
    def network(self) -> torch.nn.Module:
        """The network with random weights; ``targets`` are known."""

    @abstractmethod
    def learning(self, examples: Any, split: Mapping[str, np.ndarray], device: torch.device) -> Learning:
        """How the network learns from the split, on that device."""

    def finish(self, network: torch.nn.Module, examples: Any, split: Mapping[str, np.ndarray]) -> None:
        """What is left to be known when the network has learned: how far it can be trusted."""
        known, held = (self.features(network, examples, split[part]) for part in ("train", "validation"))
        if known is not None and held is not None:
            found = self.deviations(network, examples, split["validation"])
            self.reliability = Reliability.fit(known, held, {name: own.error / own.size for name, own in found.items()})

    def features(self, network: torch.nn.Module, examples: Any, part: np.ndarray) -> np.ndarray | None:
        """(n, F) what the network makes of some of the examples before its readout; None if it makes no such thing."""
        return None

    def deviations(self, network: torch.nn.Module, examples: Any, part: np.ndarray) -> dict[str, Deviations]:
        """By target, of the network's predictions for some of the examples."""
        return {}

    @abstractmethod
    def judge(self, network: torch.nn.Module, examples: Any, part: np.ndarray) -> Judgement:
        """The errors of the network on some of the examples."""

    def items(self, sources: Iterable[Any]) -> Iterator[Item]:
        """What :meth:`predict` takes, one after the other: all crystals in the sources, and what could not be read,
        each with the name of its source."""
        for number, source in enumerate(sources, start=1):
            name = source_name(source)
            try:
                found = read_crystals([source], number) if is_crystal(source) else stream_records(source)
                for item in found:
                    yield name, item
            except IrrepnetError as error:
                yield name, Rejection("", str(error))

    @abstractmethod
    def predict(self, network: torch.nn.Module, items: Sequence[Item], log: Log) -> list[dict[str, Any]]:
        """A row an item: ``file``, ``id``, ``formula``, the value of each target by its name (None if there is no
        prediction), and ``note``: why there is none, or what to know about it."""

    def card(self, examples: Any, train: np.ndarray) -> dict[str, Any]:
        """What model.json says of the targets and of where they hold."""
        return {
            "targets": [vars(target) for target in self.targets],
            "domain": {
                "point_groups": self.admitted,
                "elements": sorted({symbol for k in train for symbol in examples.records[k].species}),
            },
        }

    def outliers(self, examples: Any, train: np.ndarray) -> list[str]:
        """What is odd about values of the training examples: those far from all others, by target and id."""
        return []

    @property
    def admitted(self) -> str | list[str]:
        """The point groups of the crystals that are admitted, in words where none is named."""
        return getattr(self.config.data, "point_groups", None) or "all"

    def load(self, card: Mapping[str, Any]) -> None:
        """Set ``targets`` from what :meth:`card` said."""
        self.targets = [load_target(target) for target in card["targets"]]


FOLLOWED = ("mae", "auc", "accuracy", "frobenius", "ewt25")


def followed(errors: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures on the validation examples that the history keeps."""
    return {
        f"validation_{name}_{key}": value
        for name, figures in errors.items()
        for key, value in figures.items()
        if key in FOLLOWED
    }


def in_parts(items: Sequence[Any], size: int = EVALUATION_BATCH) -> list[Sequence[Any]]:
    """The items in order, so many at a time."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def reason_counts(rejections: Sequence[Rejection]) -> list[tuple[str, int]]:
    """Reasons and how often each occurs, the commonest first."""
    return Counter(rejection.reason for rejection in rejections).most_common()


def none_left(name: str, number: int, rejections: Sequence[Rejection]) -> IrrepnetError:
    """What to raise when no record can be used."""
    reasons = ", ".join(f"{count} × {reason}" for reason, count in reason_counts(rejections)[:3])
    return IrrepnetError(f"{name}: none of the {number} crystals can be used: {reasons}")


def device_of(network: torch.nn.Module) -> torch.device:
    return next(network.parameters()).device


def source_name(source: Any) -> str:
    """What rows of predictions call a source."""
    return str(source) if isinstance(source, str) or hasattr(source, "__fspath__") else GIVEN
