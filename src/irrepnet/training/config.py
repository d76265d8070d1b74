"""What a run is: one checked document, from a preset or a YAML file, with overrides."""

import difflib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from irrepnet.errors import IrrepnetError
from irrepnet.inlets import yaml_value

if TYPE_CHECKING:
    from irrepnet.tasks import RunConfig

_PRESETS = files("irrepnet.training") / "presets"


def presets() -> list[str]:
    """Names of the presets that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _PRESETS.iterdir() if entry.name.endswith(".yaml"))


def preset_task(name: str) -> str:
    """The task of a preset."""
    return _read(name).get("task", "properties")


def load_config(source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Any:
    """Read a run's configuration: that of the task which it names, of "properties" if it names none.

    Args:
        source: name of a preset, path of a YAML file, or the nested mapping itself.
        overrides: values by dotted key, such as ``{"training.epochs": 10}``; they win.

    Raises:
        IrrepnetError: with every problem of the document at once, each with its key.
    """
    name = "configuration" if isinstance(source, Mapping) else str(source)
    document = _deep_copy(source) if isinstance(source, Mapping) else _read(name)
    for key, value in (overrides or {}).items():
        _set(document, key, value)
    from irrepnet.tasks import TASKS, task_class

    task = document.get("task", "properties")
    if not isinstance(task, str) or task not in TASKS:
        raise IrrepnetError(f"{name}: task: no {task!r}, there are {', '.join(TASKS)}{_proposal(task, TASKS)}")
    kind = task_class(task).Config
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        problems = "\n  ".join(_problem(item, kind, document) for item in error.errors())
        raise IrrepnetError(f"{name}: {error.error_count()} problem(s):\n  {problems}") from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """``key=value`` with a dotted key and a YAML value; raises IrrepnetError when it is none."""
    key, equals, value = text.partition("=")
    with suppress(IrrepnetError):
        if equals and key.strip():
            return key.strip(), yaml_value(value)
    raise IrrepnetError(f"cannot read {text[:200]!r}: write key=value, for example training.epochs=10")


def _read(name: str) -> dict[str, Any]:
    if name in presets():
        text = (_PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = "there is no such file or preset" if isinstance(error, FileNotFoundError) else error
            raise IrrepnetError(f"{name}: {reason}; the presets are: {', '.join(presets())}") from None
    try:
        document = yaml_value(text)
    except IrrepnetError as error:
        raise IrrepnetError(f"{name}: {error}") from None
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
    document[last] = _deep_copy(value)


def _problem(item: Any, kind: "type[RunConfig]", document: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors."""
    from irrepnet.models import NETWORKS

    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "missing":
        return f"{key}: is required{kind.hints.get(key, '')}"
    if item["type"] == "extra_forbidden":
        return f"{key}: unknown key{_proposal(item['loc'][-1], _keys(item['loc'][:-1], kind, document))}"
    if item["type"] == "unknown_network":
        name = item["ctx"]["name"]
        return f"{key}.name: no network {name!r}, there are {', '.join(NETWORKS)}{_proposal(name, NETWORKS)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{key}: {message} (got {_short(item['input'])})" if key else message


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]} …"


def _proposal(name: Any, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(sections: tuple[Any, ...], kind: "type[RunConfig]", document: Mapping[str, Any]) -> list[str]:
    """The keys that there are in a section, or in a section of it."""
    from irrepnet.models import NetworkConfig, network_kind

    model: Any = kind
    for section in sections:
        inner = model.model_fields[section].annotation if hasattr(model, "model_fields") else get_args(model)[-1]
        model = network_kind(document["model"]) if inner is NetworkConfig else inner
    return list(getattr(model, "model_fields", ()))
