"""Kinds are learned from held-out pictures and changes made to them."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import CalibrationError, Monitor, NotReadyError
from outrider.monitor.judge import Judge
from outrider.monitor.kinds import TOLD
from outrider.networks import Tap, Taps

from ..conftest import NumpyNetwork, frames
from .conftest import PictureNetwork, calibrated, pictures


def kinds_of(monitor, batch):
    """What the rule says of each frame of a batch, whether it alarmed or not."""
    kinds = monitor.calibration.kinds
    judge = Judge(monitor.network, monitor.learned, len(batch), monitor.logic, monitor.calibration)
    seen = judge.observe(batch)
    judge.rate()
    name = kinds.bind(monitor.learned, judge.indices, judge.by_place)
    return [name(judge.score[i], judge.deviations[i], i, seen.activations, 0) for i in range(len(batch))]


def test_changes_that_were_never_learned_from_are_named(taught):
    """A third of the rows white, seen nowhere in learning; a checkered picture; and rows of other pictures."""
    clean = pictures(40, 9)
    rows = clean.copy()
    rows[:, :, 3:6] = 3
    named = kinds_of(taught, rows)
    assert named.count("sensor") > 20
    assert named.count("adversarial") + named.count("unsure") == 0
    noisy = clean + np.float32(0.15) * np.random.default_rng(1).choice(np.float32([-1, 1]), clean.shape)
    assert kinds_of(taught, noisy).count("adversarial") > 20


def test_the_same_seed_learns_the_same(taught):
    again = calibrated(PictureNetwork())
    again.learn_kinds([pictures(300, 2)], examples=20)
    np.testing.assert_array_equal(again.calibration.kinds.rule.means, taught.calibration.kinds.rule.means)
    again.learn_kinds([pictures(300, 2)], examples=20, seed=1)
    assert not np.array_equal(again.calibration.kinds.rule.means, taught.calibration.kinds.rule.means)


def test_what_was_learned_is_told(taught):
    facts = taught.describe()["calibration"]["kinds"]
    assert facts["frames"] == 300
    assert set(facts["kinds"]) <= set(TOLD)
    assert "sensor" in facts["kinds"]
    tried = {one["cause"]: one["tried"] for one in facts["causes"]}
    assert max(tried.values()) <= 4 * 20
    assert {"dead rows", "signs", "pasted", "mixed", "driven", "boundary"} <= tried.keys()
    for shares in facts["left_out"].values():
        assert shares is None or sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(("channels", "last"), [(1, False), (3, True)])
def test_gray_pictures_and_channels_that_come_last(channels, last):
    monitor = calibrated(PictureNetwork(channels, last), channels)
    batch = pictures(60, 2, channels)
    kinds = monitor.learn_kinds([np.moveaxis(batch, 1, 3) if last else batch], examples=10)
    assert (("sensor", "channel lost") in kinds.alarmed) == (channels > 1)


def test_thresholds_keep_the_kinds_and_a_new_profile_drops_them():
    monitor = calibrated(PictureNetwork())
    with pytest.raises(ValueError, match=r"expected examples of 1 or more and sure between 0 and 1, got 0 and 0.7"):
        monitor.learn_kinds([pictures(50, 2)], examples=0)
    before = monitor.calibration
    kinds = monitor.learn_kinds([pictures(100, 2)], examples=10)
    assert before.kinds is None
    monitor.threshold = 2.0
    assert monitor.calibration.kinds is kinds
    with pytest.warns(match="tells its own data"):
        monitor.calibrate([pictures(300, 2)], 0.15, accept_rate=1)
    assert monitor.calibration.kinds is kinds
    with pytest.warns(match="is dropped; calibrate"):
        monitor.extend([pictures(100, 7)])
    assert monitor.calibration is None


def test_frames_that_were_profiled_and_broken_ones_teach_nothing():
    monitor = calibrated(PictureNetwork())
    broken = pictures(30, 8)
    broken[:25] = np.nan
    with pytest.raises(CalibrationError, match=r"expected at least 20 held-out frames .* got 5; give more"):
        monitor.learn_kinds([pictures(600, 1), broken])


def test_what_cannot_be_a_picture_is_refused(monitor):
    with pytest.raises(ValueError, match=r"expected a network that takes one picture .* got one that takes"):
        monitor.learn_kinds([frames(100)])
    with pytest.raises(NotReadyError, match="expected a profiled monitor"):
        Monitor(NumpyNetwork(), "single_range").learn_kinds([frames(10)])
    network = PictureNetwork()
    remembering = calibrated(network)
    network.memory = np.zeros(3)
    with pytest.raises(ValueError, match="expected a network that forgets every frame, got a recurrent one"):
        remembering.learn_kinds([pictures(30)])


def test_examples_that_never_alarm_teach_nothing():
    """A network that shows the same of every picture but for a little noise of its own."""

    class Blind(PictureNetwork):
        taps = Taps([Tap("late", "relu", (4,), "NC", "float32", "unit")])
        classes = None

        def observe(self, batch):
            seen = super().observe(batch)
            first = batch.reshape(len(batch), -1)[:, :4] * np.float32(1e-3)
            return seen._replace(logits=None, activations=(np.abs(first) % np.float32(1e-3),))

        def __init__(self):
            taps = self.taps
            super().__init__()
            self.taps = taps

    monitor = Monitor(Blind(), "mahalanobis")
    monitor.profile([pictures(300, 1)])
    monitor.calibrate([pictures(300, 2)], 0.005, accept_rate=1)
    monitor.set_threshold(1e6)
    with pytest.raises(CalibrationError, match=r"expected examples of two kinds or more that alarm"):
        monitor.learn_kinds([pictures(100, 2)], examples=10)
