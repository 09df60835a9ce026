"""`outrider profile`, from the first profile to an alarm, and after Ctrl-C."""

from __future__ import annotations

import json
import signal
from functools import partial

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from outrider.networks import load_dataset
from outrider.runtime import taps_within
from outrider.runtime.cli.commands import profile as command
from outrider.runtime.inputs import samples as sources

from ....detectors import DECODER, onnx_detector, scenes
from ..outcomes import PROFILE, error_of, profile_of


def test_profile_calibrate_check_inspect(outrider, model):
    result = outrider("profile", model, "digits:train", *PROFILE)
    assert (result.code, result.err) == (0, "")
    assert "of 1,000 frames" in result.out
    result = outrider(
        "calibrate", "new.outrider", "digits:train", "--rows", "1000:", "--network", model, "--false-alarm-rate", "0.05"
    )
    assert result.code == 0
    assert result.out.startswith("437 held-out frames: 219 set the scales, 218 the threshold\nfalse-alarm rate 0.05")
    result = outrider("inspect", "new.outrider")
    assert result.code == 0
    assert "for a false-alarm rate of 0.05" in result.out


def test_classes_that_stay_empty_may_be_no_classes(outrider, model):
    result = outrider("profile", model, "digits:train", "--rows", ":4", "-o", "new.outrider", "--no-labels", "--quiet")
    assert result.code == 0
    assert "of its 10 classes; if its output is an embedding" in result.err
    assert "open it with `outrider profile --classes none`" in result.err


def test_a_tap_that_moves_is_told(outrider, model):
    result = outrider("profile", model, "digits:train", *PROFILE, "--taps", "conv")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: tapped 'conv' at 'relu', as ")


@pytest.mark.parametrize("command", ["profile", "calibrate", "inspect"])
def test_json_of_the_other_commands(outrider, model, profiled, command):
    arguments = {
        "profile": (model, "digits:train", *PROFILE),
        "calibrate": (profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider"),
        "inspect": (profiled,),
    }[command]
    facts = json.loads(outrider(command, *arguments, "--json").out)
    assert facts["false_alarm_rate"] == 0.01 if command == "calibrate" else facts["trusted"]["frames"] == 1000


def test_criteria_taps_and_neurons(outrider, model):
    result = outrider(
        "profile", model, "digits:train", *PROFILE, "--taps", "@relu", "--neurons", "unit,grid2",
        "--criterion", "*:unit=single_range", "--criterion", "relu:grid2=multi_range(sections=8, cost=log)",
        "--criterion", "softmax", "--json",
    )  # fmt: skip
    columns = [(column["tap"], column["criterion"]["name"]) for column in json.loads(result.out)["columns"]]
    assert columns == [("relu:unit", "single_range"), ("relu:grid2", "multi_range"), ("logits:unit", "softmax")]


@pytest.fixture
def timed(monkeypatch):
    """A clock that finds a tenth more for each tap, and that names what it was asked."""
    asked = []

    def clock(calls, rounds):
        _, name = calls
        asked.append(name)
        taps = len(set(name.split(",")) - {"@output:unit"})
        return {"bare": np.ones(rounds), name: np.full(rounds, 1.01 + 0.1 * taps)}

    monkeypatch.setattr(command, "taps_within", partial(taps_within, clock=clock))
    return asked


def test_taps_are_chosen_for_a_budget_and_profiled(outrider, model, timed):
    result = outrider("profile", model, "digits:train", *PROFILE, "--taps", "budget:1.15", "--json")
    assert (result.code, result.err) == (0, "")
    facts = json.loads(result.out)
    (tap,) = facts["budget"]["taps"]
    assert tap in timed
    assert {column["tap"] for column in facts["columns"]} == {tap, "logits:unit"}
    assert (facts["budget"]["budget"], facts["budget"]["ratio"]) == (1.15, pytest.approx(1.11))
    assert len(facts["budget"]["by_fault"]) == 10
    result = outrider("profile", model, "digits:train", *PROFILE, "--taps", "budget:1.15")
    assert result.out.startswith(f"taps {tap}\n1 of 4 candidates; ")
    assert "time 1.110 of the bare inference" in result.out
    assert f"{tap} mahalanobis" in " ".join(result.out.split())


@pytest.mark.usefixtures("timed")
def test_resume_goes_on_with_the_taps_that_were_chosen(outrider, model, monkeypatch, tmp_path):
    asked = "profile", model, "digits:train", "-o", "halves.outrider", "--rows", ":1000", "--taps", "budget:1.15"
    read = sources.Source.sample

    def interrupted(self, index, *rest):
        if index == 900:  # of the data; no part of the sample has as many
            signal.raise_signal(signal.SIGINT)
        return read(self, index, *rest)

    monkeypatch.setattr(sources.Source, "sample", interrupted)
    assert outrider(*asked).code == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "taps_within", pytest.fail)
    result = outrider(*asked, "--resume", "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["trusted"]["frames"] == 1000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--taps", "budget:1.05,auto"), "expected budget:1.05 alone, as it chooses all taps, got auto beside it"),
        (("--taps", "budget:1"), "expected a number above 1 behind 'budget:', such as budget:1.05, got 'budget:1'"),
        (("--shard", "0/2"), "expected --taps budget:1.05 without --shard, got both"),
        (("--engine", "ray"), "expected --taps budget:1.05 without --engine ray, got both"),
        (("--neurons", "unit"), "expected --taps budget:1.05 without --neurons, got both"),
        (("--extend", "old.outrider"), "expected --extend without --taps, got both"),
        (("--criterion", "relu=single_range"), "expected criteria on * and @output beside a budget, got relu"),
    ],
)
def test_what_does_not_go_with_a_budget_is_refused(outrider, model, flags, words):
    message = error_of(outrider("profile", model, "digits:train", *PROFILE, "--taps", "budget:1.05", *flags))
    assert words in message


