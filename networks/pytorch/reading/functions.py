"""The functions of PyTorch by their names: which are activations, which work value by value, which move axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...selectors import ACTIVATIONS, GATES

ATTENTION = "scaleddotproductattention"
_BENDS = frozenset(("abs", "clamp", "clampmax", "clampmin", "clip", "erf", "exp", "expm1", "max", "maximum", "min",
    "minimum", "sign", "where"))  # fmt: skip
_STEPS = frozenset(("add", "addcmul", "div", "divide", "float", "half", "log", "log1p", "mul", "multiply", "neg",
    "pow", "reciprocal", "rdiv", "rpow", "rsub", "sqrt", "square", "sub", "subtract", "to", "truedivide", "type",
    "gt", "ge", "lt", "le"))  # fmt: skip
ENDS = _BENDS | frozenset(("add", "addcmul", "div", "divide", "mul", "multiply", "sub", "subtract", "truedivide"))
"""Names that the last step of an activation written in several steps may have."""
UNIFORM = frozenset(("full", "fulllike", "newfull", "newones", "newzeros", "ones", "oneslike", "zeros", "zeroslike"))
"""Names of functions that make a tensor of one value."""
POINTWISE = _BENDS | _STEPS | ACTIVATIONS | GATES


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function without underscores: ``leakyrelu`` for ``F.leaky_relu_``, ``Tensor.leaky_relu``."""
    return getattr(function, "__name__", "").replace("_", "")


def kind_of_function(function: Callable[..., Any]) -> str:
    """The kind of tap that a function gives by itself; nothing for most."""
    name = name_of(function)
    if name == ATTENTION:
        return "attention"
    return name if name in ACTIVATIONS | GATES else ""


def bends(name: str) -> bool:
    """Whether a function that works value by value is none that is straight."""
    return name in _BENDS or name in ACTIVATIONS or name in GATES
