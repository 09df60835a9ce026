"""Criteria by name, for files, configurations and the command line. They find each subclass that was imported."""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Iterator
from typing import Any

from .criterion import Criterion


def criterion_names() -> tuple[str, ...]:
    """The names of all criteria, with those of third parties that were imported."""
    return names_of(Criterion)


def make_criterion(name: str, **parameters: Any) -> Criterion:
    """The criterion of that name. Raises ValueError for an unknown name, parameter or value."""
    return make_of(Criterion, "criterion", name, parameters)


def names_of(base: type[Any]) -> tuple[str, ...]:
    """The names of all dataclasses below a base that have one."""
    return tuple(sorted(cls.name for cls in _concrete(base)))


def make_of(base: type[Any], word: str, name: str, parameters: dict[str, Any]) -> Any:
    """The dataclass of that name below a base, which `word` calls what it is. Raises as `make_criterion`."""
    classes = {cls.name: cls for cls in _concrete(base)}
    if name not in classes:
        close = difflib.get_close_matches(str(name), classes, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"expected a {word} among {', '.join(names_of(base))}, got {name!r}{hint}")
    fields = {field.name: field for field in dataclasses.fields(classes[name])}
    for key, value in parameters.items():
        if key not in fields:
            raise ValueError(f"expected parameters of {name} among {', '.join(fields) or 'none'}, got {key!r}")
        kind = type(fields[key].default)
        if kind is float and type(value) is int:
            parameters[key] = float(value)
        elif type(value) is not kind:
            raise ValueError(f"expected {key} of {name} to be {kind.__name__}, got {value!r}")
    return classes[name](**parameters)


def describe_criterion(criterion: Criterion) -> dict[str, Any]:
    """{"name": ..., parameter: value, ...} in JSON types, which `make_criterion` takes.

    A parameter that files of older versions lack is left out at its default, if its field says so.
    """
    written = {
        one.name
        for one in dataclasses.fields(criterion)  # type: ignore[arg-type]
        if not (one.metadata.get("left_out_at_default") and getattr(criterion, one.name) == one.default)
    }
    values = dataclasses.asdict(criterion)  # type: ignore[call-overload]
    return {"name": criterion.name, **{name: value for name, value in values.items() if name in written}}


def parse_criterion(text: str) -> Criterion:
    """``multi_range(sections=8, cost=log)`` or ``single_range`` as a criterion. Raises ValueError for other text."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return make_criterion(tree.id)
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            pairs = [(keyword.arg, keyword.value) for keyword in tree.keywords if keyword.arg]
            values = {key: v.id if isinstance(v, ast.Name) else ast.literal_eval(v) for key, v in pairs}
            return make_criterion(tree.func.id, **values)
    except SyntaxError:
        pass
    raise ValueError(f"expected a criterion such as 'multi_range(sections=8, cost=log)', got {text!r}")


def _concrete(cls: type[Any]) -> Iterator[type[Any]]:
    for sub in cls.__subclasses__():
        if dataclasses.is_dataclass(sub):
            yield sub
        yield from _concrete(sub)
