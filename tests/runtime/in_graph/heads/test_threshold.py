"""The threshold of a file, set anew; read by ONNX Runtime and by onnxruntime-genai."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from outrider.monitor import CalibrationError, ExportError
from outrider.runtime import guard_facts
from outrider.runtime.in_graph.heads.exporting import export_heads
from outrider.runtime.in_graph.heads.read_out import LinearReadOut
from outrider.runtime.in_graph.heads.threshold import guarded_scores, recalibrate_guarded, set_threshold

from .graphs import decoder_graph
from .running import ALARM, SCORE, run


@pytest.fixture
def guarded(tmp_path):
    decoder_graph(tmp_path / "bare.onnx")
    facts = {"false_alarm_rate": 0.05, "n": 40, "realised": 0.05, "interval": [0, 0.2], "calibrated": "elsewhere"}
    read_out = LinearReadOut([(1, 0), (0, 1)], np.arange(8.0).reshape(2, 4), -0.5, 0.1, 2, 2, facts)
    export_heads(read_out, tmp_path / "bare.onnx", tmp_path / "guarded.onnx")
    return tmp_path / "guarded.onnx"


def test_scores_of_prompts_of_different_lengths(guarded):
    prompts = [np.array([3, 4, 5]), np.array([6]), np.array([7, 8], np.int32)]
    scores = guarded_scores(guarded, prompts)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, [run(guarded, [prompt])[SCORE][0] for prompt in prompts])
    feeds = {"input_ids": np.array([[3, 4, 5, 9]]), "attention_mask": np.array([[1, 1, 1, 0]])}
    np.testing.assert_allclose(guarded_scores(guarded, [feeds]), scores[:1], rtol=1e-5)
    for wrong in (np.array([[3, 4]]), np.array([], np.int64), np.array([0.5])):
        with pytest.raises(ValueError, match=r"expected token ids of shape \(tokens,\), got"):
            guarded_scores(guarded, [wrong])
    with pytest.raises(ValueError, match="expected inputs of one prompt, a batch of 1, got more"):
        guarded_scores(guarded, [{name: values.repeat(2, axis=0) for name, values in feeds.items()}])


def test_recalibrated_the_file_alarms_on_its_own_scores(guarded):
    prompts = [np.random.default_rng(i).integers(3, 60, 5) for i in range(39)]
    scores = guarded_scores(guarded, prompts)
    before = guard_facts(guarded)
    facts = recalibrate_guarded(guarded, scores, 0.1)
    # Split conformal: of 39 scores the 36th smallest.
    assert facts["thresholds"] == [np.sort(scores)[35]]
    assert facts == guard_facts(guarded)
    assert (facts["n"], facts["realised"], facts["false_alarm_rate"]) == (39, 3 / 39, 0.1)
    assert facts["interval"][0] < 3 / 39 < facts["interval"][1]
    assert facts["calibrated"] == "guarded model"
    kept = ("chosen", "fingerprint", "tensors", "outputs", "layers", "heads")
    assert {name: facts[name] for name in kept} == {name: before[name] for name in kept}
    found = run(guarded, np.stack(prompts))
    np.testing.assert_allclose(found[SCORE], scores, rtol=1e-5)
    clear = np.abs(scores - facts["thresholds"][0]) > 1e-5
    np.testing.assert_array_equal(found[ALARM][clear], (scores > facts["thresholds"][0])[clear])
    with pytest.raises(CalibrationError, match=r"expected at least 99 .* for a false-alarm rate of 0\.01"):
        recalibrate_guarded(guarded, scores, 0.01)
    with pytest.raises(ValueError, match=r"expected scores of shape \(n,\), got \(3, 13\)"):
        recalibrate_guarded(guarded, scores.reshape(3, 13))


def test_a_threshold_by_hand_drops_what_the_old_one_rested_on(guarded):
    ids = [[3, 4, 5]]
    for threshold, alarm in ((1e6, False), (-1e6, True)):
        facts = set_threshold(guarded, threshold)
        assert facts["thresholds"] == [threshold]
        assert not {"false_alarm_rate", "n", "realised", "interval", "calibrated"} & facts.keys()
        assert run(guarded, ids)[ALARM].tolist() == [alarm]
    onnx.checker.check_model(onnx.load(guarded))
    for threshold in (np.nan, -np.inf, 1e39):
        with pytest.raises(ExportError, match="expected a threshold that is a finite float32, got"):
            set_threshold(guarded, threshold)


def test_a_file_without_the_guard_is_refused(guarded):
    with pytest.raises(ExportError, match="expected a model with the guard of attention heads, got one without"):
        set_threshold(guarded.with_name("bare.onnx"), 1.0)


def test_onnxruntime_genai_hands_out_score_and_alarm(built, read_out, tmp_path):
    og = pytest.importorskip("onnxruntime_genai")
    folder = built("fp32")
    path = f"{folder}/guarded.onnx"
    export_heads(read_out, f"{folder}/model.onnx", path)
    prompt, (first, second) = np.arange(5, 14), ([], [])
    expected = run(path, [prompt])
    for threshold, answer in ((expected[SCORE][0] - 1, first), (expected[SCORE][0] + 1, second)):
        set_threshold(path, float(threshold))
        config = og.Config(folder)
        config.overlay('{"model": {"decoder": {"filename": "guarded.onnx"}}}')
        model = og.Model(config)
        settings = og.GeneratorParams(model)
        settings.set_search_options(max_length=16, do_sample=False)
        generator = og.Generator(model, settings)
        generator.append_tokens(prompt.astype(np.int32))
        np.testing.assert_allclose(generator.get_output(SCORE), expected[SCORE], rtol=1e-5)
        answer.append(bool(generator.get_output(ALARM)[0]))
        generator.generate_next_token()
        generator.generate_next_token()
        # The newest token was drawn, not yet read: the score is that of the one in front of it.
        read = np.asarray(generator.get_sequence(0))[:-1]
        assert len(read) == len(prompt) + 1
        np.testing.assert_allclose(generator.get_output(SCORE), run(path, [read])[SCORE], rtol=1e-4)
    assert (first, second) == ([True], [False])
