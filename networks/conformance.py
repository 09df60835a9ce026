"""The rules for every network, which the author of an adapter can run on one."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from .adapting import missing_names
from .inputs import Input, each, frames_in, parts_of, together
from .network import Network, NetworkWarning, Observation
from .selectors import OUTPUT
from .tap import Tap, Taps

_FRAMES = 3
_HALF = 2e-2  # of the largest activation: what half precision, and codes of 8 bits, may differ by in another batch
_SINGLE = 1e-3
_SUM = 0.05  # probabilities of codes of 8 bits sum to 1 within this
_KINDS = {"logits", "probabilities"}


class _Checked(NamedTuple):
    """A network under test. frames: a batch of it. bare: what its outputs must equal. steady: whether they repeat."""

    network: Network
    frames: Any
    bare: Callable[[Any], Any] | None
    steady: bool

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.network.inputs

    def expect(self, condition: bool, rule: str) -> None:
        if not condition:
            raise AssertionError(f"{self.network!r}: {rule}")

    def cut(self, start: int, stop: int) -> Any:
        """Some of the frames."""
        return each(self.frames, lambda array: array[start:stop])

    def observe(self, batch: Any) -> Observation:
        """An observation that stays, of frames that follow none."""
        self.network.reset()
        seen = self.network.observe(each(batch, np.copy))
        return seen._replace(
            output=list(map(np.copy, _arrays(seen.output))),
            logits=None if seen.logits is None else seen.logits.copy(),
            activations=tuple(values.copy(order="K") for values in seen.activations),
        )

    def run(self, batch: Any) -> list[np.ndarray]:
        self.network.reset()
        return list(map(np.copy, _arrays(self.network.run(each(batch, np.copy)))))


def check_network(network: Network, frames: Any = None, *, bare: Callable[[Any], Any] | None = None) -> None:
    """Check a network against the rules for all. Raises AssertionError that names the first rule it breaks.

    It has every name of `Network`. Observations have the arrays that `Observation` promises, for a batch of one and of
    several. Their output equals that of `run`, bit for bit, and a second observation is the same. Rows of a batch are
    observed as each frame alone is, but for a network with a memory. Batches of another dtype, shape or number of
    arrays and empty ones raise TypeError or ValueError, and change nothing; NaN raises nothing. A batch stays as it
    was. A closed network raises RuntimeError.
    A network whose own runs differ, or whose frames depend on each other, is told of in a NetworkWarning, and what
    cannot hold is left out.

    frames: a batch of two frames or more that the network takes, by default three of noise. bare: what the network's
    outputs must equal bit for bit, called with the same batches. The network is closed at the end.
    """
    if missing := missing_names(network):
        raise AssertionError(f"{network!r}: lacks {', '.join(missing)}; inherit from outrider.networks.Network")
    batch = _noise(network.inputs) if frames is None else together(parts_of(frames, network.inputs))
    if frames_in(batch) < 2:
        raise ValueError(f"expected two frames or more to check a network on, got {frames_in(batch)}")
    network.learn_shape(batch)
    checked = _Checked(network, batch, bare, steady=True)
    first, second = checked.run(batch), checked.run(batch)
    if not _same(first, second):
        _is_reset(checked)
        warnings.warn(f"{network!r} is not deterministic: two runs of one batch differ", NetworkWarning, stacklevel=2)
        checked = checked._replace(steady=False)
    for rule in _RULES:
        rule(checked)


def _is_reset(checked: _Checked) -> None:
    """Whether runs that differ do so for another reason than a memory that `reset` keeps."""
    network = checked.network
    kept = network.memory
    if kept is None:
        return
    outputs = []
    for _ in range(2):
        network.memory = kept
        outputs.append(list(map(np.copy, _arrays(network.run(checked.frames)))))
    checked.expect(not _same(*outputs), "reset does not bring back the first output")


def _noise(inputs: Sequence[Input]) -> Any:
    """Frames of noise; an open size is 32. Integers are small, so that most tables hold them."""
    rng = np.random.default_rng(0)
    arrays = []
    for one in inputs:
        shape, dtype = (_FRAMES, *(32 if size is None else size for size in one.shape)), np.dtype(one.dtype)
        values = (
            rng.standard_normal(shape) if dtype.kind == "f" else rng.integers(1, 2 if dtype.kind == "b" else 8, shape)
        )
        arrays.append(values.astype(dtype))
    return together(arrays)


def _says_what_it_is(checked: _Checked) -> None:
    network, expect = checked.network, checked.expect
    expect(isinstance(network.taps, Taps), f"expected taps of type Taps, got {type(network.taps).__name__}")
    expect(
        bool(re.fullmatch("[0-9a-f]{64}", network.fingerprint)),
        f"expected a fingerprint of 64 hexadecimal digits, got {network.fingerprint!r}",
    )
    inputs = checked.inputs
    expect(bool(inputs) and all(isinstance(one, Input) for one in inputs), f"expected inputs, got {inputs!r}")
    same = tuple(network.input_shape) == tuple(inputs[0].shape) and network.dtype == inputs[0].dtype
    expect(same, f"expected input_shape and dtype of {inputs[0]}, got {network.input_shape} and {network.dtype}")
    expect(network.scores in _KINDS, f"expected scores among logits and probabilities, got {network.scores!r}")
    for name in ("classes", "map_classes"):
        count = getattr(network, name)
        expect(
            count is None or (isinstance(count, int) and count > 1), f"expected {name} from 2 or None, got {count!r}"
        )


def _observes(checked: _Checked) -> None:
    """Numbers, shapes and dtypes of the arrays, for a batch of one and of several."""
    for batch in (checked.frames, checked.cut(0, 1)):
        _fits_promises(checked, checked.observe(batch), frames_in(batch))


def _fits_promises(checked: _Checked, seen: Observation, n: int) -> None:
    network, expect = checked.network, checked.expect
    expect(
        len(seen.activations) == len(network.taps),
        f"expected {len(network.taps)} activations, one for each tap, got {len(seen.activations)}",
    )
    for index, (tap, values) in enumerate(zip(network.taps, seen.activations, strict=True)):
        rows = _rows(checked, seen, index, tap, n)
        codes = tap.neurons == "unit" and tap.dtype in ("uint8", "int8")
        expected = "uint8" if codes else "float32"
        got = f"got {values.shape} {values.dtype} for {n} frames"
        fitting = values.ndim == 2 and values.shape[1] == tap.size and str(values.dtype) == expected
        if tap.neurons == "pixel" and None in tap.map_sizes:
            fitting = fitting and len(values) % max(rows, 1) == 0
        else:
            rows *= int(np.prod([size for size in tap.map_sizes if size])) if tap.neurons == "pixel" else 1
            fitting = fitting and len(values) == rows
        expect(fitting, f"tap {tap.id}: expected ({rows} rows, {tap.size}) {expected}, {got}")
        expect(values.flags.c_contiguous, f"tap {tap.id}: expected a C-contiguous array, {got}")
    _fits_scores(checked, seen, n)


def _rows(checked: _Checked, seen: Observation, index: int, tap: Tap, n: int) -> int:
    if tap.rows is not None:
        return n * tap.rows
    told = (seen.rows or {}).get(index)
    checked.expect(
        told is not None and told.shape == (n,) and told.dtype == np.int64,
        f"tap {tap.id}: expected the rows of each frame in Observation.rows[{index}], ({n},) int64, got {told!r}",
    )
    return int(cast(np.ndarray, told).sum())


def _fits_scores(checked: _Checked, seen: Observation, n: int) -> None:
    network, expect = checked.network, checked.expect
    classes, logits, of_map = network.classes, seen.logits, seen.score_map
    if classes is None:
        expect(logits is None, "has no classes and yet logits")
        expect(OUTPUT not in [tap.kind for tap in network.taps], f"has no classes and yet a tap of kind {OUTPUT!r}")
    else:
        got = "none" if logits is None else f"{logits.shape} {logits.dtype}"
        fitting = logits is not None and logits.shape == (n, classes) and logits.dtype == np.float32
        expect(fitting, f"expected logits ({n}, {classes}) float32, got {got}")
        _are_scores(checked, cast(np.ndarray, logits))
    if network.map_classes is None:
        expect(of_map is None, "has no map_classes and yet a map of scores")
    else:
        got = "none" if of_map is None else str(of_map.shape)
        fitting = of_map is not None and of_map.ndim == 4 and of_map.shape[:2] == (n, network.map_classes)
        expect(fitting, f"expected a map of scores ({n}, {network.map_classes}, height, width), got {got}")


def _are_scores(checked: _Checked, logits: np.ndarray) -> None:
    checked.expect(bool(np.isfinite(logits).all()), "has class scores that are not finite for frames that are")
    if checked.network.scores == "probabilities":
        sums = logits.sum(1)
        near = bool((np.abs(sums - 1) <= _SUM).all() and (logits >= 0).all())
        checked.expect(near, f"expected probabilities that sum to 1, got sums from {sums.min():g} to {sums.max():g}")


def _returns_what_it_runs(checked: _Checked) -> None:
    for batch in (checked.frames, checked.cut(0, 1)):
        n, output = frames_in(batch), checked.observe(batch).output
        if checked.steady:
            checked.expect(_same(output, checked.run(batch)), f"observe and run differ in their output for {n} frames")
        if checked.steady and checked.bare is not None:
            checked.network.reset()
            expected = list(_arrays(checked.bare(batch)))
            checked.expect(_same(output, expected), f"the output differs from that of the bare network for {n} frames")


def _repeats(checked: _Checked) -> None:
    """Twice the same, with another batch between them; the fingerprint too."""
    mark = checked.network.fingerprint
    checked.observe(checked.frames)
    checked.expect(checked.network.fingerprint == mark, "its fingerprint changes with an observation")
    if not checked.steady:
        return
    one = checked.observe(checked.frames)
    checked.observe(checked.cut(1, 2))
    other = checked.observe(checked.frames)
    for tap, before, after in zip(checked.network.taps, one.activations, other.activations, strict=True):
        checked.expect(_same([before], [after]), f"tap {tap.id}: two observations of one batch differ")
    checked.expect(_same(one.output, other.output), "two observations of one batch differ in their output")


def _takes_each_frame_alone(checked: _Checked) -> None:
    network, n = checked.network, frames_in(checked.frames)
    if not checked.steady or network.memory is not None:
        return
    alone = [checked.cut(i, i + 1) for i in range(n)]
    outputs, others = checked.run(checked.frames), [checked.run(frame) for frame in alone]
    for index, value in enumerate(outputs):
        rows = [output[index] for output in others if len(output) == len(outputs)]
        split = value.ndim and len(value) == n == len(rows) and all(row.ndim and len(row) == 1 for row in rows)
        if split and not _near(value, np.concatenate(rows), _HALF):
            what = f"{checked.network!r} lets the frames of a batch change each other's output"
            warnings.warn(what, NetworkWarning, stacklevel=4)
            return
    whole, single = checked.observe(checked.frames), [checked.observe(frame) for frame in alone]
    for index, tap in enumerate(network.taps):
        near = _SINGLE if tap.dtype == "float32" else _HALF
        expected = np.concatenate([seen.activations[index] for seen in single])
        checked.expect(
            _near(whole.activations[index], expected, near), f"tap {tap.id}: a frame in a batch differs from it alone"
        )


def _remembers(checked: _Checked) -> None:
    """A memory that was read may be set again."""
    network = checked.network
    if network.memory is None or not checked.steady:
        return
    frames = checked.frames
    checked.run(frames)
    kept = network.memory
    second = list(map(np.copy, _arrays(network.run(frames))))
    network.memory = kept
    checked.expect(_same(list(_arrays(network.run(frames))), second), "a memory that is set again gives another output")


def _drops_the_batch_axis(checked: _Checked) -> None:
    checked.network.reset()
    output = checked.network.run(checked.cut(0, 1))
    before, after = list(_arrays(output)), list(_arrays(checked.network.unbatched(output)))
    checked.expect(len(before) == len(after), f"expected {len(before)} arrays of a frame alone, got {len(after)}")
    for one, other in zip(before, after, strict=True):
        fitting = _same([one], [other]) or (one.ndim > 0 and len(one) == 1 and _same([one[0]], [other]))
        checked.expect(fitting, f"unbatched made {other.shape} of an output {one.shape}")


def _refuses_bad_batches(checked: _Checked) -> None:
    before = checked.observe(checked.frames)
    for error, what, bad in _bad(checked):
        for name in ("observe", "run"):
            try:
                getattr(checked.network, name)(bad)
            except error as caught:
                text = str(caught)
                said = "expected" in text and "got" in text
                checked.expect(said, f"{name} says {caught!r} of {what} without what it expected and got")
            except Exception as caught:
                raise AssertionError(f"{checked.network!r}: {name} raises {caught!r} for {what}") from caught
            else:
                checked.expect(False, f"{name} accepts {what}")
    if checked.steady:
        after = checked.observe(checked.frames)
        checked.expect(_same([*before.activations], [*after.activations]), "a refused batch changes what follows")


def _bad(checked: _Checked) -> Iterator[tuple[Any, str, Any]]:
    parts = parts_of(checked.frames, checked.inputs)
    either = (TypeError, ValueError)
    for index, part in enumerate(parts):
        name = checked.inputs[index].name if len(parts) > 1 else "the batch"

        def with_part(other: Any, index: int = index) -> Any:
            return together([*parts[:index], other, *parts[index + 1 :]])

        other = np.complex64 if part.dtype == object else np.dtype("float64" if part.dtype != "float64" else "float32")
        yield TypeError, f"{name} of dtype {other}", with_part(part.astype(other))
        yield ValueError, f"an axis too many in {name}", with_part(part[..., None])
        if None not in checked.inputs[index].shape[-1:] and part.ndim > 1:
            yield ValueError, f"{name} of another size", with_part(np.concatenate([part, part], -1))
    yield either, "an empty batch", each(checked.frames, lambda array: array[:0])
    yield either, "a list of numbers", [0.0] if len(parts) > 1 else [[0.0]]
    if len(parts) > 1:
        yield either, "an input too few", parts[:-1]
        yield either, "an input too many", (*parts, parts[0])
        yield either, "inputs of two batch sizes", (*parts[:-1], parts[-1][:1])


def _lives_through_nan(checked: _Checked) -> None:
    if not any(part.dtype.kind == "f" for part in parts_of(checked.frames, checked.inputs)):
        return
    before = checked.observe(checked.frames)
    poisoned = each(checked.frames, lambda array: np.full_like(array, np.nan) if array.dtype.kind == "f" else array)
    try:
        seen = checked.observe(poisoned)
    except Exception as caught:
        raise AssertionError(f"{checked.network!r}: raises {caught!r} for a batch of NaN") from caught
    checked.expect(len(seen.activations) == len(before.activations), "NaN changes the number of activations")
    if checked.steady:
        after = checked.observe(checked.frames)
        checked.expect(_same([*before.activations], [*after.activations]), "NaN in one batch changes the next")


def _leaves_the_batch(checked: _Checked) -> None:
    for writable in (False, True):
        given = each(checked.frames, np.copy)
        for part in parts_of(given, checked.inputs):
            part.flags.writeable = writable
        for name in ("observe", "run"):
            checked.network.reset()
            try:
                getattr(checked.network, name)(given)
            except Exception as caught:
                what = f"{checked.network!r}: {name} raises {caught!r} for a read-only batch"
                raise AssertionError(what) from caught
            same = _same(parts_of(given, checked.inputs), parts_of(checked.frames, checked.inputs))
            checked.expect(same, f"{name} changes the batch that it is given")


def _closes(checked: _Checked) -> None:
    checked.network.close()
    try:
        checked.network.observe(checked.frames)
    except RuntimeError:
        return
    except Exception as caught:
        raise AssertionError(f"{checked.network!r}: raises {caught!r} after close, not RuntimeError") from caught
    checked.expect(False, "can be observed after close")


def _arrays(output: Any) -> Iterator[np.ndarray]:
    """Every array of an output, whatever it lies in; tensors as arrays."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        for item in output:
            yield from _arrays(item)
    elif hasattr(output, "detach"):
        tensor = output.detach().cpu()
        yield (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    elif output is not None:
        yield np.asarray(output)


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Whether arrays are equal bit for bit."""
    return len(one) == len(other) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(one, other, strict=True)
    )


def _near(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether arrays are equal but for a share of the largest number; NaN equals NaN."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind not in "fiu":
        return True
    a, b = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    largest = max(np.abs(a[finite]).max(initial=0), 1e-6)
    slack = tolerance * largest + (1 if one.dtype.kind in "iu" else 0)  # a code may be rounded the other way
    return bool((np.isnan(a) == np.isnan(b)).all() and (np.abs(a - b)[finite] <= slack).all())


_RULES = (
    _says_what_it_is, _observes, _returns_what_it_runs, _repeats, _takes_each_frame_alone, _remembers,
    _drops_the_batch_axis, _refuses_bad_batches, _lives_through_nan, _leaves_the_batch, _closes,
)  # fmt: skip
