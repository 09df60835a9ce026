"""The rules for every network, which the author of an adapter can run on one."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..adapting import missing_names
from ..inputs import Input, each, frames_in, parts_of, together
from ..network import Network, NetworkWarning
from .checked import Checked, arrays_of, near, same
from .promises import observes_as_promised, says_what_it_is

_FRAMES = 3
_HALF = 2e-2  # of the largest activation: what half precision, and codes of 8 bits, may differ by in another batch
_SINGLE = 1e-3


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
    checked = Checked(network, batch, bare, steady=True)
    first, second = checked.run(batch), checked.run(batch)
    if not same(first, second):
        _is_reset(checked)
        warnings.warn(f"{network!r} is not deterministic: two runs of one batch differ", NetworkWarning, stacklevel=2)
        checked = checked._replace(steady=False)
    for rule in _RULES:
        rule(checked)


def _is_reset(checked: Checked) -> None:
    """Whether runs that differ do so for another reason than a memory that `reset` keeps."""
    network = checked.network
    kept = network.memory
    if kept is None:
        return
    outputs = []
    for _ in range(2):
        network.memory = kept
        outputs.append(list(map(np.copy, arrays_of(network.run(checked.frames)))))
    checked.expect(not same(*outputs), "reset does not bring back the first output")


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


def _returns_what_it_runs(checked: Checked) -> None:
    for batch in (checked.frames, checked.cut(0, 1)):
        n, output = frames_in(batch), checked.observe(batch).output
        if checked.steady:
            checked.expect(same(output, checked.run(batch)), f"observe and run differ in their output for {n} frames")
        if checked.steady and checked.bare is not None:
            checked.network.reset()
            expected = list(arrays_of(checked.bare(batch)))
            checked.expect(same(output, expected), f"the output differs from that of the bare network for {n} frames")


def _repeats(checked: Checked) -> None:
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
        checked.expect(same([before], [after]), f"tap {tap.id}: two observations of one batch differ")
    checked.expect(same(one.output, other.output), "two observations of one batch differ in their output")


def _takes_each_frame_alone(checked: Checked) -> None:
    network, n = checked.network, frames_in(checked.frames)
    if not checked.steady or network.memory is not None:
        return
    alone = [checked.cut(i, i + 1) for i in range(n)]
    outputs, others = checked.run(checked.frames), [checked.run(frame) for frame in alone]
    for index, value in enumerate(outputs):
        rows = [output[index] for output in others if len(output) == len(outputs)]
        split = value.ndim and len(value) == n == len(rows) and all(row.ndim and len(row) == 1 for row in rows)
        if split and not near(value, np.concatenate(rows), _HALF):
            what = f"{checked.network!r} lets the frames of a batch change each other's output"
            warnings.warn(what, NetworkWarning, stacklevel=4)
            return
    whole, single = checked.observe(checked.frames), [checked.observe(frame) for frame in alone]
    for index, tap in enumerate(network.taps):
        tolerance = _SINGLE if tap.dtype == "float32" else _HALF
        expected = np.concatenate([seen.activations[index] for seen in single])
        checked.expect(
            near(whole.activations[index], expected, tolerance),
            f"tap {tap.id}: a frame in a batch differs from it alone",
        )


def _remembers(checked: Checked) -> None:
    """A memory that was read may be set again."""
    network = checked.network
    if network.memory is None or not checked.steady:
        return
    frames = checked.frames
    checked.run(frames)
    kept = network.memory
    second = list(map(np.copy, arrays_of(network.run(frames))))
    network.memory = kept
    checked.expect(
        same(list(arrays_of(network.run(frames))), second), "a memory that is set again gives another output"
    )


def _drops_the_batch_axis(checked: Checked) -> None:
    checked.network.reset()
    output = checked.network.run(checked.cut(0, 1))
    before, after = list(arrays_of(output)), list(arrays_of(checked.network.unbatched(output)))
    checked.expect(len(before) == len(after), f"expected {len(before)} arrays of a frame alone, got {len(after)}")
    for one, other in zip(before, after, strict=True):
        fitting = same([one], [other]) or (one.ndim > 0 and len(one) == 1 and same([one[0]], [other]))
        checked.expect(fitting, f"unbatched made {other.shape} of an output {one.shape}")


def _refuses_bad_batches(checked: Checked) -> None:
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
        checked.expect(same([*before.activations], [*after.activations]), "a refused batch changes what follows")


def _bad(checked: Checked) -> Iterator[tuple[Any, str, Any]]:
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


def _lives_through_nan(checked: Checked) -> None:
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
        checked.expect(same([*before.activations], [*after.activations]), "NaN in one batch changes the next")


def _leaves_the_batch(checked: Checked) -> None:
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
            kept = same(parts_of(given, checked.inputs), parts_of(checked.frames, checked.inputs))
            checked.expect(kept, f"{name} changes the batch that it is given")


def _closes(checked: Checked) -> None:
    checked.network.close()
    try:
        checked.network.observe(checked.frames)
    except RuntimeError:
        return
    except Exception as caught:
        raise AssertionError(f"{checked.network!r}: raises {caught!r} after close, not RuntimeError") from caught
    checked.expect(False, "can be observed after close")


_RULES = (
    says_what_it_is, observes_as_promised, _returns_what_it_runs, _repeats, _takes_each_frame_alone, _remembers,
    _drops_the_batch_axis, _refuses_bad_batches, _lives_through_nan, _leaves_the_batch, _closes,
)  # fmt: skip
