"""Verdicts of a device judge, against `Monitor.check`. The device here is the CPU."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor import Monitor, NotReadyError, Status, Sum  # noqa: E402
from outrider.monitor.device.guarded import guarded_module  # noqa: E402
from outrider.monitor.device.judge import DeviceJudge  # noqa: E402

from .nets import asked, frames, learned, small  # noqa: E402


@pytest.fixture(scope="module")
def monitor():
    return learned(small(), "bitmap", Sum())


def test_verdicts_are_those_of_the_host_when_they_are_asked_for(monitor):
    judge, batch = DeviceJudge(monitor), asked()
    output, expected = monitor.check(batch)
    waiting = judge(torch.from_numpy(batch))
    assert waiting.ready
    found = waiting.verdicts()
    assert torch.equal(waiting.output.nan_to_num(), torch.as_tensor(output).nan_to_num())
    for name in ("status", "score", "threshold", "confidence", "prediction"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, err_msg=name)
    assert (found.status == Status.FAULT).sum() == 2
    for own, other in zip(found, expected, strict=True):
        if own.status == Status.ALARM:
            assert (own.layers, own.reason) == (other.layers, other.reason)
    ok = found.status == Status.OK
    assert np.isnan(found.deviation[ok]).all()
    assert not np.isnan(found.deviation[~ok]).any()


def test_several_batches_under_way_keep_their_own_verdicts(monitor):
    judge = DeviceJudge(monitor, depth=2)
    batches = [asked(seed, n) for seed, n in ((1, 6), (2, 9), (3, 6), (4, 7))]
    waiting = [judge(torch.from_numpy(batch)) for batch in batches]
    for batch, one in zip(batches, waiting, strict=True):
        np.testing.assert_allclose(one.verdicts().score, monitor.check(batch)[1].score, rtol=1e-9)


def test_a_network_without_classes_and_a_module_given():
    module = small(classes=None)
    monitor = learned(module, "single_range", Sum())
    guarded, calls = guarded_module(module, monitor), []

    def counted(*given):
        calls.append(len(given[0]))
        return guarded(*given)

    judge = DeviceJudge(monitor, counted)
    found = judge(torch.from_numpy(frames(5, 9))).verdicts()
    np.testing.assert_allclose(found.score, monitor.check(frames(5, 9))[1].score)
    assert found.prediction.tolist() == [-1] * 5
    assert calls == [5]


def test_what_is_refused(monitor):
    with pytest.raises(ValueError, match="expected a depth of 1 batch or more, got 0"):
        DeviceJudge(monitor, depth=0)
    bare = Monitor.of(monitor.network, monitor.learned, Sum(), None)
    with pytest.raises(NotReadyError, match="got no threshold"):
        DeviceJudge(bare)
