"""What a model takes: its inputs, their batch, and which sizes are open."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from outrider.networks.inputs import Input
from outrider.networks.onnx.reading.entries import checked, entries


def session(**inputs):
    """A session with these inputs: shapes, and types where they are not float."""
    values = []
    for name, told in inputs.items():
        kind, shape = told if str(told[:1]).startswith("('tensor") else ("tensor(float)", told)
        values.append(SimpleNamespace(name=name, type=kind, shape=list(shape)))
    return SimpleNamespace(get_inputs=lambda: values)


def test_inputs_come_in_their_order_each_with_its_dtype():
    found = entries(session(left=("tensor(uint8)", ("n", 9, 9, 3)), state=("tensor(float16)", ("n", 7))), None, None)
    assert found.inputs == (Input("left", (9, 9, 3), "uint8"), Input("state", (7,), "float16"))
    assert (found.fixed, found.batch_axis, found.batch_symbol) == (None, True, "n")


@pytest.mark.parametrize(
    ("shapes", "fixed"),
    [
        ({"x": (4, 3, 9, 9), "z": (4, 2)}, 4),
        ({"x": (4, 3, 9, 9), "z": ("n", 2)}, 4),
        ({"x": ("n", 3, 9, 9), "z": (1, 2)}, 1),
        ({"x": ("n", 3, 9, 9), "speed": ("n",)}, None),
        ({"x": (1, 16), "hidden": (1, 1, 64)}, 1),
    ],
)
def test_the_batch_is_that_of_all_inputs(shapes, fixed):
    assert entries(session(**shapes), None, None).fixed == fixed


def test_the_size_of_the_batch_is_known_wherever_it_stands():
    """As in the hidden state of a recurrent network, (layers, batch, size)."""
    found = entries(session(x=("n", 16), hidden=(1, "n", 64)), None, None)
    assert [one.shape for one in found.inputs] == [(16,), (1, 64)]


def test_an_input_whose_batch_stands_elsewhere_is_no_batch_of_its_first_axis():
    with pytest.raises(
        ValueError, match=r"'hidden' with the batch on its first axis, got \(2, 'n', 64\); say batch_axis"
    ):
        entries(session(x=("n", 16), hidden=(2, "n", 64)), None, None)
    shapes = {"x": (1, 16), "hidden": (2, 1, 64)}
    found = entries(session(x=("n", 16), hidden=(2, "n", 64)), shapes, False)
    assert {one.name: one.shape for one in found.inputs} == shapes


@pytest.mark.parametrize(
    ("shapes", "culprit"),
    [
        ({"x": ("n", 3, 9, 9), "scale": (10,)}, r"'scale' of shape \(batch, ...\), got \(10,\)"),
        ({"scale": (10,), "x": ("n", 3, 9, 9)}, r"'scale' of shape \(batch, ...\), got \(10,\)"),
        ({"x": (2, 3, 9, 9), "scale": (10, 4)}, r"'scale' of shape \(batch, ...\), got \(10, 4\)"),
        ({"x": ("n", 3, 9, 9), "limit": (1,)}, r"'limit' of shape \(batch, ...\), got \(1,\)"),
        ({"x": ("n", 3, 9, 9), "limit": ()}, r"'limit' of shape \(batch, ...\), got \(\)"),
    ],
)
def test_what_does_not_follow_the_batch_is_to_be_fed(shapes, culprit):
    with pytest.raises(ValueError, match=rf"expected input {culprit}; the batch is that of 'x', .*, feeds=\{{'"):
        entries(session(**shapes), None, None)


@pytest.mark.parametrize("shape", [(3, 64, 48), (48, 64, 3), (1, 8, 8), (4, 8, 8), (8,), ("samples",)])
def test_what_may_be_one_frame_or_a_batch_is_asked(shape):
    message = r"expected input 'x' of shape \(batch, ...\), got .* which may be one frame or .*; say batch_axis=False"
    with pytest.raises(ValueError, match=message):
        entries(session(x=shape), None, None)
    alone = entries(session(x=shape), None, batch_axis=False)
    sizes = tuple(size if isinstance(size, int) else None for size in shape)
    assert (alone.inputs[0].shape, alone.fixed, alone.batch_symbol) == (sizes, None, None)
    batch = entries(session(x=shape), None, batch_axis=True)
    assert batch.inputs[0].shape == sizes[1:]
    for known in (alone, batch):
        assert entries(session(x=shape), known.inputs[0].shape, None) == known


@pytest.mark.parametrize("shape", [("n", 64, 48), (3, 64), (3, 7, 64), (2, 64, 64), (1, 3, 64, 64), (3, "h", 64)])
def test_what_can_only_be_a_batch_is_not_asked(shape):
    assert entries(session(x=shape), None, None).batch_axis


def test_a_shape_is_asked_by_name_in_order_or_for_the_one_input():
    both = session(x=("n", 3, "h", "w"), z=("n", "k"))
    for asked in ({"x": (3, 5, None), "z": (6,)}, [(3, 5, None), (6,)], ([3, 5, None], [6])):
        assert [one.shape for one in entries(both, asked, None).inputs] == [(3, 5, None), (6,)]
    assert [one.shape for one in entries(both, {"z": (6,)}, None).inputs] == [(3, None, None), (6,)]
    assert entries(session(x=("n", None)), (4,), None).inputs[0].shape == (4,)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"y": (6,)}, "expected input_shape for inputs among x, z, got 'y'"),
        ([(3, 5, 5)], "expected input_shape for 2 inputs, x, z, got 1 shapes"),
        ((3, 5, 5), r"as a mapping by input or a shape for each of x, z, got one shape \(3, 5, 5\)"),
        ({"z": (6, 1)}, r"expected input_shape to fit input 'z' of shape \('n', 'k'\), got \(6, 1\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        entries(session(x=("n", 3, "h", "w"), z=("n", "k")), asked, None)


def test_open_sizes_of_one_name_are_tried_and_grow_together():
    found = entries(session(tokens=("n", "length"), mask=("n", "length"), x=("n", 3, "h", "w")), None, None)
    first = next(found.fillings())
    assert first == ((64,), (64,), (3, 64, 64))
    (tokens,), (mask,), (_, h, w) = next(found.grown(first))
    assert tokens == mask > 64
    assert len({tokens, h, w}) == 3


def test_noise_leaves_alone_what_may_be_an_index():
    found = entries(session(x=("n", 4), ids=("tensor(int64)", ("n", 5)), raw=("tensor(uint8)", ("n", 6))), None, None)
    feeds = found.feeds(2, [(4,), (5,), (6,)], np.random.default_rng(0))
    assert {name: (array.shape, str(array.dtype)) for name, array in feeds.items()} == {
        "x": ((2, 4), "float32"), "ids": ((2, 5), "int64"), "raw": ((2, 6), "uint8")
    }  # fmt: skip
    assert feeds["x"].any()
    assert feeds["raw"].any()
    assert not feeds["ids"].any()
    assert not any(array.any() for array in found.feeds(2, [(4,), (5,), (6,)]).values())


BOTH = (Input("x", (2, None), "float32"), Input("z", (3,), "int32"))
X, Z = np.zeros((4, 2, 9), np.float32), np.zeros((4, 3), np.int32)


def test_arrays_of_a_batch_come_in_the_order_of_the_inputs():
    for batch in ((X, Z), [X, Z], {"z": Z, "x": X}):
        found = checked(batch, BOTH)
        assert found[0] is X
        assert found[1] is Z
    assert checked(X, BOTH[:1])[0] is X


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (X, TypeError, r"expected a tuple of 2 arrays \(x, z\) or a mapping by these names, got ndarray"),
        ((X,), ValueError, "expected 2 arrays, for the inputs x, z, got 1"),
        ({"x": X}, ValueError, "expected the inputs x, z, got x"),
        ((X, Z.tolist()), TypeError, "input 'z': expected a numpy array, got list"),
        ((X, Z.astype(np.int64)), TypeError, "input 'z': expected a batch of dtype int32, got int64"),
        ((X[:, :1], Z), ValueError, r"input 'x': expected a batch of shape \(n, 2, \?\), got \(4, 1, 9\)"),
        ((X, Z[:3]), ValueError, "expected as many frames of every input, got x 4, z 3"),
        ((X[:0], Z[:0]), ValueError, r"input 'x': expected a batch .*, got \(0, 2, 9\)"),
    ],
)
def test_batches_that_do_not_fit_name_the_input(batch, error, message):
    with pytest.raises(error, match=message):
        checked(batch, BOTH)
