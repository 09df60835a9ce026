"""Filling a page's template: one HTML file that needs nothing else, no script either."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise ImportError("an HTML page needs jinja2: pip install 'outrider[report]'") from None

    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_legible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template.name).render(values)


def _legible(value: Any) -> Any:
    """A text without anything that cannot be seen or written; our own narrow spaces and markup stay."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "\u202f".join(map(printable, value.split("\u202f")))
