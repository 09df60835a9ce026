from __future__ import annotations

import json
from dataclasses import replace

import pytest

from outrider.coverage import SingleRange
from outrider.monitor import MismatchError, Monitor, OutriderWarning
from outrider.monitor.facts.network import NetworkFacts, input_words
from outrider.networks import OnnxNetwork, Preprocessing, Tap, as_decoder
from outrider.networks.detections.decoder import decoder_facts
from outrider.networks.inputs import Input

from ...detectors import DECODER, onnx_detector, scenes
from ..conftest import CLASSES, INPUTS, batches, frames


def test_the_facts_say_how_a_network_is_opened_again(network):
    facts = Monitor(network, SingleRange()).profile(batches(frames(50)), minimum_per_class=0).facts
    assert facts.options() == {
        "taps": ["hidden:unit"], "classes": CLASSES, "preprocessing": None, "scores_output": 0, "input_shape": (INPUTS,)
    }  # fmt: skip
    onnx = replace(facts, engine="onnx", taps=tuple(network.taps), map_classes=4, scores_output="map")
    told = {"classes": "pixel", "exact": True, "scores_output": "logits", "scores": "logits"}
    onnx = replace(onnx, scores="logits")
    assert onnx.options() == facts.options() | told
    assert replace(onnx, scores=None, batch_axis=False).options()["batch_axis"] is False


def test_preprocessing_of_an_old_file_is_the_same(network):
    network.preprocessing = Preprocessing((4, 5))
    facts = NetworkFacts.of(network, network.taps)
    old = json.loads(json.dumps(facts.to_dict()))
    for name in ("fit", "shorter", "fill", "interpolation", "white"):
        del old["preprocessing"][name]
    assert NetworkFacts.from_dict(old) == facts
    assert facts.preprocessing["fit"] == "stretch"


def test_a_network_takes_pictures_as_the_profile_did(network, tmp_path):
    monitor = Monitor(network, SingleRange())
    network.preprocessing = learned = Preprocessing((4, 5))  # said late, before the first frame
    monitor.profile(batches(frames(50)), minimum_per_class=0)
    monitor.save(tmp_path / "m.outrider")
    for told in (None, learned):
        network.preprocessing = told
        assert Monitor.load(tmp_path / "m.outrider", network).network.preprocessing == learned
    network.preprocessing = Preprocessing((4, 5), fit="letterbox")
    said = r"pictures stretched to 4 x 5 .*; the network was told: scaled into 4 x 5 .*takes them as the profile says"
    with pytest.warns(OutriderWarning, match=said):
        loaded = Monitor.load(tmp_path / "m.outrider", network)
    assert loaded.network.preprocessing == learned


def test_facts_survive_json_with_the_names_that_files_have(network):
    facts = replace(NetworkFacts.of(network, network.taps), scores_output="y", map_classes=5)
    text = json.loads(json.dumps(facts.to_dict()))
    assert (text["logits"], text["map_classes"]) == ("y", 5)
    assert "logits" not in NetworkFacts.of(network, network.taps).to_dict()
    assert NetworkFacts.from_dict(text) == facts
    told = replace(facts, scores="probabilities", batch_axis=False)
    text = json.loads(json.dumps(told.to_dict()))
    assert (text["scores"], text["batch_axis"]) == ("probabilities", False)
    assert NetworkFacts.from_dict(text) == told
    old = {name: value for name, value in text.items() if name not in ("scores", "batch_axis")}
    assert NetworkFacts.from_dict(old) == replace(told, scores=None, batch_axis=None)
    for broken in ({"scores": "odds"}, {"batch_axis": 1}):
        with pytest.raises(ValueError, match=r"expected (scores|a batch_axis)"):
            NetworkFacts.from_dict(text | broken)


def test_what_differs_is_named(network):
    facts = NetworkFacts.of(network, network.taps)
    other = replace(facts, engine="torch", fingerprint="f" * 64, classes=9, input_shape=(2,), scores_output=1)
    assert [line.split(":")[0] for line in facts.differences(other)] == [
        "engine", "SHA-256", "classes", "input shape"
    ]  # fmt: skip
    assert facts.differences(facts) == []
    assert replace(facts, scores="logits").differences(replace(facts, scores="probabilities")) == [
        "class scores: expected logits, got probabilities"
    ]
    assert facts.differences(replace(facts, scores="logits")) == []


