"""What every network looks like to a monitor, whichever engine runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .detections.decoder import as_decoder
from .detections.found import Decode
from .inputs import Input
from .preprocessing import Preprocessing
from .tap import Taps

if TYPE_CHECKING:
    from typing_extensions import Self


_OF_NUMPY = {np.dtype(letter).name for letter in np.typecodes["AllInteger"] + np.typecodes["Float"]}


class NetworkWarning(UserWarning):
    """A tap does not stand where it was asked for, or changes what the network says."""


class Observation(NamedTuple):
    """One batch through a network. Arrays are valid until the next call: an engine may use its buffers again.

    output: exactly what the engine returns for the bare network, a tuple when there are several outputs.
    logits: (batch, classes) float32, None for a network without classes.
    activations: one C-contiguous array per tap, in the order of the network's taps: (batch * tap.rows, tap.size)
    float32, where neurons are of places (``pixel``, ``pixelK``) (batch * tap.rows * places, tap.size), frame by frame
    and row by row. A quantised tap taken unit by unit comes as its codes, uint8; int8 codes are shifted by 128, which
    keeps their order.
    score_map: (batch, map_classes, height, width) floats, the class scores of every place, for a network that has them.
    rows: by the index of each tap whose rows vary from frame to frame (`Tap.rows` None), those of each frame, (batch,)
    int64; the activations of that tap are (sum of these, tap.size), frame by frame. All places of a row count.
    """

    output: Any
    logits: np.ndarray | None
    activations: tuple[np.ndarray, ...]
    score_map: np.ndarray | None = None
    rows: Mapping[int, np.ndarray] | None = None


class Network(Protocol):
    """A network as a source of activations: all that a monitor, a guard and an export read of one.

    An adapter inherits from this class for the defaults, or has every name itself.

    taps: where it is observed, in the order of an observation's activations. classes: how many it tells apart, None
    for a network without classes (regression, segmentation). input_shape: of one sample. engine: its name in a profile.
    fingerprint: a SHA-256 in hexadecimal: another network has another. preprocessing: what a picture goes through
    before it is a sample; may be set, and a monitor sets it to that of the profile that it loads.
    dtype: of a batch. map_classes: how many classes a map of class scores tells apart, None without such a map.
    scores_output: index or name of the output with the class scores, where the adapter was told or knows.
    takes_tensors: whether a batch may be a torch tensor. shaped: whether input_shape and taps are known; where not,
    they raise RuntimeError until `learn_shape`.
    inputs: what a frame is made of. A batch of a network with several is a tuple of arrays in their order, or a mapping
    by their names; its input_shape and dtype are those of the first. scores: whether the class scores are ``logits`` or
    ``probabilities``, the same for every frame. detections: of an object detector, what makes boxes of its output, see
    `as_decoder`; may be set, by name too. memory: what the network carries from frame to frame, None for most;
    what was read here may be set again, so that several streams share one network.
    """

    taps: Taps
    classes: int | None
    input_shape: tuple[int | None, ...]
    engine: str
    fingerprint: str
    dtype: str = "float32"
    map_classes: int | None = None
    scores_output: int | str | None = None
    shaped: bool = True
    takes_tensors: bool = False
    scores: str = "logits"
    memory: Any = None

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What was set, giving samples of the dtype that the network takes: ``preprocessing(picture)`` is a sample."""
        told: Preprocessing | None = self.__dict__.get("_preprocessing")
        if told is not None and told.dtype != self.dtype and self.dtype in _OF_NUMPY:
            told = self.__dict__["_preprocessing"] = told.giving(self.dtype)
        return told

    @preprocessing.setter
    def preprocessing(self, told: Preprocessing | None) -> None:
        self.__dict__["_preprocessing"] = told

    @property
    def detections(self) -> Decode | None:
        """What decodes the output for a batch into the detections of each frame; None for what is no detector."""
        found: Decode | None = self.__dict__.get("_detections")
        return found

    @detections.setter
    def detections(self, told: Any) -> None:
        self.__dict__["_detections"] = as_decoder(told)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """By default the one input that input_shape and dtype tell."""
        return (Input("input", tuple(self.input_shape), self.dtype),)

    def observe(self, batch: Any) -> Observation:
        """Run a batch, (n, *input_shape), and return the outputs with the activations at the taps."""
        ...

    def learn_shape(self, _batch: Any) -> None:
        """Take input_shape and taps from a batch, (n, *input_shape), where they are not known yet."""
        return

    def run(self, batch: Any) -> Any:
        """Run a batch without looking inside."""
        ...

    def reset(self) -> None:
        """Forget the frames before, where the network carries something from frame to frame; by default nothing."""
        return

    def unbatched(self, output: Any) -> Any:
        """The output for a batch of one frame, without its batch axis; values that have none stay as they are.

        By default every array of one row loses its first axis.
        """
        return without_batch(output)

    def close(self) -> None:
        """Release what the adapter holds; the network cannot be observed afterwards."""
        ...

    def buffered(self, size: int) -> Buffered:
        """This network with arrays of its own for batches of one size, which stay where they are: see `Buffered`.

        Raises ValueError where it has none, as by default; then every output is a new one.
        """
        raise ValueError(f"expected a network with buffers for {size} frames, got one that makes new arrays")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Buffered(Protocol):
    """A network that fills the same arrays with every call. seen: what the last call left in them."""

    seen: Observation

    def observe(self, batch: Any) -> Observation:
        """Run a batch of the one size; the arrays are valid until the next call."""
        ...


def without_batch(output: Any) -> Any:
    """The output for a batch of one frame, in which every array of one row loses its first axis."""
    if isinstance(output, Mapping):
        return {name: without_batch(value) for name, value in output.items()}
    if isinstance(output, (tuple, list)):
        items = [without_batch(value) for value in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    return output[0] if getattr(output, "ndim", 0) and len(output) == 1 else output


def fits(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Whether a shape is the expected one, of which None stands for any size."""
    return len(shape) == len(expected) and all(size in (None, own) for own, size in zip(shape, expected, strict=True))