@pytest.fixture
def attending(tmp_path):
    """One attention layer of two heads over the rows of a digit, whose class scores learn nothing."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(64, 10)), "rows": [0, 8, 2, 4], "flat": [0, 64]}
    nodes = [
        helper.make_node("Reshape", ["x", "rows"], ["split"]),
        helper.make_node("Transpose", ["split"], ["heads"], perm=[0, 2, 1, 3]),
        helper.make_node("Transpose", ["split"], ["keys"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["heads", "keys"], ["products"]),
        helper.make_node("Softmax", ["products"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "heads"], ["attended"]),
        helper.make_node("Reshape", ["attended", "flat"], ["features"]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("MatMul", ["active", "w"], ["scores"]),
    ]
    tensors = [
        numpy_helper.from_array(np.array(value, np.float32 if name == "w" else np.int64), name)
        for name, value in weights.items()
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["n", 1, 8, 8]), ("scores", ["n", 10]))
    ]
    graph = helper.make_graph(nodes, "heads", ends[:1], ends[1:], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, tmp_path / "heads.onnx")
    return "heads.onnx"


def test_head_coverage_finds_the_heads_by_itself(outrider, attending):
    arguments = "profile", attending, "digits:train", *PROFILE, "--no-labels", "--criterion", "head", "--json"
    result = outrider(*arguments)
    columns = [(column["tap"], column["criterion"]["channels"]) for column in json.loads(result.out)["columns"]]
    assert columns == [("attended:channel", 4)]
    result = outrider(*arguments, "--criterion", "softmax", "--criterion", "active=bitmap")
    taps = [column["tap"] for column in json.loads(result.out)["columns"]]
    assert taps == ["attended:channel", "scores:unit", "active:unit"]


def test_too_few_classes_in_the_folders(outrider, model, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        image.new("L", (8, 8)).save(tmp_path / "photos" / name / "0.png")
    command = ("profile", model, "photos", "-o", "x.outrider")
    assert "expected labels of 10 classes, as the network has, got 2" in error_of(outrider(*command))


def test_a_thin_class_is_a_warning_line(outrider, model):
    result = outrider("profile", model, "digits:train", "-o", "new.outrider", "--rows", ":60")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: ")
    assert "fewer than 5 trusted frames" in result.err


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C in the middle of the third batch."""
    read = sources.Source.sample

    def interrupted(self, index, *rest):
        if index == 150:
            signal.raise_signal(signal.SIGINT)
        return read(self, index, *rest)

    monkeypatch.setattr(sources.Source, "sample", interrupted)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_and_resume_equal_a_run_without(outrider, model, monkeypatch, tmp_path):
    result = outrider(*profile_of(model, "halves.outrider"))
    assert result.code == 130
    assert result.err == (
        "outrider: interrupted; the same command with --resume goes on from halves.outrider.partial\n"
    )
    assert not (tmp_path / "halves.outrider").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    message = error_of(outrider(*profile_of(model, "halves.outrider")))
    assert message == (
        "halves.outrider.partial holds an interrupted run; go on with --resume, or delete it to begin anew"
    )
    assert outrider(*profile_of(model, "halves.outrider"), "--resume").code == 0
    assert outrider(*profile_of(model, "whole.outrider")).code == 0
    assert (tmp_path / "halves.outrider").read_bytes() == (tmp_path / "whole.outrider").read_bytes()
    assert not (tmp_path / "halves.outrider.partial").exists()


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    """One channel of 8 x 8 pixels, bright or dark as two classes, from two features."""
    weights = {"w": np.array([1, -1, 0.5, -0.5]).reshape(4, 1, 1, 1), "b": np.array([-0.5, 0.5, 0, 1]),
               "v": np.array([[9, -9, 0, 0], [-9, 9, 0, 0]]).reshape(2, 4, 1, 1)}  # fmt: skip
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w", "b"], ["conv"]),
            helper.make_node("Relu", ["conv"], ["relu"]),
            helper.make_node("Conv", ["relu", "v"], ["scores"]),
        ],
        "segmenter",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2, 8, 8])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    path = tmp_path_factory.mktemp("segmenter") / "segmenter.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("labelled", [False, True])
