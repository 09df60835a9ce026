"""Bare sessions are those of a network, and noise is what a model takes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from outrider.networks import OnnxNetwork
from outrider.runtime.bench.bare import BareModel, moved

from ..several import fused_model
from .models import of_one_frame, of_tokens, watched

OPTIONS = "session.intra_op.allow_spinning"


def settings(session):
    options = session.get_session_options()
    numbers = options.intra_op_num_threads, options.inter_op_num_threads, options.graph_optimization_level
    return numbers, options.get_session_config_entry(OPTIONS), session.get_providers()


def test_a_bare_session_has_the_options_of_a_networks(tmp_path):
    path = watched(tmp_path / "m.onnx")
    model = BareModel(path, threads=2)
    bare = model.call(path, model.noise(1)).func.__self__
    network = OnnxNetwork(path, threads=2)
    assert settings(bare) == settings(network._session)
    assert settings(bare)[0][0] == 2
    assert settings(bare)[1] == "0"
    network.close()


def test_a_call_runs_the_model_on_the_first_frame(tmp_path):
    path = watched(tmp_path / "m.onnx")
    model = BareModel(path)
    frames = model.noise(3)
    expected = onnxruntime.InferenceSession(str(path)).run(None, {"x": frames["x"][:1]})
    np.testing.assert_array_equal(model.call(path, frames)()[0], expected[0])
    assert model.rows == 1


def test_a_batch_that_the_model_fixes_is_filled(tmp_path):
    model = BareModel(watched(tmp_path / "m.onnx", batch=4))
    frames = model.noise(2)
    assert model.rows == 4
    np.testing.assert_array_equal(model.feeds(frames)["x"], np.repeat(frames["x"][:1], 4, axis=0))


def test_a_model_of_one_frame_is_fed_one(tmp_path):
    model = BareModel(of_one_frame(tmp_path / "m.onnx"), batch_axis=False)
    assert model.rows is None
    assert model.feeds(model.noise(2))["x"].shape == (3, 16, 16)
    assert BareModel(model.path, input_shape=(3, 16, 16)).rows is None


def test_sizes_that_stay_open_are_asked_for(tmp_path):
    path = watched(tmp_path / "m.onnx", sides=("h", "w"))
    with pytest.raises(ValueError, match=r"expected input sizes that are known, got \(3, None, None\).*input_shape="):
        BareModel(path)
    assert BareModel(path, input_shape=(3, 16, 12)).noise(2)["x"].shape == (2, 3, 16, 12)


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected an ONNX model, got no such file"):
        BareModel(tmp_path / "none.onnx")


def test_noise_is_of_the_type_of_each_input(tmp_path):
    tokens = BareModel(of_tokens(tmp_path / "t.onnx")).noise(50)["x"]
    assert (tokens.dtype, tokens.shape, set(tokens.ravel())) == (np.int64, (50, 12), {0, 1})
    (tmp_path / "f.onnx").write_bytes(fused_model())
    noise = BareModel(tmp_path / "f.onnx").noise(2)
    assert {name: part.shape for name, part in noise.items()} == {"camera": (2, 1, 6, 5), "speed": (2, 4)}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_frames_move_by_a_share_of_their_spread(dtype):
    frames = {"x": (5 * np.random.default_rng(0).standard_normal((3, 40, 40))).astype(dtype)}
    near = moved(frames, 7, 0.1)["x"]
    assert (near.dtype, near.shape) == (dtype, (7, 40, 40))
    steps = near.astype(np.float64) - frames["x"][[0, 1, 2, 0, 1, 2, 0]]
    assert steps.std() == pytest.approx(0.5, rel=0.05)
    assert len({frame.tobytes() for frame in near}) == 7


@pytest.mark.parametrize(("dtype", "highest"), [(np.uint8, 255), (np.int64, 1), (np.bool_, 1)])
def test_a_share_of_whole_numbers_goes_up_by_one_and_the_highest_to_0(dtype, highest):
    frames = {"x": np.full((2, 40), highest, dtype)}
    near = moved(frames, 4, 0.1)["x"]
    assert near.dtype == dtype
    assert [(row == 0).sum() for row in near] == [4, 4, 4, 4]
    assert ((near == highest) | (near == 0)).all()
    assert [(row == 0).sum() for row in moved(frames, 4, 1e-3)["x"]] == [1, 1, 1, 1]
    assert (frames["x"] == highest).all()