def test_layouts_that_were_told_are_told_again():
    taps = [Tap(name, "relu", shape, layout, "float32", "channel") for name, shape, layout in (
        ("signal", (4, 9), "NCL"), ("map", (3, 8, 8), "NHWC"), ("heads", (2, 5, 6), "NHLC"),
    )]  # fmt: skip
    facts = NetworkFacts("onnx", "f" * 64, None, (4, 9), (*taps, Tap("d", "relu", (5,), "NC", "float32", "unit")))
    for engine in ("onnx", "torch"):
        assert replace(facts, engine=engine).options()["layouts"] == {"signal": "NCL", "map": "NHWC"}


def test_inputs_in_words():
    state = Input("state", (), "float32")
    assert input_words((None, 3), ()) == "input ? x 3"
    assert input_words((7,), [Input("input", (7,), "int64")]) == "input 7"
    assert input_words((7,), [Input("ids", (7,), "int64")]) == "input ids 7"
    assert input_words((7,), [Input("input", (7,), "int64"), state]) == "inputs input 7 and state one number"


def test_detections_are_a_fact_that_opens_the_network_again(tmp_path):
    pytest.importorskip("onnxruntime")
    path, model = tmp_path / "m.outrider", onnx_detector()
    decoder = as_decoder(DECODER)
    with OnnxNetwork(model, taps="features", neurons="pixel", detections=DECODER) as network:
        monitor = Monitor(network, SingleRange())
        monitor.profile(scenes(20))
        monitor.save(path)
        assert monitor.learned.facts.options()["detections"] == decoder
    assert Monitor.load(path, model).network.detections == decoder
    untold = OnnxNetwork(model, taps="features", neurons="pixel", exact=True)
    assert Monitor.load(path, untold).network.detections == decoder
    other = OnnxNetwork(model, taps="features", neurons="pixel", detections="rows")
    with pytest.raises(MismatchError, match=r"detections: expected fastestdet\(score=0.5, .*, got rows\("):
        Monitor.load(path, other)


def decode_squares(output):
    return as_decoder(DECODER)(output)


def test_a_callable_decodes_only_where_it_is_given_again(tmp_path):
    pytest.importorskip("onnxruntime")
    path, model = tmp_path / "m.outrider", onnx_detector()
    monitor = Monitor(OnnxNetwork(model, taps="features", neurons="pixel", detections=decode_squares), SingleRange())
    monitor.profile(scenes(20))
    monitor.save(path)
    with pytest.raises(MismatchError, match=r"decode_squares, a program, which no file holds; give it as detections="):
        Monitor.load(path, model)
    again = OnnxNetwork(model, taps="features", neurons="pixel", detections=decode_squares)
    assert Monitor.load(path, again).network.detections is decode_squares


def test_a_profile_without_detections_wants_none(network):
    plain, told = (NetworkFacts.of(network, network.taps) for _ in range(2))
    told = replace(told, detections=decoder_facts(as_decoder("yolo")))
    assert plain.differences(told) == [
        "detections: expected none, got yolo(score=0.25, iou=0.7, most=100, output=0, version=auto, classes=0)"
    ]
    assert NetworkFacts.from_dict(json.loads(json.dumps(told.to_dict()))) == told
    assert "detections" not in plain.to_dict()
    with pytest.raises(ValueError, match="expected a decoder of detections"):
        NetworkFacts.from_dict(told.to_dict() | {"detections": {"name": "yolo9"}})


@pytest.mark.parametrize(
    ("shape", "extent"),
    [
        ((3, 20, 30), (20, 30)), ((20, 30, 3), (20, 30)), ((20, 30), (20, 30)), ((1, 20, 4), (20, 4)),
        ((3, None, 4), None), ((7,), None), ((2, 3, 20, 30), None),
    ],
)  # fmt: skip
def test_the_picture_has_the_height_and_width_of_the_input(network, shape, extent):
    assert replace(NetworkFacts.of(network, network.taps), input_shape=shape).extent == extent
