"""The commands on a network of two inputs and on a recurrent one, against the monitor in Python."""

from __future__ import annotations

import json
from runpy import run_path

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork, Recurrent

from ..several import CAMERA, cell_model, fused_frames, fused_model
from .outcomes import error_of, lines_of

LEARN = ("-o", "m.outrider", "--taps", "auto", "--classes", "none", "--criterion", "single_range")


@pytest.fixture
def folder(tmp_path):
    """A model of each kind, and data."""
    (tmp_path / "fused.onnx").write_bytes(fused_model())
    (tmp_path / "cell.onnx").write_bytes(cell_model())
    np.savez(tmp_path / "trusted.npz", **fused_frames(800, 1))
    np.savez(tmp_path / "held.npz", **fused_frames(300, 2))
    for name, seed in (("drives", 3), ("more", 5)):
        (tmp_path / name).mkdir()
        for drive in range(2):
            np.savez(tmp_path / name / f"{drive}.npz", camera=fused_frames(200, seed + drive)["camera"])
    return tmp_path


def test_profile_calibrate_check_inspect_and_compare(outrider, folder):
    assert outrider("profile", "fused.onnx", "trusted.npz", *LEARN).err == ""
    assert outrider("calibrate", "m.outrider", "held.npz", "--false-alarm-rate", "0.05").code == 0
    frames = fused_frames(6, 7)
    frames["speed"][2] *= 50
    for name, array in frames.items():
        (folder / "new" / name).mkdir(parents=True)
        for row, sample in enumerate(array):
            np.save(folder / "new" / name / f"{row}.npy", sample)
    found = lines_of(outrider("check", "m.outrider", "new", "--json"))
    _, verdicts = Monitor.load("m.outrider", "fused.onnx").check(frames)
    assert [line["score"] for line in found] == pytest.approx(verdicts.score.tolist())
    assert [line["frame"] for line in found] == [f"new/{row}" for row in range(6)]
    assert found[2]["alarm"]
    assert "inputs camera 1 x 6 x 5 and speed 4" in outrider("inspect", "m.outrider").out
    assert "camera 1x6x5, speed 4" in outrider("inspect", "fused.onnx").out
    for source in ((), ("--frames", "new"), ("--profile", "m.outrider", "-o", "moved.outrider")):
        result = outrider("compare", "fused.onnx", "fused.onnx", *source, "--json")
        assert (result.code, json.loads(result.out)["output"]) == (0, 0)
    assert (
        outrider("check", "moved.outrider", "new", "--json").out == outrider("check", "m.outrider", "new", "--json").out
    )


def test_a_recurrent_network_begins_each_drive_anew(outrider, folder):
    state = "--state", "h_in=h_out"
    assert outrider("profile", "cell.onnx", "drives", *LEARN, *state).err == ""
    assert outrider("calibrate", "m.outrider", "more", "--false-alarm-rate", "0.05").code == 0
    found = lines_of(outrider("check", "m.outrider", "more", "--batch-size", "7", "--json"))
    network = Recurrent(OnnxNetwork("cell.onnx", taps="auto", classes=None), {"h_in": "h_out"})
    monitor = Monitor.load("m.outrider", network)
    expected = []
    for drive in range(2):
        network.reset()
        expected += monitor.check(np.load(f"more/{drive}.npz")["camera"])[1].score.tolist()
    assert [line["score"] for line in found] == pytest.approx(expected)
    assert Monitor.load("m.outrider", "cell.onnx").network.states == {"h_in": "h_out"}
    assert "input" in outrider("inspect", "m.outrider").out
    for source in ((), ("--frames", "more")):
        result = outrider("compare", "cell.onnx", "cell.onnx", *state, *source, "--json")
        assert (result.code, json.loads(result.out)["output"]) == (0, 0)


