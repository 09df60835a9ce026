"""`outrider watch --same-region`: alarms at one place add up, and those at others do not."""

from __future__ import annotations

import numpy as np
import pytest

from .outcomes import error_of, lines_of

onnx, image = pytest.importorskip("onnx"), pytest.importorskip("PIL.Image")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

HEIGHT, WIDTH = 12, 16


@pytest.fixture
def places(outrider, tmp_path):
    """A profile that watches the places of a picture of 16 x 12."""
    weights = np.random.default_rng(1).normal(size=(4, 3, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "weights"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("GlobalAveragePool", ["relu"], ["means"]),
    ]
    graph = helper.make_graph(
        nodes, "places", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, [1, 4, 1, 1])],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "places.onnx")
    write(tmp_path / "drive", *(grey(seed) for seed in range(120)))
    learn = "--classes", "none", "--taps", "relu", "--neurons", "pixel", "-o", "places.outrider"
    assert outrider("profile", "places.onnx", "drive", *learn, "--rows", ":60").err == ""
    assert outrider("calibrate", "places.outrider", "drive", "--rows", "60:", "--false-alarm-rate", "0.05").code == 0
    return "places.outrider"


def grey(seed, *at):
    """A frame of noise around grey, with a bright red patch whose corner is at (x, y)."""
    frame = np.random.default_rng(seed).integers(100, 150, (HEIGHT, WIDTH, 3), np.uint8)
    for x, y in at:
        frame[y : y + 6, x : x + 6] = 255, 0, 0
    return frame


def write(folder, *pictures):
    folder.mkdir()
    for row, picture in enumerate(pictures):
        image.fromarray(picture).save(folder / f"{row:03}.png")


def test_the_same_region_in_k_of_n_frames_alarms(outrider, places, tmp_path):
    write(tmp_path / "jumps", *(grey(200 + i, [(0, 0), (10, 6)][i % 2]) for i in range(3)))
    write(tmp_path / "stays", *(grey(300 + i, (i, i)) for i in range(3)))
    options = "--alarm", "3/3", "--json"

    def said(*more):
        return [line["status"].lower() for line in lines_of(outrider("watch", places, *more))]

    assert said("jumps", *options) == ["warn", "warn", "alarm"]
    assert said("jumps", *options, "--same-region") == ["warn"] * 3
    assert said("stays", *options, "--same-region", "union:0.2") == ["warn", "warn", "alarm"]
    assert said("stays", *options, "--same-region", "union:0.9") == ["warn"] * 3
    (tmp_path / "cameras.yaml").write_text(
        f"profile: {places}\ncameras: {{left: jumps, right: stays}}\nalarm: 3/3\nsame-region: 0.3\njson: true\n"
    )
    lines = lines_of(outrider("watch", "cameras.yaml"))
    last = {line["stream"]: line["status"].lower() for line in lines if line.get("frame") is not None}
    assert last == {"left": "warn", "right": "alarm"}


def test_a_monitor_without_places_has_no_regions(outrider, calibrated, tmp_path):
    write(tmp_path / "drive", grey(0))
    assert "expected a monitor of places for --same-region, got the logic " in error_of(
        outrider("watch", calibrated, "drive", "--same-region")
    )