def test_a_segmenter_from_profile_to_check(outrider, segmenter, tmp_path, labelled):
    pixels = np.random.default_rng(0).uniform(0, 1, (300, 1, 8, 8)).astype(np.float32)
    given = {"images": pixels, **({"labels": (pixels[:, 0] < 0.5).astype(int)} if labelled else {})}
    np.savez(tmp_path / "frames.npz", **given)
    strange = pixels[:4].copy()
    strange[:, :, :2, :2] = 5
    np.save(tmp_path / "strange.npy", strange)
    taken = "--taps", "relu", "--neurons", "pixel", "--classes", "pixel"
    result = outrider("profile", segmenter, "frames.npz", "-o", "s.outrider", "--rows", ":150", *taken)
    assert (result.code, result.err) == (0, "")
    assert "relu:pixel" in result.out
    (tmp_path / "segmenter.onnx").write_bytes(segmenter.read_bytes())
    result = outrider(
        "calibrate", "s.outrider", "frames.npz", "--rows", "150:", "--false-alarm-rate", "0.05", "--accept-rate", "0.5"
    )
    assert (result.code, result.err) == (0, "")
    assert outrider("check", "s.outrider", "strange.npy").code == 1
    facts = json.loads(outrider("inspect", "s.outrider", "--json").out)
    assert (facts["network"]["map_classes"], facts["network"]["logits"]) == (2, "scores")
    assert facts["trusted"]["labelled"] == labelled
    assert facts["trusted"]["per_map_class"] == [150, 150]
    assert "2 classes of places" in outrider("inspect", "s.outrider").out


@pytest.mark.parametrize("text", ["1", "pixels", ""])
def test_a_wrong_number_of_classes_is_refused(outrider, segmenter, text):
    result = outrider("profile", segmenter, "digits:train", "-o", "s.outrider", "--classes", text)
    assert result.code == 2
    assert "expected auto, pixel, none or a number from 2" in result.err


