"""A YAML file instead of flags: `false-alarm-rate: 0.01` says what `--false-alarm-rate 0.01` says."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..printable import told
from . import argument_types as types

OF_CAMERAS = "profile", "cameras"
"""What a cameras file has beside flags."""


def config_arguments(
    path: Path, options: Sequence[argparse.Action], argv: Sequence[str], beside: Sequence[str] = ()
) -> list[str]:
    """The file's settings as command-line arguments, without those that `argv` gives itself.

    beside: keys that are no flags and left alone. Every value is read as text, for the parser's own types to judge.
    Raises ValueError for a key that is no option
    (naming near ones), for a value of the wrong form and for a file that is not a mapping in YAML.
    """
    known = {name[2:]: option for option in options for name in option.option_strings if name.startswith("--")}
    for name in ("help", "config"):
        known.pop(name, None)
    given = {argument.split("=")[0] for argument in argv}
    arguments: list[str] = []
    for key, value in read_settings(path).items():
        if key in beside:
            continue
        name = key.replace("_", "-")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(sorted(known))}"
            raise ValueError(f"{path}: unknown key {key!r}; {hint}")
        if given.isdisjoint(known[name].option_strings):
            arguments += _flag(path, key, known[name], value)
    return arguments


class _Loader(yaml.BaseLoader):
    """Knows text, lists and mappings only, and refuses a key that is there twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} for the second time", node.start_mark)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


def read_settings(path: Path) -> dict[str, Any]:
    """A file's mapping, all values text. Raises ValueError for what is no mapping in YAML or has a key twice."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (see `_Loader`)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML, got {told(error)}") from None
    if content is None or content == "":
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected lines of the form `flag: value`, got {type(content).__name__}")
    return content


def _flag(path: Path, key: str, option: argparse.Action, value: Any) -> list[str]:
    flag = option.option_strings[-1]
    if isinstance(option, argparse._AppendAction) and isinstance(value, dict):  # noqa: SLF001
        value = [f"{name}={item}" if isinstance(item, str) else item for name, item in value.items()]
    if option.nargs == "?" and value in ("true", "false"):
        return [flag] if value == "true" else []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in values):
        raise ValueError(f"{path}: {key}: expected a value or a list of values, got {value!r}")
    if option.nargs == 0:
        if value not in ("true", "false"):
            raise ValueError(f"{path}: {key}: expected true or false, got {value!r}")
        return [flag] if value == "true" else []
    if isinstance(option, argparse._AppendAction):  # noqa: SLF001 (argparse has no public name for it)
        return [f"{flag}={item}" for item in values]
    if option.type in (types.words, types.numbers, types.severities, types.bounds):
        return [f"{flag}={','.join(values)}"]
    count = option.nargs if isinstance(option.nargs, int) else 1
    if len(values) != count:
        raise ValueError(f"{path}: {key}: expected {option.nargs or 'one'} value(s), got {value!r}")
    return [flag, *values] if isinstance(option.nargs, int) else [f"{flag}={values[0]}"]
