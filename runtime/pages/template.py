"""Filling a page's template: one HTML file that needs nothing else, no script either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...networks.packages import require
from ..printable import printable


@dataclass(frozen=True)
class Card:
    """A picture and what was said of it, as the macro `card` shows them.

    picture: an inline address. name: the picture in words. ratio: the score in units of the threshold.
    """

    picture: str
    name: str
    note: str
    ratio: float


def fill(template: Path, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """The page of a template that extends `base.html`, with the values in it. Raises ImportError without jinja2."""
    jinja2 = require("jinja2", "an HTML page needs jinja2", "report")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_legible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return str(environment.get_template(template.name).render(values))


def _legible(value: Any) -> Any:
    """A text without anything that cannot be seen or written; our own narrow spaces and markup stay."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "\u202f".join(map(printable, value.split("\u202f")))
