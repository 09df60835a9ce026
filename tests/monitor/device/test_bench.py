"""The judge on a device, of neurons and scores that are given, against the judge of the host."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor import Monitor, Sum  # noqa: E402
from outrider.monitor.device.bench import Bench, refuse_without_forms  # noqa: E402
from outrider.networks import Network, Observation, Tap, Taps  # noqa: E402


class Given(Network):
    """Its neurons are its input: a tap of two rows a frame, one of one, and class scores."""

    engine, fingerprint, classes, input_shape = "given", "0" * 64, 3, (11,)

    def __init__(self, rows=2):
        tap = Tap("rows", "relu", (4,), "NC", "float32", "unit", rows=rows)
        self.taps = Taps([tap, Tap("flat", "relu", (2,), "NC", "float32", "unit"),
                          Tap("output", "output", (3,), "NC", "float32", "unit")])  # fmt: skip

    def run(self, batch):
        return batch[:, :3]

    def observe(self, batch):
        scores = np.ascontiguousarray(batch[:, :3])
        flat = np.ascontiguousarray(batch[:, 9:])
        return Observation(scores, scores, (np.ascontiguousarray(batch[:, 1:9]).reshape(-1, 4), flat, scores))

    def close(self):
        pass


def frames(n, seed, spread=1.0):
    return np.random.default_rng(seed).normal(0, spread, (n, 11)).astype(np.float32)


@pytest.fixture(scope="module")
def monitor():
    found = Monitor(Given(), {"*": ["single_range", "mahalanobis"], "@output": "margin"}, logic="smallest_p")
    known = frames(300, 0)
    known = known[known[:, :3].argmax(1) < 2]  # the last class is never seen
    with pytest.warns(UserWarning, match="fewer than 5 trusted frames"):
        found.profile([known])
    fresh = frames(400, 1)
    found.calibrate([fresh[fresh[:, :3].argmax(1) < 2]], false_alarm_rate=0.1)
    return found


def judged(monitor, batch, threshold=None):
    seen = monitor.network.observe(batch)
    order = {tap.id: i for i, tap in enumerate(monitor.network.taps)}
    neurons = [torch.from_numpy(seen.activations[order[tap.id]]) for tap in monitor.learned.facts.taps]
    bench = Bench(monitor.learned, monitor.logic, monitor.calibration)
    return bench(bench.sources(neurons), torch.from_numpy(seen.logits), [torch.from_numpy(batch)], threshold)


def test_rows_a_class_that_is_not_covered_and_scores_that_are_no_numbers(monitor):
    batch = frames(60, 2, spread=1.5)
    batch[3, 0], batch[4, 5], batch[5, 10] = np.nan, np.inf, -np.inf
    found, verdicts = judged(monitor, batch), monitor.check(batch)[1]
    assert (batch[:, :3].argmax(1) == 2).any()
    np.testing.assert_array_equal(
        found.prediction.numpy(), np.where(np.isnan(batch[:, :3]).any(1), 0, verdicts.prediction)
    )
    np.testing.assert_allclose(found.score.numpy(), verdicts.score, rtol=1e-5)
    np.testing.assert_array_equal(found.alarm.numpy(), verdicts.alarm)
    uncovered = verdicts.prediction == 2
    assert np.isinf(found.deviations.numpy()[uncovered]).all()
    inner = np.isfinite(verdicts.score)
    np.testing.assert_allclose(found.deviations.numpy()[inner], verdicts.deviation[inner], rtol=1e-5)


def test_broken_frames_alarm_whatever_the_threshold(monitor):
    batch = frames(4, 3)
    batch[1, 8] = np.inf
    found = judged(monitor, batch, threshold=1e9)
    assert found.alarm[1]
    assert torch.isinf(found.score[1])
    assert torch.isinf(found.deviations[1]).all()


def test_counts_on_the_threshold_do_not_alarm():
    found = Monitor(Given(), "single_range", logic=Sum())
    found.profile([frames(200, 0)])
    found.calibrate([frames(200, 1)], false_alarm_rate=0.1)
    own = Bench(found.learned, found.logic, found.calibration).threshold
    assert own.tolist() == found.calibration.thresholds[: len(own)].tolist()
    batch = frames(200, 1)
    result, verdicts = judged(found, batch), found.check(batch)[1]
    assert (verdicts.score == verdicts.threshold).any()
    np.testing.assert_array_equal(result.score, verdicts.score)
    np.testing.assert_array_equal(result.alarm, verdicts.alarm)


def test_what_has_no_form_is_refused_by_the_name_of_its_column(monitor):
    varying = Monitor(Given(rows=None), {"rows": "single_range"})
    with pytest.raises(ValueError, match=r"column 'rows:unit single_range' cannot .*got rows that vary"):
        refuse_without_forms(varying._profile, Sum(), {})
