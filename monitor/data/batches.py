"""What a user hands over as data: whole arrays, loaders, generators, with labels or without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from ...networks import Network
from ...networks.inputs import Input, each, frames_in, parts_of, together
from ...networks.network import fits
from .arrays import as_array, refuse_unlike, rows_of, taken
from .truth import are_boxes, boxes_as_array

Batches = Any
"""Batches or one whole set, as `batches_of` takes them."""
Batch = tuple[Any, "np.ndarray | None"]

_ROWS = 64
"""Frames at a time of a whole array."""
_LABELS = "labels", "label"
"""Keys of the labels in a mapping by the names of inputs, where no input has that name."""


def batches_of(data: Batches, network: Network) -> Iterator[Batch]:
    """(frames, labels or None) of each batch in whatever a user has.

    data: batches from any iterable, a ``DataLoader`` or a generator; or one array or tensor (n, *input_shape), alone or
    in a pair with labels (n,), which is cut into batches. A batch is such an array or tensor, or a tuple or list of it
    and, where there are any, its labels. A network that was not told the shape of its input learns it from the first.

    Of a network with several inputs a batch is a tuple of arrays in their order or a mapping by their names: alone, in
    a pair with labels, or with the labels behind the last array, as a ``DataLoader`` collates them. A mapping may hold
    the labels itself, under the key ``labels`` or ``label``, unless an input is called so. The same with whole arrays
    of equally many frames is one set. To a network that was not told its inputs the last array of a flat batch is its
    labels where it holds integers, else an input.
    Of a detector labels may be true boxes, a list with those of each frame, see `boxes_as_array`.
    Frames come as the network takes them: an array, or a tuple of arrays. Raises TypeError or ValueError for anything
    else.
    """
    if isinstance(data, (str, bytes)) or not any(hasattr(data, name) for name in ("__iter__", "__getitem__")):
        raise TypeError(f"expected batches (n, ...), a DataLoader or one array, got {type(data).__name__}")
    for frames, labels in _cut(data, network):
        if not network.shaped:
            network.learn_shape(tuple(frames) if isinstance(frames, list) else frames)
        parts = parts_of(frames, network.inputs)
        _refuse_other_shapes(parts, network.inputs)
        yield taken(together(parts), network), labels


def _refuse_other_shapes(parts: Sequence[Any], inputs: Sequence[Input]) -> None:
    """Raise unless each part is an array with the axes of its input and one for the frames, all of as many frames."""
    for part, one in zip(parts, inputs, strict=True):
        of = f"input {one.name}: " if len(inputs) > 1 else ""
        if not hasattr(part, "shape"):
            raise TypeError(f"{of}expected frames as an array or a tensor, got {type(part).__name__}")
        expected = len(one.shape) + 1
        if len(part.shape) != expected:
            hint = "; frames[None] makes a batch of one" if len(part.shape) == expected - 1 and not of else ""
            raise ValueError(
                f"{of}expected batches of shape {('n', *one.shape)}, got one of shape {tuple(part.shape)}{hint}"
            )
    refuse_unlike(parts, inputs)


def _cut(data: Any, network: Network) -> Iterator[Batch]:
    several = network.shaped and len(network.inputs) > 1
    if several and hasattr(data, "shape"):
        parts_of(data, network.inputs)  # says what a batch is
    if isinstance(data, Mapping) or (several and _is_set(data)):
        whole, labels = _frames_and_labels(data, network)
    elif several:
        whole, labels = None, None
    else:
        whole, labels = (data, None) if hasattr(data, "shape") else _whole_pair(data, network)
    if whole is None:
        yield from (_frames_and_labels(batch, network) for batch in data)
        return
    one_array = not several and network.shaped and not isinstance(whole, Mapping)
    if one_array and len(whole.shape) == len(network.input_shape) + 2:
        yield from ((batch, None) for batch in whole)
        return
    count = frames_in(whole)
    if labels is not None and len(labels) != count:
        raise ValueError(f"expected a label per frame, got {count} frames and {len(labels)} labels")
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        yield each(whole, lambda part, rows=rows: part[rows]), None if labels is None else labels[rows]  # type: ignore[misc]


def _is_set(data: Any) -> bool:
    """Whether data for several inputs are one set of whole arrays, not a sequence of batches."""
    if not isinstance(data, (tuple, list)) or not data:
        return False
    return all(hasattr(part, "shape") for part in data) or (
        len(data) == 2 and _is_nested(data[0]) and hasattr(data[1], "shape")
    )


def _is_nested(part: Any) -> bool:
    return isinstance(part, (tuple, list, Mapping))


def _whole_pair(data: Any, network: Network) -> tuple[Any, np.ndarray | None]:
    """The frames and labels of a pair of a whole array and its labels; (None, None) for batches."""
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not hasattr(data[0], "shape"):
        return None, None
    frames, labels = data
    if not _are_labels(labels, frames, network):
        return None, None
    return frames, _labels(labels)


def _are_labels(second: Any, frames: Any, network: Network) -> bool:
    """Whether the second of a pair is the labels of the frames, usable or not, rather than another batch of frames.

    A batch of frames has their number of axes and their dtype, and where the network takes frames of one shape, that.
    """
    if not hasattr(second, "shape"):  # a list of numbers or words; batches have arrays in them
        return isinstance(second, (list, tuple)) and not any(hasattr(one, "shape") and one.shape for one in second)
    if len(second.shape) != len(frames.shape):
        return len(second.shape) < len(frames.shape)
    if str(second.dtype).removeprefix("torch.") != str(frames.dtype).removeprefix("torch."):
        return True
    return (
        network.shaped
        and fits(frames.shape[1:], network.input_shape)
        and not fits(second.shape[1:], network.input_shape)
    )


def _frames_and_labels(batch: Any, network: Network) -> Batch:
    names = [one.name for one in network.inputs] if network.shaped else None
    if isinstance(batch, Mapping):
        key = next((key for key in _LABELS if key in batch and key not in (names or ())), None)
        frames: Any = {name: part for name, part in batch.items() if name != key}
        return frames, None if key is None else _labels(batch[key])
    if not isinstance(batch, (tuple, list)):
        return batch, None
    if batch and _is_nested(batch[0]) and (names is None or len(names) > 1):
        return _pair(batch)
    if names is None and len(batch) > 1:
        last = batch[-1]
        labelled = are_boxes(last) or (hasattr(last, "shape") and as_array(last).dtype.kind in "iu")
        names = ["input"] * (len(batch) - labelled)
    if names is None or len(names) == 1:
        return _pair(batch)
    if len(batch) not in (len(names), len(names) + 1):
        raise ValueError(
            f"expected a batch as {len(names)} arrays ({', '.join(names)}), alone or with labels behind them,"
            f" got {len(batch)} parts"
        )
    labels = _labels(batch[-1]) if len(batch) > len(names) else None
    return tuple(batch[: len(names)]), labels


def _pair(batch: Sequence[Any]) -> Batch:
    if len(batch) not in (1, 2):
        raise ValueError(f"expected a batch as frames, (frames,) or (frames, labels), got {len(batch)} parts")
    labels = batch[1] if len(batch) == 2 else None
    return batch[0], None if labels is None else _labels(labels)


def _labels(labels: Any) -> np.ndarray:
    if are_boxes(labels):
        return boxes_as_array(labels)
    try:
        array = np.asarray(as_array(labels))
    except (TypeError, ValueError) as error:
        got = type(labels).__name__
        raise ValueError(f"expected labels as an array of the numbers of classes, got {got}: {error}") from error
    if not array.ndim:
        raise ValueError(f"expected a label per frame, got a single one, {str(array)[:40]}")
    return array


def behind(batches: Iterator[Batch], skip: int, passed_over: Callable[[Any], object] | None = None) -> Iterator[Batch]:
    """The batches behind the first `skip` frames. passed_over: is shown the frames that are left out."""
    for frames, labels in batches:
        passed = min(skip, rows_of(frames))
        skip -= passed
        if passed and passed_over is not None:
            passed_over(each(frames, lambda part, passed=passed: part[:passed]))  # type: ignore[misc]
        if passed < rows_of(frames):
            rest = each(frames, lambda part, passed=passed: part[passed:])  # type: ignore[misc]
            yield rest, None if labels is None else labels[passed:]


def kept(batches: Iterator[Batch], keep: Callable[[], object]) -> Iterator[Batch]:
    """The same batches. keep: is called where they raise behind the first one, before the error goes on."""
    given = False
    try:
        for batch in batches:
            yield batch
            given = True
    except Exception:
        if given:
            keep()
        raise


def peeked(batches: Iterator[Batch]) -> Iterator[Batch] | None:
    """The same batches, the first of them read already: a network has then learned its shape. None for no batches."""
    first = next(batches, None)
    return None if first is None else chain([first], batches)


def check_labels(labels: np.ndarray, n: int, classes: int | None, map_classes: int | None) -> np.ndarray:
    """The labels of n frames, (n,), or of the places of n maps, (n, height, width), as whole numbers.

    labels: the numbers of classes from 0 on, integers or floats without a fraction, such as the targets of a binary
    loss; of one column, (n, 1), too; true and false where there are two classes. Those of places may also hold other
    numbers, which mark places that are of no class, such as 255 and -1.
    Raises ValueError for anything else, and for a network without classes, which labels say nothing of.
    """
    if classes is None and not map_classes:
        places = ", or labels of places to one with classes='pixel'" if labels.ndim == 3 else ""
        raise ValueError(
            f"expected no labels for a network without classes, got {labels.dtype} of shape {labels.shape}; give the"
            f" frames alone{places}, or open the network with classes=2 where one number tells two classes, and with"
            " scores_output= where one of several outputs has the class scores"
        )
    if map_classes:
        if labels.ndim != 3 or len(labels) != n:
            raise ValueError(f"expected labels of shape ({n}, height, width), got {labels.shape}")
    elif labels.shape == (n, 1) and n:
        labels = labels[:, 0]
    elif labels.shape != (n,):
        hint = "; of one-hot labels give labels.argmax(1)" if labels.shape == (n, classes) else ""
        if labels.ndim == 3:
            hint = "; labels of places need a network with classes='pixel'"
        raise ValueError(f"expected a label per frame, shape ({n},), got {labels.shape}{hint}")
    whole = _whole_numbers(labels, classes or map_classes)
    if classes and labels.size and not 0 <= whole.min() <= whole.max() < classes:
        got = whole.min() if whole.min() < 0 else whole.max()
        raise ValueError(f"expected labels from 0 and below {classes}, the number of classes, got {got}")
    return whole


def _whole_numbers(labels: np.ndarray, classes: int | None) -> np.ndarray:
    kind = labels.dtype.kind
    if kind == "f" and np.isfinite(labels).all() and (labels == np.floor(labels)).all():
        return labels.astype(np.int64)
    if kind in "iu" or (kind == "b" and classes == 2):
        return labels.astype(np.int64) if kind == "b" else labels
    raise ValueError(f"expected labels as integers, the numbers of classes, got {_words(labels)}")


def _words(labels: np.ndarray) -> str:
    """What labels that are no whole numbers hold, by one of them."""
    strange = labels[labels != np.floor(labels)] if labels.dtype.kind == "f" else labels
    return f"{labels.dtype} such as {strange.flat[0]!s:.40}" if strange.size else str(labels.dtype)