def test_a_layout_that_the_graph_does_not_tell_is_asked_for_and_remembered(outrider, tmp_path):
    nodes = [helper.make_node("Relu", ["x"], ["act"]), helper.make_node("Flatten", ["act"], ["y"])]
    sample, scores = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", *shape)) for name, shape in (
        ("x", (3, 8)), ("y", (24,)),
    ))  # fmt: skip
    made = helper.make_model(helper.make_graph(nodes, "g", [sample], [scores]), ir_version=8)
    onnx.save(made, tmp_path / "signals.onnx")
    np.save(tmp_path / "frames.npy", np.random.default_rng(0).normal(size=(120, 3, 8)).astype(np.float32))
    given = ("profile", "signals.onnx", "frames.npy", "-o", "s.outrider", "--classes", "none", "--taps", "act")
    assert "cannot be tapped: its channel axis cannot be told: say --tap-layout act=NCL or 'NLC'" in error_of(
        outrider(*given)
    )
    assert outrider(*given, "--tap-layout", "act=NCL", "--criterion", "single_range").code == 0
    assert [tap["layout"] for tap in json.loads(outrider("inspect", "signals.onnx", "--json", "--tap-layout",
        "act=NLC").out)["taps"] if tap["name"] == "act"] == ["NLC"]  # fmt: skip
    np.save(tmp_path / "others.npy", np.random.default_rng(1).normal(size=(120, 3, 8)).astype(np.float32))
    assert outrider("calibrate", "s.outrider", "others.npy").code == 0


WORDS = "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"


@pytest.fixture
def folders(tmp_path):
    """Digits in folders that bear their names, which sort in another order than the digits."""
    pillow = pytest.importorskip("PIL.Image")
    data = load_dataset("digits", "train")
    for row in range(700):
        folder = tmp_path / "signs" / WORDS[data.labels[row]]
        folder.mkdir(parents=True, exist_ok=True)
        pillow.fromarray(data.images[row].squeeze()).save(folder / f"{row:03}.png")
    return "signs"


def test_folders_that_sort_otherwise_than_the_classes_are_told_of(outrider, model, folders):
    profile = ("profile", model, folders, "-o", "new.outrider", "--quiet", "--taps", "auto")
    said = outrider(*profile)
    assert said.code in (0, 2)
    assert "the names of the classes became these numbers: eight: 0, five: 1" in said.err
    assert "--classes-order" in said.err
    assert "of the frames would be right: class 0 (eight) is seen as class 8" in said.err


@pytest.mark.parametrize("flag", ["order", "map", "file"])
def test_the_order_of_the_classes_is_told_by_flags_and_kept(outrider, model, folders, tmp_path, flag):
    pairs = [f"{name}={number}" for number, name in enumerate(WORDS)]
    (tmp_path / "map.txt").write_text("\n".join(pairs))
    flags = {
        "order": ("--classes-order", ",".join(WORDS)),
        "map": ("--class-map", ",".join(pairs)),
        "file": ("--class-map", "map.txt"),
    }
    profile = ("profile", model, folders, "-o", "new.outrider", "--quiet", "--taps", "auto", *flags[flag])
    assert outrider(*profile).code == 0
    facts = json.loads(outrider("inspect", "new.outrider", "--json").out)
    assert facts["class_names"] == list(WORDS)
    assert facts["trusted"]["trusted"] > 600
    assert "3 (three): " in outrider("inspect", "new.outrider").out


def test_orders_that_do_not_fit_are_refused(outrider, model, folders):
    profile = ("profile", model, folders, "-o", "new.outrider", "--quiet")
    assert "names of 10 classes, as the network has, got 2" in error_of(
        outrider(*profile, "--classes-order", "one,two")
    )
    both = ("--classes-order", ",".join(WORDS), "--class-map", "one=1")
    assert "expected --classes-order or --class-map, got both" in error_of(outrider(*profile, *both))
    assert "got none for" in error_of(outrider(*profile, "--class-map", "one=1"))


