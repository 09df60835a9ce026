"""Volumes, several rows a frame, and rows that vary, against the tensors that ONNX Runtime alone computes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from outrider.networks import OnnxNetwork

from ...rows_models import PICTURE, VIEWS, VOLUME, frames, regions, tensors, views, volumes


def by_hand(tensor, way):
    """Neurons of maps (rows, channels, ...) by plain numpy."""
    if way == "unit":
        return tensor.reshape(len(tensor), -1)
    if way == "pixel":
        return np.moveaxis(tensor, 1, -1).reshape(-1, tensor.shape[1])
    if way.startswith("pixel"):
        k = int(way.removeprefix("pixel"))
        windows = np.ndindex(*(-(-n // k) for n in tensor.shape[2:]))
        cuts = [tuple(slice(i * k, i * k + k) for i in window) for window in windows]
        means = [tensor[(slice(None), slice(None), *cut)].mean(tuple(range(2, tensor.ndim))) for cut in cuts]
        return np.stack(means, axis=1).reshape(-1, tensor.shape[1])
    places = tuple(range(2, tensor.ndim))
    if way == "channel-max":
        return tensor.max(places)
    k = 1 if way == "channel" else int(way.removeprefix("grid"))
    cells = []
    for cell in np.ndindex((k,) * len(places)):
        cut = [slice(i * n // k, -(-(i + 1) * n // k)) for i, n in zip(cell, tensor.shape[2:], strict=True)]
        cells.append(tensor[(slice(None), slice(None), *cut)].mean(places))
    return np.stack(cells, axis=-1).reshape(len(tensor), -1)


WAYS = ["unit", "channel", "channel-max", "grid2", "grid4", "pixel", "pixel2", "pixel4"]


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("batch", ["n", 1, 2])
def test_volumes_and_views_in_every_way(batch, n):
    for model, shape, rows, layout in ((volumes, VOLUME, 1, "NCDHW"), (views, VIEWS, 4, "NCHW")):
        network = OnnxNetwork(model(batch), taps="r", neurons=WAYS)
        assert [(tap.layout, tap.rows, tap.neurons) for tap in network.taps[:-1]] == [(layout, rows, w) for w in WAYS]
        x = frames(shape, n)
        seen = network.observe(x)
        (r, y) = tensors(model(), x, "r", "y")
        for found, way in zip(seen.activations, WAYS, strict=False):
            np.testing.assert_allclose(found, by_hand(r, way), rtol=1e-5, atol=1e-6, err_msg=way)
        np.testing.assert_allclose(seen.output, y, rtol=1e-5, atol=1e-6)
        assert seen.rows is None


def test_buffers_hold_the_rows_of_all_frames():
    for model, shape in ((volumes, VOLUME), (views, VIEWS)):
        network = OnnxNetwork(model(), taps="auto", neurons=WAYS)
        own = network.buffered(2)
        for seed in (1, 2):
            x = frames(shape, 2, seed)
            expected = [values.copy() for values in network.observe(x).activations]
            for found, values in zip(own.observe(x).activations, expected, strict=True):
                np.testing.assert_array_equal(found, values)


def test_taps_of_other_rows_leave_apart():
    network = OnnxNetwork(views(), taps="auto", neurons="channel")
    assert [(tap.name, tap.rows) for tap in network.taps] == [("r", 4), ("d", 4), ("e", 1), ("y", 1)]
    x = frames(VIEWS, 3)
    r, d, e, y = tensors(views(), x, "r", "d", "e", "y")
    for found, expected in zip(network.observe(x).activations, (r.mean((2, 3)), d, e, y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", ["n", 1])
def test_rows_that_vary_are_those_of_each_frame(batch):
    network = OnnxNetwork(regions(batch), taps="auto", neurons="channel", classes=3, scores_output="y")
    assert [(tap.name, tap.rows) for tap in network.taps] == [("r", 1), ("d", None), ("y", 1)]
    x = np.concatenate([frames(PICTURE, 2), np.zeros((1, *PICTURE), np.float32), frames(PICTURE, 1, 5)])
    alone = [tensors(regions(), frame[None], "r", "d", "y", "boxes") for frame in x]
    for part in (slice(0, 1), slice(2, 3)) if batch == 1 else (slice(0, 1), slice(2, 3), slice(0, 4)):
        seen = network.observe(x[part])
        r, d, y, boxes = (np.concatenate(values) for values in zip(*alone[part], strict=True))
        assert list(seen.rows) == [1]
        assert seen.rows[1].tolist() == [len(one[1]) for one in alone[part]]
        for found, expected in zip((*seen.activations, *seen.output), (r.mean((2, 3)), d, y, y, boxes), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
            assert found.dtype == np.float32
    assert alone[2][1].shape == (0, 6)
    assert len({len(one[1]) for one in alone}) > 2
    with pytest.raises(ValueError, match="expected taps with as many rows for every frame for a buffer, got d:unit"):
        network.buffered(1)
    with pytest.raises(ValueError, match="for a buffer, got d:unit; tap others"):
        OnnxNetwork(regions(batch), taps="d", classes=None, buffers=1)


def test_what_is_no_row_of_a_frame_has_an_obstacle():
    with pytest.raises(ValueError, match=r"'d' cannot be tapped: .* fixes batches of 2; export it with an open batch"):
        OnnxNetwork(regions(2), taps="d", classes=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = OnnxNetwork(regions(2), taps="auto", classes=None)
    assert [tap.name for tap in network.taps] == ["r"]


def test_a_fixed_batch_tells_the_rows_of_maps_and_no_others():
    network = OnnxNetwork(views(1), taps="auto", neurons="channel")
    assert [(tap.name, tap.rows) for tap in network.taps] == [("r", 4), ("e", 1), ("y", 1)]


@pytest.mark.parametrize(("shape", "joined"), [((-1, 2, 5, 3), False), ((-1, 5, 3), True)])
def test_attention_inside_windows_has_rows_of_heads(shape, joined, chain):
    """Three windows a frame, two heads, five tokens of three channels; exporters also join windows and heads."""
    nodes = [
        ("Reshape", "x s", "q", {}),
        ("Transpose", "q", "k", {"perm": [0, 2, 1] if joined else [0, 1, 3, 2]}),
        ("MatMul", "q k", "m", {}),
        ("Softmax", "m", "p", {"axis": -1}),
        ("MatMul", "p q", "a", {}),
        ("Reshape", "a back", "y", {}),
    ]
    constants = [("s", np.array(shape, np.int64)), ("back", np.array([-1, 90], np.int64))]
    network = OnnxNetwork(
        chain(*nodes, shape=("n", 90), constants=constants), taps="a", neurons=("channel", "head"), classes=None
    )
    x = np.random.default_rng(0).normal(size=(4, 90)).astype(np.float32)
    a = network.observe(x).output.reshape(-1, 2, 5, 3)
    if joined:  # nothing in the graph tells heads from windows
        assert [(tap.shape, tap.rows) for tap in network.taps] == [((6, 5, 3), 1)] * 2
        a = a.reshape(4, 6, 5, 3)
    else:
        assert [(tap.shape, tap.rows, tap.size) for tap in network.taps] == [((2, 5, 3), 3, 6), ((2, 5, 3), 3, 2)]
    means, norms = network.observe(x).activations
    np.testing.assert_allclose(means, a.mean(2).reshape(len(a), -1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norms, np.sqrt((a**2).mean((2, 3))), rtol=1e-5, atol=1e-6)
