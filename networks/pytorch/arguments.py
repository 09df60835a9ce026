"""How the arrays of a frame are handed to a module: by position, by name, or in one tuple or mapping."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..inputs import Input, frames_in, parts_of

_TRIED = "float32", "uint8", "int64"
_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD

Shapes = Sequence[int] | Sequence[Sequence[int]] | Mapping[str, Sequence[int]]
Dtypes = str | Sequence[str | None] | Mapping[str, str] | None


def ways_to_call(module: nn.Module, shapes: Shapes, dtypes: Dtypes) -> Iterator[Arguments]:
    """The ways to hand frames of these shapes to a module; where dtypes are not told, those to try in this order.

    shapes: of one sample; of several inputs by position or by name. Names that are parameters of `forward` are passed
    so; a `forward` of one parameter gets all of them in one tuple or mapping. dtypes: likewise.
    Raises ValueError for names, numbers of inputs and dtypes that `forward` does not take.
    """
    own, named, takes_any, takes_names = _parameters(module)
    if isinstance(shapes, Mapping):
        names, sizes = list(shapes), [tuple(shape) for shape in shapes.values()]
        how = "names" if takes_names or set(names) <= {*own, *named} else "mapping" if len(own) == 1 else ""
        if not how:
            raise ValueError(f"expected inputs among {', '.join((*own, *named))}, got {', '.join(names)}")
    elif all(isinstance(size, (int, np.integer)) for size in shapes):
        how, names, sizes = "positions", ["input"], [tuple(int(size) for size in shapes)]  # type: ignore[arg-type]
    else:
        sizes = [tuple(shape) for shape in shapes]  # type: ignore[arg-type]
        fits = takes_any or len(own) >= len(sizes)
        how = "positions" if fits else "tuple" if len(own) == 1 else ""
        if not how:
            raise ValueError(f"expected at most {len(own)} inputs, {', '.join(own)}, got {len(sizes)}")
        names = own[: len(sizes)] if len(own) >= len(sizes) else [f"input{i}" for i in range(len(sizes))]
    told = _told(dtypes, names)
    for kinds in itertools.product(*(_TRIED if kind is None else (kind,) for kind in told)):
        inputs = tuple(Input(*one) for one in zip(names, sizes, kinds, strict=True))
        follow = tuple(kind is None and chosen == "float32" for kind, chosen in zip(told, kinds, strict=True))
        yield Arguments(inputs, follow, how, Anchor(module))


def _parameters(module: nn.Module) -> tuple[list[str], list[str], bool, bool]:
    """The parameters of `forward` by position and those by name alone; whether it takes any other by either."""
    while not isinstance(module, nn.Sequential) and isinstance(inner := _wrapped(module), nn.Module):
        module = inner
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):  # a function without a signature
        return [], [], True, True
    kinds = {one.kind for one in parameters}
    own = [one.name for one in parameters if one.kind in _POSITIONAL]
    named = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    return own, named, inspect.Parameter.VAR_POSITIONAL in kinds, inspect.Parameter.VAR_KEYWORD in kinds


def _wrapped(module: nn.Module) -> Any:
    """The module that `torch.compile` or DataParallel has wrapped; None for any other."""
    wrapper = isinstance(module, nn.DataParallel)
    return getattr(module, "module" if wrapper else "_orig_mod", None)


def _told(dtypes: Dtypes, names: Sequence[str]) -> list[str | None]:
    if dtypes is None or isinstance(dtypes, str):
        found: list[str | None] = [dtypes] * len(names)
    elif isinstance(dtypes, Mapping):
        if unknown := [name for name in dtypes if name not in names]:
            raise ValueError(f"expected dtypes of the inputs {', '.join(names)}, got one of {unknown[0]!r}")
        found = [dtypes.get(name) for name in names]
    elif len(dtypes) == len(names):
        found = list(dtypes)
    else:
        raise ValueError(f"expected {len(names)} dtypes, got {len(dtypes)}")
    for kind in found:
        if kind is not None and not isinstance(getattr(torch, kind, None), torch.dtype):
            raise ValueError(f"expected dtypes such as 'float32' or 'uint8', got {kind!r}")
    return found


class Anchor:
    """The first tensor of floats that a module holds: it tells the device and the dtype of the weights.

    It is asked anew every time, since a module can be moved.
    """

    def __init__(self, module: nn.Module) -> None:
        for home in ("_parameters", "_buffers"):
            for part in module.modules():
                for name, tensor in getattr(part, home).items():
                    if tensor is not None and tensor.is_floating_point():
                        self._home, self._name = getattr(part, home), name
                        return
        self._home, self._name = {"": torch.empty(0)}, ""

    @property
    def tensor(self) -> Tensor:
        found: Tensor = self._home[self._name]
        return found


@dataclass(frozen=True)
class Arguments:
    """One way to hand frames to a module.

    inputs: of a frame. follow: of each whether it is fed in the dtype of the weights, as floats usually are. how: by
    ``positions``, by ``names``, or all in one ``tuple`` or ``mapping``.
    """

    inputs: tuple[Input, ...]
    follow: tuple[bool, ...]
    how: str
    anchor: Anchor

    def samples(self, frames: int) -> tuple[Tensor, ...]:
        """Frames of noise: floats in [0, 1), bytes of any value, and whole numbers that are 0."""
        random = torch.Generator().manual_seed(frames)
        found = []
        for one, dtype in zip(self.inputs, self._dtypes(), strict=True):
            shape = (frames, *(size or 1 for size in one.shape))
            if dtype.is_floating_point:
                values = torch.rand(shape, generator=random).to(dtype)
            elif dtype == torch.uint8:
                values = torch.randint(0, 256, shape, generator=random, dtype=dtype)
            else:
                values = torch.zeros(shape, dtype=dtype)
            found.append(values.to(self.anchor.tensor.device))
        return tuple(found)

    def tensors(self, batch: Any, copies: bool) -> tuple[Tensor, ...]:
        """A batch on the module's device and in the dtypes that it takes; copies where they must be.

        Raises TypeError for other dtypes and kinds of arrays, ValueError for other shapes and numbers of arrays.
        """
        anchor = self.anchor.tensor
        device, weights = anchor.device, anchor.dtype
        found = []
        for part, one, follow in zip(parts_of(batch, self.inputs), self.inputs, self.follow, strict=True):
            dtype = weights if follow else getattr(torch, one.dtype)
            as_fed = isinstance(part, Tensor) and part.dtype == dtype and part.shape[1:] == one.shape and len(part) > 0
            if not as_fed:
                self._check(part, one, dtype)
            if isinstance(part, np.ndarray):
                part = torch.from_numpy(np.require(part, requirements=("C", "W")))  # noqa: PLW2901
            elif part.requires_grad:
                part = part.detach()  # noqa: PLW2901
            if copies or part.dtype != dtype or part.device != device:
                part = part.to(device, dtype, copy=copies)  # noqa: PLW2901
            found.append(part)
        if len(found) > 1:
            frames_in(found)
        return tuple(found)

    def call(self, module: Any, tensors: tuple[Tensor, ...]) -> Any:
        """What a module returns for them."""
        if self.how == "positions":
            return module(*tensors)
        if self.how == "tuple":
            return module(tensors)
        named = {one.name: tensor for one, tensor in zip(self.inputs, tensors, strict=True)}
        return module(**named) if self.how == "names" else module(named)

    def _dtypes(self) -> list[torch.dtype]:
        weights = self.anchor.tensor.dtype
        return [
            weights if follow else getattr(torch, one.dtype)
            for one, follow in zip(self.inputs, self.follow, strict=True)
        ]

    def _check(self, part: Any, one: Input, fed: torch.dtype) -> None:
        of = "" if len(self.inputs) == 1 else f" for input {one.name!r}"
        if not isinstance(part, (np.ndarray, Tensor)):
            raise TypeError(f"expected a numpy array or a torch tensor{of}, got {type(part).__name__}")
        if str(part.dtype).removeprefix("torch.") != one.dtype and part.dtype != fed:
            raise TypeError(
                f"expected a batch of dtype {one.dtype}{of}, got {part.dtype}; convert it and check its scale"
            )
        if len(part.shape) != len(one.shape) + 1 or tuple(part.shape[1:]) != one.shape or len(part) == 0:
            shape = ", ".join(["n", *map(str, one.shape)])
            raise ValueError(f"expected a batch of shape ({shape}){of}, got {tuple(part.shape)}")


def shapes_in(batch: Any) -> tuple[Shapes, Dtypes]:
    """The shapes of one sample and the dtypes of a batch, in the form of the batch; floats follow the weights.

    Raises TypeError for what holds no arrays.
    """
    if isinstance(batch, Mapping):
        named = {name: _shape_in(part) for name, part in batch.items()}
        return {n: shape for n, (shape, _) in named.items()}, {n: kind for n, (_, kind) in named.items() if kind}
    if isinstance(batch, (tuple, list)) and batch and all(isinstance(part, (np.ndarray, Tensor)) for part in batch):
        listed = [_shape_in(part) for part in batch]
        kinds = [kind for _, kind in listed]
        return [shape for shape, _ in listed], kinds if any(kinds) else None
    return _shape_in(batch)


def _shape_in(part: Any) -> tuple[tuple[int, ...], str | None]:
    if not isinstance(part, (np.ndarray, Tensor)):
        raise TypeError(f"expected a numpy array or a torch tensor, got {type(part).__name__}")
    dtype = str(part.dtype).removeprefix("torch.")
    return tuple(part.shape[1:]), None if dtype == "float32" else dtype
