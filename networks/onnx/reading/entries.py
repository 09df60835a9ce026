"""The inputs of an ONNX model: what of them is the batch, and which sizes are open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...inputs import Input, parts_of
from ...network import fits

SIDES = (64, 128, 224, 256, 320, 512, 640, 32, 16, 8)
"""The sizes that are tried where a model leaves them open."""

_STEP = 64  # between the sizes of two trial runs: more than the stride of a whole network
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{f"tensor({kind})": kind for kind in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64")},
}
_CHANNELS, _SIDE = (1, 3, 4), 8  # of what looks like a picture

Shape = tuple[int | None, ...]
InputShape = Sequence[int | None] | Mapping[str, Sequence[int | None]] | Sequence[Sequence[int | None]]
Declared = tuple[int | str | None, ...]


class Entries(NamedTuple):
    """What a model takes with every run.

    inputs: with the shape of one frame, as declared or as asked for. declared: as the file has it. fixed: the batch
    size where the model fixes it. batch_axis: whether the inputs have one; without it a run takes one frame.
    """

    inputs: tuple[Input, ...]
    declared: tuple[Declared, ...]
    fixed: int | None
    batch_axis: bool

    @property
    def open(self) -> bool:
        """Whether a size of a frame is open."""
        return any(None in one.shape for one in self.inputs)

    @property
    def batch_symbol(self) -> str | None:
        """What the file calls the size of the batch, None where it has no name or is fixed."""
        names = [sizes[0] for sizes in self.declared if self.batch_axis and isinstance(sizes[0], str)]
        return names[0] if names else None

    def feeds(
        self, batch: int, samples: Sequence[Sequence[int]], rng: np.random.Generator | None = None
    ) -> dict[str, np.ndarray]:
        """Zeros for a run by name, or noise where a generator is given; integers that may be indices stay 0."""
        lead = (batch,) if self.batch_axis else ()
        return {
            one.name: _values((*lead, *sizes), one.dtype, rng) for one, sizes in zip(self.inputs, samples, strict=True)
        }

    def fillings(self) -> Iterator[tuple[tuple[int, ...], ...]]:
        """Shapes to try, one an input; a picture whose channels are open too has 3 or 1 of them, first or last."""
        if not self.open:
            yield tuple(_filled(one.shape, 0) for one in self.inputs)
            return
        for side in SIDES:
            for forms in itertools.product(*(_forms(one.shape) for one in self.inputs)):
                yield tuple(_filled(form, side) for form in forms)

    def grown(self, samples: Sequence[tuple[int, ...]]) -> Iterator[tuple[tuple[int, ...], ...]]:
        """Larger sizes for the open axes, each by a step of its own where possible; channels stay.

        Sizes of two inputs that have one name grow together.
        """
        places: dict[tuple[int, int], Any] = {}
        lead = int(self.batch_axis)
        for i, (one, sizes, declared) in enumerate(zip(self.inputs, samples, self.declared, strict=True)):
            named: list[str] = []
            for axis, size in enumerate(one.shape):
                if size is None and sizes[axis] not in (1, 3):
                    name = declared[axis + lead]
                    known = isinstance(name, str)
                    places[i, axis] = (name, named.count(str(name))) if known else (i, axis)
                    named += [str(name)] if known else []
        order = list(dict.fromkeys(places.values()))
        for factor, stride in ((1, 1), (2, 1), (1, 0), (2, 0)):
            steps = {key: _STEP * factor * (1 + i * stride) for i, key in enumerate(order)}
            yield tuple(
                tuple(size + (steps[places[i, axis]] if (i, axis) in places else 0) for axis, size in enumerate(sizes))
                for i, sizes in enumerate(samples)
            )


def entries(session: Any, asked: InputShape | None, batch_axis: bool | None) -> Entries:
    """The inputs of a session. asked: see `OnnxNetwork`.

    Raises ValueError for inputs that are no tensors of numbers or bools, whose batch sizes differ, or of which nobody
    can tell whether they have a batch axis, and for a shape asked that does not fit.
    """
    values = session.get_inputs()
    if not values:
        raise ValueError("expected a model with an input that changes with the frame, got none; feed one less")
    for value in values:
        if value.type not in _DTYPES:
            raise ValueError(f"expected input {value.name!r} to be a tensor of numbers or bools, got {value.type}")
    declared = [tuple(value.shape) for value in values]
    wanted = _wanted([value.name for value in values], asked)
    has_batch = _has_batch(values, declared, wanted) if batch_axis is None else batch_axis
    fixed = _batch(values, declared) if has_batch else None
    lead = int(has_batch)
    sizes = {shape[0]: fixed for shape in declared if fixed and isinstance(shape[0], str)}
    whole = [tuple(size if isinstance(size, int) else sizes.get(size) for size in shape) for shape in declared]
    shapes = [shape[lead:] for shape in whole]
    for i, value in enumerate(values):
        own, shapes[i] = shapes[i], wanted.get(value.name, shapes[i])
        if not fits(shapes[i], own):
            raise ValueError(
                f"expected input_shape to fit input {value.name!r} of shape {declared[i]}, got {shapes[i]}"
            )
    shapes = _agreeing(shapes, [shape[lead:] for shape in declared])
    inputs = tuple(Input(value.name, shape, _DTYPES[value.type]) for value, shape in zip(values, shapes, strict=True))
    return Entries(inputs, tuple(declared), fixed, has_batch)


def checked(batch: Any, inputs: Sequence[Input]) -> tuple[np.ndarray, ...]:
    """The arrays of a batch in the order of the inputs, once they are what a model takes.

    Raises TypeError for another type or dtype, ValueError for another shape or different numbers of frames.
    """
    parts = parts_of(batch, inputs)
    for part, one in zip(parts, inputs, strict=True):
        of = f"input {one.name!r}: " if len(inputs) > 1 else ""
        if not isinstance(part, np.ndarray):
            raise TypeError(f"{of}expected a numpy array, got {type(part).__name__}")
        if part.dtype != one.dtype:
            raise TypeError(
                f"{of}expected a batch of dtype {one.dtype}, got {part.dtype}; convert it and check its scale"
            )
        if 0 in part.shape or not fits(part.shape[1:], one.shape) or not part.ndim:
            sizes = ("?" if size is None else str(size) for size in one.shape)
            raise ValueError(f"{of}expected a batch of shape ({', '.join(('n', *sizes))}), got {part.shape}")
    if len(parts) > 1 and len({len(part) for part in parts}) > 1:
        counts = ", ".join(f"{one.name} {len(part)}" for part, one in zip(parts, inputs, strict=True))
        raise ValueError(f"expected as many frames of every input, got {counts}")
    return parts


def _has_batch(values: Sequence[Any], declared: Sequence[Declared], wanted: Mapping[str, Shape]) -> bool:
    """Whether the first axis of the inputs is the batch; the shape of a frame that was asked for may tell.

    Raises ValueError where an input may be one frame or a batch.
    """
    fixed = all(isinstance(shape[0], int) for shape in declared if shape)
    for value, shape in zip(values, declared, strict=True):
        alone = len(shape) < 2 and len(values) == 1
        if alone or (fixed and _looks_like_a_picture(shape)):
            if value.name in wanted:
                return len(wanted[value.name]) < len(shape)
            of = "no first axis" if not shape else f"a batch of {shape[0]}"
            raise ValueError(
                f"expected input {value.name!r} of shape (batch, ...), got {shape}, which may be one frame or {of};"
                " say batch_axis=False for one frame, batch_axis=True for a batch"
            )
    return True


def _looks_like_a_picture(shape: Declared) -> bool:
    if len(shape) != 3 or not all(isinstance(size, int) for size in shape):
        return False
    sizes: list[Any] = list(shape)
    return any(
        channels in _CHANNELS and min(sides) >= _SIDE
        for channels, sides in ((sizes[0], sizes[1:]), (sizes[2], sizes[:2]))
    )


def _batch(values: Sequence[Any], declared: Sequence[Declared]) -> int | None:
    """The batch size that all inputs fix, None where they leave it open."""
    first = {value.name: shape[0] if shape else 0 for value, shape in zip(values, declared, strict=True)}
    sizes = {name: size if isinstance(size, int) else None for name, size in first.items()}
    widest = max(range(len(values)), key=lambda i: (len(declared[i]), -i))
    batch = sizes[values[widest].name]
    if batch is None and any(shape[:1] == (1,) and len(shape) > 1 for shape in declared):
        batch = 1
    heads = {size for size in first.values() if isinstance(size, str)}
    for value, shape in zip(values, declared, strict=True):
        if sizes[value.name] not in (None, 1) and heads.intersection(shape[1:]):
            raise ValueError(
                f"expected input {value.name!r} with the batch on its first axis, got {shape}; say batch_axis=False and"
                " input_shape= with all axes of a run of one frame"
            )
        if not shape or sizes[value.name] not in (batch, None):
            others = [v for v in values if v is not value]
            beside = "" if not others else f"; the batch is that of {others[0].name!r}, {tuple(others[0].shape)}"
            raise ValueError(
                f"expected input {value.name!r} of shape (batch, ...), got {shape}{beside}; what stays the same for"
                f" every frame is given once, feeds={{{value.name!r}: array}}"
            )
    return batch


def _wanted(names: Sequence[str], asked: InputShape | None) -> dict[str, Shape]:
    """The shapes of a frame that are asked for, by input."""
    if asked is None:
        return {}
    if isinstance(asked, Mapping):
        if strange := [name for name in asked if name not in names]:
            raise ValueError(f"expected input_shape for inputs among {', '.join(names)}, got {strange[0]!r}")
        return {name: tuple(shape) for name, shape in asked.items()}
    several: list[Any] = list(asked)
    if any(isinstance(one, (tuple, list)) for one in several):
        if len(several) != len(names):
            raise ValueError(
                f"expected input_shape for {len(names)} inputs, {', '.join(names)}, got {len(several)} shapes"
            )
        return {name: tuple(shape) for name, shape in zip(names, several, strict=True)}
    if len(names) > 1:
        raise ValueError(
            f"expected input_shape as a mapping by input or a shape for each of {', '.join(names)},"
            f" got one shape {tuple(several)}"
        )
    return {names[0]: tuple(several)}


def _agreeing(shapes: Sequence[Shape], declared: Sequence[Declared]) -> list[Shape]:
    """The shapes, in which a size is known where another input of the same name for it has it."""
    known = [
        {name: size for name, size in zip(names, shape, strict=True) if isinstance(name, str) and size is not None}
        for names, shape in zip(declared, shapes, strict=True)
    ]
    found = []
    for i, (names, shape) in enumerate(zip(declared, shapes, strict=True)):
        others: dict[Any, int] = {name: size for j, sizes in enumerate(known) if j != i for name, size in sizes.items()}
        found.append(tuple(others.get(n) if s is None else s for n, s in zip(names, shape, strict=True)))
    return found


def _forms(sample: Shape) -> list[Shape]:
    if len(sample) == 3 and sample[0] is None and sample[2] is not None and sample[1] is not None:
        return [(channels, *sample[1:]) for channels in (3, 1)]
    if sample == (None, None, None):
        return [(3, None, None), (1, None, None), (None, None, 3), (None, None, 1)]
    return [sample]


def _filled(sample: Shape, side: int) -> tuple[int, ...]:
    return tuple(side if size is None else size for size in sample)


def _values(shape: tuple[int, ...], dtype: str, rng: np.random.Generator | None) -> np.ndarray:
    if rng is None or (np.dtype(dtype).kind != "f" and dtype != "uint8"):
        return np.zeros(shape, dtype)
    if dtype == "uint8":
        return rng.integers(0, 256, shape, np.uint8)
    return rng.normal(size=shape).astype(dtype)
