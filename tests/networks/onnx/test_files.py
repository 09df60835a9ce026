"""Models with weights in other files, written with the package onnx, against ONNX Runtime on the same files."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402
from onnx.external_data_helper import set_external_data  # noqa: E402

from outrider.networks import OnnxNetwork, onnx_fingerprint  # noqa: E402

RNG = np.random.default_rng(0)
WEIGHTS = {name: RNG.normal(size=(6, 6)).astype(np.float32) for name in ("w1", "w2", "w3", "w4")}


def beside(name, values, location, start=0, **entries):
    """A tensor whose values lie in another file."""
    tensor = numpy_helper.from_array(values, name)
    set_external_data(tensor, location, offset=start, length=values.nbytes)
    tensor.ClearField("raw_data")
    for key, value in entries.items():
        next(entry for entry in tensor.external_data if entry.key == key).value = str(value)
    return tensor


def save(folder, *tensors, constant=None, name="model.onnx"):
    """y = -relu(relu(x w1 + w2) w3 + w4), its weights in files of their own."""
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"]),
        helper.make_node("Add", ["m1", "w2"], ["a1"]),
        helper.make_node("Relu", ["a1"], ["r1"]),
        helper.make_node("MatMul", ["r1", "w3"], ["m2"]),
        helper.make_node("Add", ["m2", "w4"], ["a2"]),
        helper.make_node("Relu", ["a2"], ["r2"]),
        helper.make_node("Neg", ["r2"], ["y"]),
    ]
    if constant is not None:
        nodes.insert(0, helper.make_node("Constant", [], [constant.name], value=constant))
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", 1, (6, 6))],
        [helper.make_tensor_value_info("y", 1, (6, 6))],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / name).write_bytes(model.SerializeToString())
    return folder / name


@pytest.fixture
def path(tmp_path):
    """Two tensors in one file, one in another folder's, one in the model."""
    first = b"\0" * 64 + WEIGHTS["w1"].tobytes() + b"\0" * 112 + WEIGHTS["w2"].tobytes()
    (tmp_path / "first.bin").write_bytes(first)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "second.bin").write_bytes(WEIGHTS["w3"].tobytes())
    return save(
        tmp_path,
        beside("w1", WEIGHTS["w1"], "first.bin", 64),
        beside("w2", WEIGHTS["w2"], "first.bin", 320),
        beside("w3", WEIGHTS["w3"], "parts/second.bin"),
        numpy_helper.from_array(WEIGHTS["w4"], "w4"),
    )


def expected(x):
    first = np.maximum(x @ WEIGHTS["w1"] + WEIGHTS["w2"], 0)
    return first, np.maximum(first @ WEIGHTS["w3"] + WEIGHTS["w4"], 0)


def frames():
    return np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)


def test_several_files_and_places_in_them(path):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    network = OnnxNetwork(path, taps="auto")
    seen = network.observe(frames())
    np.testing.assert_array_equal(seen.output, session.run(None, {"x": frames()})[0])
    for found, wanted in zip(seen.activations, expected(frames()), strict=False):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_numbers_in_an_attribute(tmp_path):
    (tmp_path / "w.bin").write_bytes(WEIGHTS["w1"].tobytes())
    inside = [numpy_helper.from_array(WEIGHTS[name], name) for name in ("w2", "w3", "w4")]
    path = save(tmp_path, *inside, constant=beside("w1", WEIGHTS["w1"], "w.bin"))
    seen = OnnxNetwork(path, taps="auto").observe(frames())
    np.testing.assert_allclose(seen.activations[0], expected(frames())[0], rtol=1e-5, atol=1e-5)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"tensor 'w1' lies in .*w\.bin, where there is no file"):
        OnnxNetwork(path)


def test_the_fingerprint_covers_model_and_weights_in_the_order_of_their_names(path):
    folder = path.parent
    digest = hashlib.sha256(path.read_bytes())
    digest.update((folder / "first.bin").read_bytes())
    digest.update((folder / "parts" / "second.bin").read_bytes())
    assert onnx_fingerprint(path) == onnx_fingerprint(str(path)) == OnnxNetwork(path).fingerprint == digest.hexdigest()


