"""Names that have gone: for one release the old one works, with a warning that says the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def warn_of_name(old: str, new: str, stacklevel: int = 3) -> None:
    """Say that a name has gone. stacklevel: as of `warnings.warn`; by default the caller of the caller is shown."""
    warnings.warn(f"{old} is now {new}; the old name goes with the next release", DeprecationWarning, stacklevel)


def renamed_attribute(old: str, new: str) -> property:
    """A property of the old name that reads the attribute of the new one."""

    def read(self: Any) -> Any:
        warn_of_name(f"{type(self).__name__}.{old}", new)
        return getattr(self, new)

    return property(read, doc=f"The old name of `{new}`.")


def renamed_keyword(old: str, new: str) -> Callable[[Function], Function]:
    """Let a function take an argument by its old name too. It raises TypeError where both are given."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            if old in options:
                warn_of_name(f"the argument {old}", new)
                if new in options:
                    raise TypeError(f"expected {new} alone, got {old} too")
                options[new] = options.pop(old)
            return function(*arguments, **options)

        return call  # type: ignore[return-value]

    return decorate
