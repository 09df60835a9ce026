from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import CalibrationError, NotReadyError, OutriderWarning, ProfileError, Status
from outrider.monitor.heads import Cascade, CriticalHead, HeadGuard
from outrider.monitor.heads.files import read_packed, write_packed

from .conftest import FakeDecoder, safe, unsafe


@pytest.fixture
def first(decoder):
    guard = HeadGuard(decoder, heads=2)
    guard.search(unsafe(20), safe(20), permutations=0)
    return guard


@pytest.fixture
def second(decoder):
    guard = CriticalHead(decoder, "exact")
    guard.search(unsafe(20), safe(20), permutations=0)
    return guard


def test_the_second_judges_only_what_is_near_and_the_whole_keeps_the_rate(first):
    asked = []

    def judge(prompt):
        asked.append(prompt)
        return "harm" in prompt

    cascade = Cascade(first, judge, band=0.3)
    calibration = cascade.calibrate(safe(400, 100), 0.1)
    assert calibration.share == pytest.approx(0.3, abs=0.1)
    asked.clear()
    prompts = [*safe(300, 1000), *unsafe(50, 1000)]
    scores = first.scores(prompts)
    verdicts = cascade.check(prompts)
    near = [p for p, score in zip(prompts, scores, strict=True) if calibration.low < score <= calibration.high]
    assert asked == near
    assert 0 < len(near) < 200
    assert np.mean([verdict.alarm for verdict in verdicts[:300]]) < 0.17
    assert np.mean([verdict.alarm for verdict in verdicts[300:]]) > 0.9
    for verdict, score in zip(verdicts, scores, strict=True):
        if score > calibration.high:
            assert verdict.score > 2
        elif score <= calibration.low:
            assert verdict.status == Status.OK
            assert 0 < verdict.score < 1
        else:
            assert 1 < verdict.score < 2
    ordered = np.argsort(scores[scores > calibration.high])
    above = np.array([verdict.score for verdict in verdicts])[scores > calibration.high]
    assert (np.diff(above[ordered]) >= 0).all()


def test_a_second_guard_of_the_model_measures_the_same_pass(first, second):
    cascade = Cascade(first, second, band=0.3)
    assert cascade.keep == 1
    calibration = cascade.calibrate(safe(200, 100), 0.1)
    decoder = first.decoder
    decoder.passes = decoder.second = 0
    prompts = safe(60, 1000)
    verdicts = cascade.check(prompts)
    assert decoder.passes == 60
    near = (first.scores(prompts) > calibration.low) & (first.scores(prompts) <= calibration.high)
    assert decoder.second == near.sum() > 0
    together = cascade.judge(decoder.prefill(decoder.encode(prompts), keep=cascade.keep))
    np.testing.assert_allclose([v.score for v in together], [v.score for v in verdicts])
    other = CriticalHead(FakeDecoder(), "exact")
    other.search(unsafe(20), safe(20), permutations=0)
    apart = Cascade(first, other, band=0.3)
    apart.calibrate(safe(200, 100), 0.1)
    np.testing.assert_allclose([v.score for v in apart.check(prompts)], [v.score for v in verdicts])


def test_what_a_judge_cannot_judge_is_a_fault_and_the_rest_goes_on(first):
    def judge(prompt):
        if prompt.endswith("7"):
            raise RuntimeError("no answer")
        return 1.0

    cascade = Cascade(first, judge, band=0.6)
    cascade.calibrate(safe(200, 100), 0.3)
    verdicts = cascade.check(["", *safe(100, 1000)])
    assert verdicts[0].status == Status.FAULT
    faults = [verdict for verdict in verdicts[1:] if verdict.status == Status.FAULT]
    assert 0 < len(faults) < 10
    assert faults[0].reason == "the second judge gave no finite number"
    with pytest.raises(ValueError, match="expected the prompts of the pass"):
        cascade.judge(first.decoder.prefill(first.decoder.encode(safe(60, 1000))))


def test_the_searches_prompts_are_left_out_and_too_few_refused(first, second):
    cascade = Cascade(first, second)
    with pytest.warns(OutriderWarning, match="20 of 80 safe prompts were left out"):
        cascade.calibrate(safe(80), 0.1)
    with pytest.raises(CalibrationError, match="at least 38 safe prompts"):
        cascade.calibrate(safe(37, 100))
    with pytest.raises(NotReadyError):
        Cascade(first, second).check(["help"])


def test_a_cascade_tells_prompts_of_another_style(first, second):
    cascade = Cascade(first, second, band=0.3)
    cascade.calibrate(safe(100, 100), 0.1)
    assert not cascade.compare([*safe(40, 1000), ""]).changed
    with pytest.warns(OutriderWarning, match="when the threshold was set") as caught:
        found = cascade.compare([f"harm is no word to fear {i}" for i in range(30)])
    assert found.n == 30
    assert found.share > 0.8
    assert caught[0].filename == __file__


def test_a_cascade_is_what_its_file_says(first, second, tmp_path):
    cascade = Cascade(first, second, band=0.3)
    cascade.calibrate(safe(100, 100), 0.1)
    cascade.save(tmp_path / "both.outrider")
    again = Cascade.load(tmp_path / "both.outrider", first.decoder)
    prompts = [*safe(30, 1000), *unsafe(10, 1000)]
    for mine, theirs in zip(again.check(prompts), cascade.check(prompts), strict=True):
        assert mine[:5] == theirs[:5]
        assert mine.layers == theirs.layers
    with pytest.raises(ProfileError, match="got one of Cascade"):
        HeadGuard.load(tmp_path / "both.outrider", first.decoder)


def test_a_judge_of_ones_own_is_given_again_when_loading(first, tmp_path):
    cascade = Cascade(first, len)
    cascade.calibrate(safe(100, 100), 0.1)
    cascade.save(tmp_path / "own.outrider")
    with pytest.raises(ValueError, match="give second="):
        Cascade.load(tmp_path / "own.outrider", first.decoder)
    again = Cascade.load(tmp_path / "own.outrider", first.decoder, second=len)
    assert [v[:4] for v in again.check(safe(20, 500))] == [v[:4] for v in cascade.check(safe(20, 500))]
    first.save(tmp_path / "first.outrider")
    with pytest.raises(ProfileError, match="expected a file of Cascade"):
        Cascade.load(tmp_path / "first.outrider", first.decoder)


@pytest.mark.parametrize("band", [0, 1, 1.5])
def test_a_band_that_is_no_share_is_refused(first, band):
    with pytest.raises(ValueError, match="band between 0 and 1"):
        Cascade(first, len, band)


def test_a_spread_that_places_nothing_is_refused(first, tmp_path):
    cascade = Cascade(first, len)
    cascade.calibrate(safe(100, 100), 0.1)
    cascade.save(tmp_path / "own.outrider")
    contents = read_packed(tmp_path / "own.outrider")
    facts, tensors = contents.facts, contents.arrays
    write_packed(tmp_path / "own.outrider", facts | {"spread": 0.0}, tensors)
    with pytest.raises(ProfileError, match="a positive spread"):
        Cascade.load(tmp_path / "own.outrider", first.decoder, second=len)