def test_a_profile_is_extended_with_its_own_criteria_and_names(outrider, model, folders, tmp_path):
    order = ("--classes-order", ",".join(WORDS))
    first = ("profile", model, folders, "-o", "old.outrider", "--quiet", "--taps", "auto", *order)
    assert outrider(*first, "--rows", ":400").code == 0
    held_out = ("digits:test", "--network", model, "--quiet", "--false-alarm-rate", "0.05", "--accept-rate", "0.5")
    assert outrider("calibrate", "old.outrider", *held_out).code == 0
    before = (tmp_path / "old.outrider").read_bytes()
    more = ("profile", model, folders, "-o", "new.outrider", "--quiet", "--rows", "400:", "--extend", "old.outrider")
    result = outrider(*more)
    assert result.code == 0
    assert "the threshold was set for the profile of before and is dropped" in result.err
    assert (tmp_path / "old.outrider").read_bytes() == before
    old, new = (json.loads(outrider("inspect", name, "--json").out) for name in ("old.outrider", "new.outrider"))
    assert new["trusted"]["frames"] == 700
    assert old["trusted"]["trusted"] < new["trusted"]["trusted"] > 600
    assert (new["columns"], new["class_names"]) == (old["columns"], list(WORDS))
    assert new["calibration"] is None
    assert new["history"][-1]["what"] == "extended"
    assert "expected --extend without --taps, --resume, got both" in error_of(
        outrider(*more, "--taps", "auto", "--resume")
    )


def test_a_detector_is_opened_again_with_its_decoder(outrider, tmp_path):
    (tmp_path / "squares.onnx").write_bytes(onnx_detector())
    np.save(tmp_path / "frames.npy", scenes(60))
    told = ("squares.onnx", "frames.npy", "-o", "m.outrider", "--taps", "features", "--neurons", "pixel")
    result = outrider("profile", *told, "--detections", DECODER)
    assert (result.code, result.err) == (0, "")
    shown = outrider("inspect", "m.outrider").out
    assert "fastestdet(score=0.5, iou=0.45, most=100, output=0, stride=4)" in " ".join(shown.split())
    held_out = ("calibrate", "m.outrider", "frames.npy", "--accept-rate", "1", "--false-alarm-rate", "0.2")
    assert "expected held-out frames that the profile has not seen" in outrider(*held_out).err  # it was opened
    (tmp_path / "own.py").write_text("def own(output):\n    return [([], [], [])] * len(output)\n")
    assert "expected fastestdet(score=0.5, iou=0.45, most=100, output=0, stride=4), got own.own" in " ".join(
        outrider(*held_out, "--detections", "own.py:own").err.split()
    )


def test_boxes_are_learned_calibrated_and_told(outrider, tmp_path):
    (tmp_path / "squares.onnx").write_bytes(onnx_detector())
    for seed, name in enumerate(("trusted", "held_out")):
        np.save(tmp_path / f"{name}.npy", scenes(120, seed=seed))
    taps = ("--taps", "features", "--neurons", "pixel", "--criterion", "mahalanobis", "--detections", DECODER)
    result = outrider("profile", "squares.onnx", "trusted.npy", "-o", "m.outrider", *taps)
    assert (result.code, result.err) == (0, "")
    assert "240 in 120 frames (all of them)" in result.out
    result = outrider("calibrate", "m.outrider", "held_out.npy", "--false-alarm-rate", "0.05", "--box-rate", "0.1")
    assert (result.code, result.err) == (0, "")
    assert "detections: false-alarm rate 0.1 asked for; " in result.out
    assert "seen on 120 held-out boxes of 60 frames" in result.out
    facts = json.loads(outrider("inspect", "m.outrider", "--json").out)["boxes"]
    assert (facts["boxes"], facts["calibration"]["false_alarm_rate"], facts["calibration"]["drives"]) == (240, 0.1, 60)
    assert "held-out boxes of 60 frames" in " ".join(outrider("inspect", "m.outrider").out.split())
    np.save(tmp_path / "strange.npy", scenes(3, seed=2, blue=0.9))
    assert "; 6 of 6 detections alarm" in outrider("check", "m.outrider", "strange.npy").out
    box = json.loads(outrider("check", "m.outrider", "strange.npy", "--json").out.splitlines()[0])["boxes"][0]
    assert list(box) == ["box", "class_index", "confidence", "deviation", "threshold", "reason", "alarm"]
    assert (len(box["box"]), box["alarm"]) == (4, True)
    result = outrider("calibrate", "m.outrider", "held_out.npy", "--false-alarm-rate", "0.05", "--box-rate", "0.001")
    assert "expected detections of covered classes in at least 1998 held-out frames" in result.err
    result = outrider("profile", "squares.onnx", "trusted.npy", "-o", "n.outrider", "--taps", "features", *taps[4:])
    assert "detections are not judged, as no column is on the places of a picture of known size" in result.err