def test_the_fingerprint_of_a_model_alone_is_that_of_its_file(tmp_path):
    path = save(tmp_path, *(numpy_helper.from_array(values, name) for name, values in WEIGHTS.items()))
    assert onnx_fingerprint(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("check", [OnnxNetwork, onnx_fingerprint])
def test_a_file_that_is_missing_or_short_is_named_with_its_tensor(path, check):
    first = path.parent / "first.bin"
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"tensor 'w2' lies in .*first\.bin: expected 464 bytes or more, got 463; the"):
        check(path)
    first.unlink()
    with pytest.raises(FileNotFoundError, match=r"tensor 'w1' lies in .*first\.bin, where there is no file"):
        check(path)


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "C:\\w.bin", "..\\w.bin", "\\w.bin", ""]
)
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    (tmp_path / "w.bin").write_bytes(WEIGHTS["w1"].tobytes())
    (tmp_path / "models").mkdir()
    others = [numpy_helper.from_array(WEIGHTS[name], name) for name in ("w2", "w3", "w4")]
    path = save(tmp_path / "models", beside("w1", WEIGHTS["w1"], location), *others)
    message = f"tensor 'w1': expected weights in a file in the folder of the model, got {location!r}"
    for check in (OnnxNetwork, onnx_fingerprint):
        with pytest.raises(ValueError, match=re.escape(message)):
            check(path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"length": 140}, r"tensor 'w1': expected 144 bytes in w\.bin for shape \(6, 6\), got 140 from 0 on"),
        ({"offset": -8}, "got 144 from -8 on"),
        ({"offset": "far"}, "tensor 'w1': expected offset and length as numbers, got"),
    ],
)
def test_places_that_make_no_sense_are_refused(tmp_path, entries, message):
    (tmp_path / "w.bin").write_bytes(b"\0" * 500)
    with pytest.raises(ValueError, match=message):
        onnx_fingerprint(save(tmp_path, beside("w1", WEIGHTS["w1"], "w.bin", **entries)))


def test_a_file_that_the_format_cannot_hold_is_refused_unread(tmp_path):
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(2**31)
    for check in (OnnxNetwork, onnx_fingerprint):
        with pytest.raises(
            ValueError, match=r"expected an ONNX model below 2 GB, as protobuf holds no more, got 2147483648"
        ):
            check(tmp_path / "large.onnx")


def test_only_the_model_itself_is_read_into_memory(path, monkeypatch):
    read = []
    plain = type(path).read_bytes
    monkeypatch.setattr(type(path), "read_bytes", lambda self: read.append(self.name) or plain(self))
    OnnxNetwork(path)
    assert read == ["model.onnx", "optimised.onnx"]  # the second is ONNX Runtime's, and without weights


def test_a_path_and_its_bytes_are_the_same_network(model, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model())
    assert OnnxNetwork(path).fingerprint == OnnxNetwork(str(path)).fingerprint == OnnxNetwork(model()).fingerprint
    assert OnnxNetwork(path).fingerprint == hashlib.sha256(model()).hexdigest()


def test_weights_beside_the_model_are_read_and_fingerprinted(model, run_bare, images, tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(
        onnx.load_from_string(model()), path, save_as_external_data=True, location="model.weights", size_threshold=0
    )
    network = OnnxNetwork(path)
    np.testing.assert_array_equal(network.observe(images()).output, run_bare(model(), images())[0])
    beside = tmp_path / "model.weights"
    changed = bytearray(beside.read_bytes())
    changed[0] ^= 1
    beside.write_bytes(changed)
    assert OnnxNetwork(path).fingerprint != network.fingerprint
    with pytest.raises(ValueError, match=r"expected a path, got bytes of a model .*: model\.weights"):
        OnnxNetwork(path.read_bytes())
    beside.unlink()
    with pytest.raises(FileNotFoundError, match=r"tensor 'w1' lies in .*model\.weights, where there is no file"):
        OnnxNetwork(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected an ONNX model, found no file at .*none\.onnx"):
        OnnxNetwork(tmp_path / "none.onnx")
    with pytest.raises(FileNotFoundError):
        OnnxNetwork(tmp_path)
