"""What a run is: one checked document, from a preset or a YAML file, with overrides."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from irrepnet.data.tensors import TENSOR_QUANTITIES, TensorQuantity
from irrepnet.errors import IrrepnetError
from irrepnet.graphs import GraphOptions, HypergraphOptions, hyperedge_type
from irrepnet.groups import PointGroup
from irrepnet.models import READS, ModelConfig, PointGroupConfig
from irrepnet.tensors import CartesianTensor
from irrepnet.tensors.positive import is_matrix


def _names(value: Any) -> Any:
    """A comma-separated string or a list as a list of strings (YAML reads the point group 23 as a number)."""
    if isinstance(value, str):
        value = value.split(",")
    return [str(name).strip() for name in value] if isinstance(value, list | tuple) else value


Names = Annotated[list[str], BeforeValidator(_names)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorConfig(Section):
    """A tensor that is not among the known quantities.

    Attributes:
        symmetry, axial: of its indices, see :class:`irrepnet.tensors.CartesianTensor`.
        unit: of its values.
        positive: it is positive definite, whatever the crystal, and so are the predictions.
    """

    symmetry: str
    axial: bool = False
    unit: str = ""
    positive: bool = False

    @model_validator(mode="after")
    def _readable(self) -> "TensorConfig":
        try:
            tensor = CartesianTensor(self.symmetry, self.axial)
        except IrrepnetError as error:
            raise ValueError(str(error)) from None
        if self.positive and not is_matrix(tensor):
            raise ValueError(f"positive: a tensor {self.symmetry} is not a symmetric matrix")
        return self


class DataConfig(Section):
    """The crystals, what is learned of them, and how a crystal becomes a graph.

    Attributes:
        source: name of an embedded set, a ``.jsonl`` or ``.jsonl.gz`` file, or a folder of CIFs with
            ``id_prop.csv``.
        targets: names of the properties to learn; a crystal needs at least one of them.
        tensors: those of the targets that are tensors, by name, where they are not known quantities.
        split: fractions of the formulas for training, validation and test.
        split_seed: seed of the split; not ``training.seed``, so that seeds can be compared on one split.
        cutoff, n_max, tolerance, symprec: see :class:`irrepnet.graphs.GraphOptions`; lengths in Å.
        neighbours, scale: see :class:`irrepnet.graphs.HypergraphOptions`.
        point_groups: the crystals' point groups to admit; null admits all that the network can read: for the
            point-group network every subgroup of its group.
        workers: processes that compute descriptors; null takes all cores.
    """

    source: str
    targets: Annotated[Names, Field(min_length=1)]
    tensors: dict[str, TensorConfig] = {}
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_seed: int = Field(0, ge=0)
    cutoff: float = Field(GraphOptions.cutoff, gt=0)
    n_max: int = Field(GraphOptions.n_max, ge=1)
    tolerance: float = Field(GraphOptions.tolerance, gt=0)
    symprec: float = Field(GraphOptions.symprec, gt=0)
    neighbours: Literal["shells", "cutoff", "n-max", "voronoi", "nearest"] = "shells"
    scale: float = Field(HypergraphOptions.scale, ge=1)
    point_groups: Names | None = None
    workers: int | None = Field(None, ge=1)

    @field_validator("targets")
    @classmethod
    def _distinct(cls, targets: list[str]) -> list[str]:
        if len(set(targets)) < len(targets):
            raise ValueError("a target is named twice")
        if "elastic_tensor" in targets:
            raise ValueError("elastic_tensor is in IEEE axes, not the crystal's; take elastic_tensor_original")
        return targets

    @field_validator("split")
    @classmethod
    def _fractions(cls, split: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(split) <= 0 or abs(sum(split) - 1) > 1e-6:
            raise ValueError("must be three positive fractions that add up to 1 (training, validation, test)")
        return split

    @field_validator("point_groups")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        return None if names is None else [PointGroup(name).name for name in names]

    def tensor(self, name: str) -> TensorQuantity | None:
        """What the tensor of that name is; None for a target that is a number."""
        if name in self.tensors:
            declared = self.tensors[name]
            return TensorQuantity(CartesianTensor(declared.symmetry, declared.axial), declared.unit, declared.positive)
        return TENSOR_QUANTITIES.get(name)


class TrainingConfig(Section):
    """How the weights are found.

    Attributes:
        epochs: passes over the training split; the learning rate's cycle is this long.
        batch_size: crystals a step.
        learning_rate: highest learning rate of the one-cycle schedule.
        warmup: fraction of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        ema: decay a step of the running average of the weights; the average is what is validated and kept.
        clip: largest norm of the gradient.
        seed: of the initial weights and of the order of the crystals.
        threads: of PyTorch on the CPU. Crystals are small: one thread is as fast as several, and far faster
            than several that share their cores with other programs.
        device: "auto" takes a CUDA device when there is one.
        compile: let PyTorch compile the training step, for which it needs a C++ compiler: a minute or two at the
            start, then two to three times faster; for networks on graphs and hypergraphs.
    """

    epochs: int = Field(60, ge=1)
    batch_size: int = Field(24, ge=1)
    learning_rate: float = Field(1.5e-3, gt=0)
    warmup: float = Field(0.15, ge=0, le=1)
    weight_decay: float = Field(3e-2, ge=0)
    ema: float = Field(0.996, ge=0, lt=1)
    clip: float = Field(5.0, gt=0)
    seed: int = Field(0, ge=0)
    threads: int = Field(1, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compile: bool = False


def _named(model: Any) -> Any:
    """The section with the name of its network; the point-group network's when it has none."""
    return {"name": "point-group", **model} if isinstance(model, Mapping) else model


