"""A configuration as a document that says what each key means."""

import inspect
import re
from textwrap import wrap

import yaml
from pydantic import BaseModel

_WIDTH = 120


def commented(config: BaseModel) -> str:
    """All keys of a configuration with their values, as YAML that `load_config` reads back; what a key means stands
    above it.

    Meanings are those of the fields' descriptions, or of the "Attributes" in the documentation of their classes.
    """
    return "\n".join(_lines(config, "")) + "\n"


def _lines(section: BaseModel, indent: str) -> list[str]:
    lines, values, words = [], section.model_dump(mode="json"), _meanings(type(section))
    fields = type(section).model_fields
    for name in sorted(fields, key=lambda name: name == "training"):  # the last of the sections, as in runs
        own = getattr(section, name)
        is_section = isinstance(own, BaseModel)
        meaning = fields[name].description or words.get(name)
        if meaning is not None and not is_section:
            width = _WIDTH - len(indent) - 2
            lines += [f"{indent}# {line}" for line in wrap(meaning, width, break_on_hyphens=False)]
        if is_section:
            lines += [f"{indent}{name}:", *_lines(own, indent + "  ")]
        else:
            text = yaml.safe_dump(
                values[name], sort_keys=False, default_flow_style=True, width=10_000, allow_unicode=True
            )
            lines.append(f"{indent}{name}: {text.removesuffix('...' + chr(10)).strip()}")
    return lines


def _meanings(kind: type) -> dict[str, str]:
    """What the "Attributes" of a class and of those it derives from say of each name."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        _, _, listed = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for entry in re.split(r"\n(?=    \S)", listed):
            names, colon, text = entry.strip().partition(": ")
            if colon and re.fullmatch(r"[\w, ]+", names):
                text = re.sub(r"[,;:] see :\w+:`[^`]+`|:\w+:(?=`)", "", " ".join(text.split()))
                found |= dict.fromkeys(re.split(r", *", names), text.replace("`", "").removesuffix("."))
    return found
