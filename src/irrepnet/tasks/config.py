"""What the configurations of all tasks have in common."""

from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from irrepnet.crystals import NeighbourOptions
from irrepnet.graphs import GraphOptions
from irrepnet.groups import PointGroup


def _names(value: Any) -> Any:
    """A comma-separated string or a list as a list of strings (YAML reads the point group 23 as a number)."""
    if isinstance(value, str):
        value = value.split(",")
    return [str(name).strip() for name in value] if isinstance(value, list | tuple) else value


Names = Annotated[list[str], BeforeValidator(_names)]


COLUMNS = frozenset({"file", "id", "formula", "atom", "note", "nearest"})
"""Of tables of predictions, besides the targets."""


LARGEST_NETWORK = 4096
"""The most channels, layers, … of a network."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """What is read, and how it is split.

    Attributes:
        source: what :func:`irrepnet.data.read_records` reads, or what the task reads instead.
        split: fractions of the formulas for training, validation and test; or a JSON file with the ids of each, such as
            split.json of a run: crystals of other ids are left out.
        split_seed: seed of the split; not ``training.seed``, so that seeds can be compared on one split.
    """

    source: str
    split: tuple[float, float, float] | str = (0.8, 0.1, 0.1)
    split_seed: int = Field(default=0, ge=0)

    @field_validator("split")
    @classmethod
    def _fractions(cls, split: tuple[float, float, float] | str) -> tuple[float, float, float] | str:
        if isinstance(split, str):
            if not split.endswith(".json"):
                raise ValueError("three fractions, or a .json file with the ids of train, validation and test")
            return split
        if min(split) <= 0 or abs(sum(split) - 1) > 1e-6:
            raise ValueError("must be three positive fractions that add up to 1 (training, validation, test)")
        return split


class NeighbourDataConfig(DataConfig):
    """Data whose crystals become graphs.

    Attributes:
        cutoff: largest distance of a neighbour, Å.
        n_max: neighbours an atom; whole shells, so an atom can have more.
        tolerance: distances that differ by less belong to one shell, Å.
        symprec: how far from symmetric an atom may be, Å.
    """

    cutoff: float = Field(default=GraphOptions.cutoff, gt=0)
    n_max: int = Field(default=GraphOptions.n_max, ge=1)
    tolerance: float = Field(default=GraphOptions.tolerance, gt=0)
    symprec: float = Field(default=GraphOptions.symprec, gt=0)

    @property
    def shells(self) -> NeighbourOptions:
        """Whole shells of neighbours."""
        return NeighbourOptions(self.cutoff, self.n_max, self.tolerance)


class CrystalDataConfig(NeighbourDataConfig):
    """Crystals, and what is learned of them.

    Attributes:
        targets: names of the properties to learn; a crystal needs at least one of them.
        point_groups: the crystals' point groups to admit; null admits all that the network can read.
    """

    targets: Annotated[Names, Field(min_length=1)]
    point_groups: Names | None = None

    @field_validator("targets")
    @classmethod
    def _distinct(cls, targets: list[str]) -> list[str]:
        if len(set(targets)) < len(targets):
            raise ValueError("a target is named twice")
        return targets

    @field_validator("point_groups")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        return None if names is None else [PointGroup(name).name for name in names]


class TrainingConfig(Section):
    """How the weights are found.

    Attributes:
        epochs: passes over the training split; the learning rate's cycle is this long.
        batch_size: examples a step.
        learning_rate: highest learning rate of the one-cycle schedule.
        warmup: fraction of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        ema: decay a step of the running average of the weights; the average is what is validated and kept.
        clip: largest norm of the gradient.
        members: networks that are trained, one after the other, from the seeds `seed`, `seed + 1`, …; predictions are
            their mean, see :class:`irrepnet.models.Ensemble`.
        seed: of the initial weights and of the order of the examples.
        threads: of PyTorch on the CPU. Crystals are small: one thread is as fast as several, and far faster
            than several that share their cores with other programs.
        device: "auto" takes a CUDA device when there is one.
        patience: epochs without a better validation loss after which the training ends; null: all epochs. The cycle of
            the learning rate stays that of all epochs.
        compile: let PyTorch compile the training step, for which it needs a C++ compiler: a minute or two at the
            start, and faster steps then; for the networks for which that pays, cgcnn and the one on hypergraphs.
        products: of matrices in the kernels of training steps: float32, or factors rounded to bfloat16 with sums in
            float32, for processors with AVX512-BF16 and the networks for which that pays, point-group.
            Validation and predictions are in float32.
    """

    epochs: int = Field(default=60, ge=1)
    batch_size: int = Field(default=24, ge=1)
    learning_rate: float = Field(default=1.5e-3, gt=0)
    warmup: float = Field(default=0.15, ge=0, le=1)
    weight_decay: float = Field(default=3e-2, ge=0)
    ema: float = Field(default=0.996, ge=0, lt=1)
    clip: float = Field(default=5.0, gt=0)
    members: int = Field(default=1, ge=1, le=1000)
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, ge=1, le=1024)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    patience: int | None = Field(default=None, ge=1)
    compile: bool = False
    products: Literal["float32", "bfloat16"] = "float32"


class RunConfig(Section):
    """A run: the task, the network, the data, the training.

    Attributes:
        start: folder of a run with whose weights this one begins; see :mod:`irrepnet.training.start`.
        hints: what to say, besides that it is required, of a key that is missing.
    """

    hints: ClassVar[dict[str, str]] = {
        "data": " (data.source, or --data)",
        "data.source": " (or give --data)",
        "data.targets": " (or give --target)",
    }

    task: str
    start: str | None = None
    model: Any
    data: DataConfig
    training: TrainingConfig

    @property
    def compiles(self) -> bool:
        """Whether compiling the training step pays."""
        return False

    @property
    def rounds(self) -> bool:
        """Whether products in bfloat16 pay."""
        return False

    @property
    def averages(self) -> bool:
        """Whether predictions can be the mean of several networks."""
        return False

    @model_validator(mode="after")
    def _averaged(self) -> Self:
        if self.training.members > 1 and not self.averages:
            raise ValueError(
                f"training.members: is for properties, sites and Hamiltonians, not {self.task}; leave it out"
            )
        names = getattr(self.data, "targets", [])
        for name in names:
            if not name.isprintable() or not 0 < len(name) <= 100:
                raise ValueError(f"data.targets: {name[:40]!r} is no name that a table can have; rename that target")
            if name in COLUMNS:
                raise ValueError(f"data.targets: {name} is a column of every table of predictions; rename that target")
            for word, what in (("spread", "the spread"), ("bound", "the bound of the error")):
                if f"{name}_{word}" in names:
                    raise ValueError(
                        f"data.targets: {name}_{word} is {what} of {name} in predictions; rename that target"
                    )
        return self

    @model_validator(mode="after")
    def _of_sound_size(self) -> Self:
        """No network is so large; that of a misprint takes all memory before anything is said."""
        for key, value in self.model if isinstance(self.model, BaseModel) else ():
            if isinstance(value, int) and value > LARGEST_NETWORK:
                raise ValueError(f"model.{key}: {value} is more than any network has, {LARGEST_NETWORK} at most")
        return self

    @model_validator(mode="after")
    def _faster(self) -> Self:
        if self.training.compile and not self.compiles:
            raise ValueError(f"training.compile: it does not pay for the network {self.model.name}; leave it out")
        if self.training.products != "float32":
            if not self.rounds:
                raise ValueError(
                    f"training.products: bfloat16 does not pay for the network {self.model.name}; leave it out"
                )
            if self.training.threads > 1:
                raise ValueError("training.products: bfloat16 is for one thread; set training.threads to 1")
        return self

    def to_yaml(self) -> str:
        document = self.model_dump(mode="json")
        document["training"] = document.pop("training")  # the last of the sections
        return yaml.safe_dump(document, sort_keys=False)
