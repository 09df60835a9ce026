"""Attributes that a class does not have are refused, so that no setting is taken and ignored."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type)
_CLOSED = "_closed_to_others"


def strict(cls: _Class) -> _Class:
    """A class decorator: once an object is made, it takes no attribute that it did not have or its class declare.

    A subclass is free to add attributes at any time, unless it is decorated too. An attribute is set with a call of
    Python in between: not for what is set with every frame. Whoever makes objects without `__init__` calls `close`.
    """
    make: Callable[..., None] = cls.__init__  # type: ignore[misc]
    plain: Any = cls.__setattr__
    declared = {name for base in cls.__mro__ for name in getattr(base, "__annotations__", ())}

    @wraps(make)
    def made(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        if type(self) is cls:
            close(self)

    def taken(self: Any, name: str, value: Any) -> None:
        own = self.__dict__
        if name not in own and type(self) is cls and _CLOSED in own and not (name in declared or hasattr(cls, name)):
            raise AttributeError(_unknown(self, name))
        plain(self, name, value)

    cls.__init__, cls.__setattr__ = made, taken  # type: ignore[misc, assignment]
    return cls


def close(made: Any) -> None:
    """Have an object of a `strict` class take no other attributes from now on."""
    made.__dict__[_CLOSED] = True


def _unknown(made: Any, name: str) -> str:
    """What to say of an attribute that an object does not have."""
    there = [known for known in {*dir(type(made)), *vars(made)} if not known.startswith("_")]
    close_ones = get_close_matches(name, sorted(there), n=1)
    hint = f"; did you mean {close_ones[0]}?" if close_ones else ""
    return f"expected an attribute of {type(made).__name__}, got {name!r}{hint}"
