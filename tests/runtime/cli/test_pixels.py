"""The commands on a network that takes integers: pictures come in its size and order, as the values of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import Preprocessing

from .outcomes import error_of, lines_of

onnx, image = pytest.importorskip("onnx"), pytest.importorskip("PIL.Image")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def test_a_network_of_integers_gets_the_pixels_and_watch_agrees_with_check(outrider, tmp_path):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["floats", "weights"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["means"]),
    ]
    graph = helper.make_graph(
        nodes, "pixels", [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 3, 6, 5])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 4, 1, 1])],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "pixels.onnx")
    pictures = rng.integers(0, 256, (80, 6, 5, 3), np.uint8)
    (tmp_path / "frames").mkdir()
    for row, picture in enumerate(pictures):
        wide = image.fromarray(picture).resize((10, 12), image.Resampling.NEAREST)
        wide.save(tmp_path / "frames" / f"{row:02}.png")
    learn = "-o", "m.outrider", "--classes", "none", "--taps", "auto", "--order", "BGR"
    assert outrider("profile", "pixels.onnx", "frames", *learn).err == ""
    assert "bilinear, antialiased), BGR, numbers as they are, NCHW" in outrider("inspect", "m.outrider").out
    outrider("calibrate", "m.outrider", "frames", "--false-alarm-rate", "0.1")
    checked = lines_of(outrider("check", "m.outrider", "frames", "--json"))
    watched = lines_of(outrider("watch", "m.outrider", "frames", "--json"))
    assert [line["score"] for line in watched] == pytest.approx([line["score"] for line in checked])
    assert not any(line["status"] == "FAULT" for line in watched)
    read = Preprocessing(size=(6, 5), scale=1, order="BGR")
    samples = [
        read(np.moveaxis(np.asarray(image.open(path)), -1, 0), "uint8")
        for path in sorted((tmp_path / "frames").iterdir())
    ]
    _, verdicts = Monitor.load("m.outrider", "pixels.onnx").check(np.stack(samples))
    assert [line["score"] for line in checked] == pytest.approx(verdicts.score.tolist())
    refused = outrider("profile", "pixels.onnx", "frames", *learn[:-2], "--scale", "0.5")
    assert "needs scale 1" in error_of(refused)
