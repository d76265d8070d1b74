"""HTML pages that need nothing else: everything inline, every value escaped, and nothing else allowed to run."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from html import unescape
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


def render(template: str, title: str, scripts: Sequence[str] = (), connects: bool = False, **values: Any) -> str:
    """A page from a template of this room.

    Args:
        template: its name.
        title: of the page.
        scripts: JavaScript, written into the page in this order; no other runs there.
        connects: the page's scripts and forms may ask the server that it is from, to whose other pages it has links; no
            page may ask another server.
        values: what the template shows; strings are escaped.
    """
    style = template_text("style.css").strip()
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            policy=_policy(style, scripts, connects),
            connects=connects,
            **values,
        )
    )


def template_text(name: str) -> str:
    """A template as it is."""
    return _environment().loader.get_source(_environment(), name)[0]  # type: ignore[union-attr]


def policy_of(page: str) -> str:
    """The content security policy that a page names, for a server to send along."""
    found = re.search('<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert found is not None  # for `render` has written it
    return unescape(found[1])


def _policy(style: str, scripts: Sequence[str], connects: bool) -> str:
    """A content security policy that admits exactly this style and these scripts, and pictures within the page."""
    rules = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": " ".join(map(_hash, scripts)) or "'none'",
        "img-src": "data: blob:",
        "connect-src": "'self'" if connects else "'none'",
        "form-action": "'self'" if connects else "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("irrepnet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "figure": figure,
        "in_sum": in_sum,
        "column": lambda entries: [[entry] for entry in entries],
    }
    return environment


def figure(value: float | None, digits: int = 4) -> str:
    """A number to some digits, "–" for none; what is zero up to rounding is 0."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{0.0 if abs(value) < 1e-9 else value:.{digits}g}".replace("-", "−")


def in_sum(counts: Mapping[str, int]) -> str:
    """Such as "A1g + 2Eu", or "none"."""
    return " + ".join(f"{count if count > 1 else ''}{label}" for label, count in counts.items()) or "none"
