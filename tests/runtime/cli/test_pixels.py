"""The commands on a network that takes integers: pictures come in its size and order, as the values of their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import Preprocessing, picture_of

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
    pictures = rng.integers(0, 256, (160, 6, 5, 3), np.uint8)
    (tmp_path / "frames").mkdir()
    for row, picture in enumerate(pictures):
        wide = image.fromarray(picture).resize((10, 12), image.Resampling.NEAREST)
        wide.save(tmp_path / "frames" / f"{row:03}.png")
    learn = "-o", "m.outrider", "--classes", "none", "--taps", "auto", "--order", "BGR"
    assert outrider("profile", "pixels.onnx", "frames", *learn, "--rows", ":80").err == ""
    assert "bilinear, antialiased), BGR, numbers as they are, NCHW" in outrider("inspect", "m.outrider").out
    assert outrider("calibrate", "m.outrider", "frames", "--false-alarm-rate", "0.1", "--rows", "80:").code == 0
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


def test_pixels_of_a_camera_go_through_every_command_as_they_are(outrider, tmp_path):
    """uint8 with the channels last and open sizes; then a stream of another shape and depth."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "weights"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["means"]),
    ]
    graph = helper.make_graph(
        nodes, "pixels", [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 4, 1, 1])],
        [numpy_helper.from_array(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), "weights")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "pixels.onnx")
    pictures = rng.integers(0, 256, (160, 9, 12, 3), np.uint8)
    for folder, part in (("frames", pictures), ("wide", pictures[:4, :, :8])):
        (tmp_path / folder).mkdir()
        for row, picture in enumerate(part):
            image.fromarray(picture).save(tmp_path / folder / f"{row:03}.png")
    learn = "-o", "m.outrider", "--classes", "none", "--taps", "auto", "--size", "9", "12"
    assert outrider("profile", "pixels.onnx", "frames", *learn, "--rows", ":80").err == ""
    shown = outrider("inspect", "m.outrider").out
    assert "stretched to 9 x 12 (bilinear, antialiased), RGB, numbers as they are, NHWC" in shown
    assert "pictures of uint8, colour, width : height 1.33" in shown
    assert outrider("calibrate", "m.outrider", "frames", "--false-alarm-rate", "0.1", "--rows", "80:").err == ""
    checked = outrider("check", "m.outrider", "frames", "--json")
    watched = outrider("watch", "m.outrider", "frames", "--json")
    scores = [[line["score"] for line in lines_of(one)] for one in (checked, watched)]
    monitor = Monitor.load("m.outrider", "pixels.onnx")
    samples = np.stack([monitor.network.preprocessing(picture_of(picture)) for picture in pictures])
    np.testing.assert_array_equal(samples, pictures)
    assert samples.dtype == np.uint8
    _, verdicts = monitor.check(samples)
    for one in scores:
        assert one == pytest.approx(verdicts.score.tolist())
    for command in ("check", "watch"):
        said = outrider(command, "m.outrider", "wide", "--json").err
        assert said.count("outrider: warning: picture 1 has 8 x 9 pixels, width : height 0.89, where the profile") == 1
    assert outrider("export", "pixels.onnx", "m.outrider", "-o", "guarded.onnx").code == 0
    guarded = outrider("inspect", "guarded.onnx").out
    assert "stretched to 9 x 12 (bilinear, antialiased), RGB, numbers as they are, NHWC" in guarded