class BaseRunConfig(Section):
    """What the configurations of all kinds of runs have."""

    training: TrainingConfig = Field(default_factory=lambda: TrainingConfig.model_validate({}))

    def to_yaml(self) -> str:
        document = self.model_dump(mode="json")
        document["training"] = document.pop("training")  # the last of the sections
        return yaml.safe_dump(document, sort_keys=False)


class RunConfig(BaseRunConfig):
    """A run: the network (see :mod:`irrepnet.models`), the data, the training."""

    model: Annotated[ModelConfig, BeforeValidator(_named)] = Field(
        default_factory=lambda: PointGroupConfig.model_validate({})
    )
    data: DataConfig

    @property
    def graph(self) -> GraphOptions:
        """How a structure becomes what the network reads: what the data say of it and what the network fixes."""
        kind = READS[self.model.name]
        data = {name: getattr(self.data, name) for name in _field_names(kind) if name in DataConfig.model_fields}
        if any(self.data.tensor(name) for name in self.data.targets) and "directions" in _field_names(kind):
            data["directions"] = True
        return kind(**{**data, **self.model.graph_fields})

    @model_validator(mode="after")
    def _fits(self) -> "RunConfig":
        if "neighbours" not in _field_names(READS[self.model.name]) and self.data.neighbours != "shells":
            raise ValueError(
                f"data.neighbours: the {self.model.name} network reads whole shells, not {self.data.neighbours}; "
                "leave this key out, or choose another network"
            )
        if self.training.compile and READS[self.model.name] is not HypergraphOptions:
            raise ValueError(
                f"training.compile: is for the networks on graphs and hypergraphs, not {self.model.name}; leave it out"
            )
        for name in self.model.graph_fields.get("hyperedges", ()):
            try:
                hyperedge_type(name)
            except IrrepnetError as error:
                raise ValueError(f"model.hyperedges: {error}") from None
        return self


def _field_names(options: type[GraphOptions]) -> set[str]:
    return {field.name for field in fields(options)}


_MODELS: dict[str, type[BaseModel]] = {
    member.model_fields["name"].default: member for member in get_args(get_args(ModelConfig)[0])
}


_PRESETS = files("irrepnet.training") / "presets"


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _PRESETS.iterdir() if entry.name.endswith(".yaml"))


Config = TypeVar("Config", bound=BaseRunConfig)


def load_config(
    source: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    kind: type[Config] = RunConfig,  # type: ignore[assignment]
) -> Config:
    """Read a run's configuration.

    Args:
        source: name of a preset, path of a YAML file, or the nested mapping itself.
        overrides: values by dotted key, such as ``{"training.epochs": 10}``; they win.
        kind: of configuration.

    Raises:
        IrrepnetError: with every problem of the document at once, each with its key.
    """
    name = "configuration" if isinstance(source, Mapping) else str(source)
    document = _deep_copy(source) if isinstance(source, Mapping) else _read(name)
    for key, value in (overrides or {}).items():
        _set(document, key, value)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = "\n  ".join(_problem(item, kind) for item in error.errors())
        raise IrrepnetError(f"{name}: {error.error_count()} problem(s):\n  {problems}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """``key=value`` with a dotted key and a YAML value; raises IrrepnetError when it is none."""
    key, equals, value = text.partition("=")
    try:
        if equals and key.strip():
            return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        pass
    raise IrrepnetError(f"cannot read {text!r}: write key=value, for example training.epochs=10")


def _read(name: str) -> dict[str, Any]:
    if name in presets():
        text = (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = "there is no such file or preset" if isinstance(error, FileNotFoundError) else error
            raise IrrepnetError(f"{name}: {reason}; the presets are: {', '.join(presets())}") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise IrrepnetError(f"{name}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise IrrepnetError(f"{name}: expected the sections model, data and training")
    return document


def _deep_copy(value: Any) -> Any:
    return {key: _deep_copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        document = document.setdefault(section, {})
        if not isinstance(document, dict):
            raise IrrepnetError(f"{key}: {section} is not a section")
    document[last] = value


def _problem(item: Any, kind: type[BaseRunConfig]) -> str:
    """One line for one of pydantic's errors."""
    # below the section model, pydantic names the network before the key
    loc = [part for k, part in enumerate(item["loc"]) if not (k == 1 and item["loc"][0] == "model" and part in _MODELS)]
    key = ".".join(str(part) for part in loc)
    if item["type"] == "missing":
        return f"{key}: is required{_HINTS.get(key, '')}"
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key{_proposal(item['loc'][-1], _keys(item['loc'][:-1], kind))}"
    if item["type"] == "union_tag_invalid":
        name = item["ctx"]["tag"]
        return f"{key}.name: no network {name!r}, there are {', '.join(_MODELS)}{_proposal(name, _MODELS)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (got {item['input']!r})" if key else message


def _proposal(name: Any, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


_HINTS = {
    "data": " (data.source and data.targets, or --data and --target)",
    "data.source": " (or give --data)",
    "data.targets": " (or give --target)",
}


def _keys(sections: tuple[Any, ...], kind: type[BaseRunConfig]) -> list[str]:
    model: Any = kind
    for section in sections:
        model = _MODELS[section] if section in _MODELS else model.model_fields[section].annotation
    return list(model.model_fields)