def test_the_class_scores_of_several_outputs_are_named(outrider, folder):
    scores = "--scores-output", "scores", "--scores", "logits"
    learn = "-o", "m.outrider", "--taps", "auto", "--minimum-per-class", "1"
    result = outrider("profile", "cell.onnx", "drives", *learn, *scores, "--state", "h_in=h_out", "--json")
    network = json.loads(result.out)["network"]
    assert (network["classes"], network["scores"]) == (3, "logits")
    assert outrider("calibrate", "m.outrider", "more", "--false-alarm-rate", "0.05").code == 0
    found = lines_of(outrider("check", "m.outrider", "more", "--rows", ":9", "--json"))
    _, verdicts = Monitor.load("m.outrider", "cell.onnx").check(np.load("more/0.npz")["camera"][:9])
    assert [line["prediction"] for line in found] == verdicts.prediction.tolist()
    moved = outrider("compare", "cell.onnx", "cell.onnx", *scores, "--profile", "m.outrider", "-o", "moved.outrider")
    assert moved.code == 0
    assert Monitor.load("moved.outrider", "cell.onnx").network.classes == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("profile", "fused.onnx", "drives", *LEARN), "expected arrays named camera and speed, got camera"),
        (("profile", "cell.onnx", "drives", *LEARN, "--state", "h_in"), "expected INPUT=OUTPUT, such as h_in=h_out"),
        (
            ("profile", "cell.onnx", "drives", *LEARN, "--state", "c=h_out"),
            "states among the inputs camera, h_in, got c",
        ),
        (
            ("profile", "fused.onnx", "trusted.npz", *LEARN, "--input-shape", "speed=4"),
            "expected --input-shape of inputs that --state names",
        ),
        (
            ("compare", "fused.onnx", "fused.onnx", "--input-shape", "camera=6"),
            "expected input_shape to fit input 'camera'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(outrider, folder, arguments, message):
    assert message in error_of(outrider(*arguments))


def test_a_stream_of_pictures_is_no_frame_of_several_inputs(outrider, folder):
    outrider("profile", "fused.onnx", "trusted.npz", *LEARN)
    outrider("calibrate", "m.outrider", "held.npz")
    (folder / "pictures").mkdir()
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(np.zeros((6, 5), np.uint8)).save(folder / "pictures" / "0.png")
    assert "expected a network that takes one picture from a stream, got one of 2 inputs" in error_of(
        outrider("watch", "m.outrider", "pictures")
    )


TWO = """
import torch

class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.eyes, self.words = torch.nn.Conv2d(1, 4, 3), torch.nn.Embedding(9, 8)
        self.out = torch.nn.Linear(12, 3)

    def forward(self, camera, word):
        seen = torch.relu(self.eyes(camera)).mean((2, 3))
        return self.out(torch.cat([seen, torch.relu(self.words(word))], 1))
"""


def test_a_module_of_a_picture_and_a_word(outrider, tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "two.py").write_text(TWO)
    rng = np.random.default_rng(0)
    for name, count in (("trusted", 300), ("held", 200)):
        camera = rng.normal(size=(count, *CAMERA)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", camera=camera, word=rng.integers(0, 9, count))
    assert outrider("profile", "two.py:Two", "trusted.npz", *LEARN).err == ""
    network = "--network", "two.py:Two"
    assert outrider("calibrate", "m.outrider", "held.npz", *network, "--false-alarm-rate", "0.05").code == 0
    found = lines_of(outrider("check", "m.outrider", "held.npz", *network, "--rows", ":5", "--json"))
    module = run_path(tmp_path / "two.py")["Two"]().eval()
    with np.load("held.npz") as held:
        _, verdicts = Monitor.load("m.outrider", module).check({name: held[name][:5] for name in held})
    assert [line["score"] for line in found] == pytest.approx(verdicts.score.tolist())
    shapes = "--input-shape", "camera=1,6,5", "--input-shape", "word="
    assert "torch, inputs camera 1x6x5, word " in outrider("inspect", "two.py:Two", *shapes).out


def test_evaluate_counts_what_check_says_of_both_kinds_of_network(outrider, folder):
    far = fused_frames(40, 7)
    far["speed"] *= 5
    np.savez(folder / "far.npz", **far)
    state = "--state", "h_in=h_out"
    for network, data, more in (("fused.onnx", "held.npz", ()), ("cell.onnx", "more", state)):
        trusted = "trusted.npz" if network == "fused.onnx" else "drives"
        outrider("profile", network, trusted, *LEARN, *more)
        outrider("calibrate", "m.outrider", data, "--false-alarm-rate", "0.05", "--accept-rate", "1")
        unsafe = "far.npz" if network == "fused.onnx" else "drives"
        result = outrider("evaluate", "m.outrider", "--clean", data, "--unsafe", f"x={unsafe}", "--json")
        facts = json.loads(result.out)
        for one, name in ((facts["clean"], data), (facts["unsafe"][0], unsafe)):
            found = lines_of(outrider("check", "m.outrider", name, "--json"))
            assert (one["flagged"]["count"], one["frames"]) == (sum(line["alarm"] for line in found), len(found))
        (folder / "m.outrider").unlink()
