from __future__ import annotations

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import outrider.monitor
from outrider.coverage import SingleRange
from outrider.monitor import (
    Monitor,
)

from ..runtime.children import FORKS, in_child
from .conftest import CLASSES, batches, frames


def test_inputs_far_from_the_trusted_ones_alarm(monitor):
    _, verdicts = monitor.check(frames(200, seed=3, far=6))
    assert verdicts.alarm.mean() > 0.95


def test_a_frame_alone_gets_the_verdict_it_gets_in_a_batch(monitor):
    new = np.concatenate([frames(10, seed=6), frames(10, seed=7, far=4)])
    output, verdicts = monitor.check(new)
    for i, frame in enumerate(new):
        alone, verdict = monitor(frame)
        np.testing.assert_allclose(alone, output[i], rtol=1e-4, atol=1e-5)
        assert (verdict.status, verdict.layers) == (verdicts[i].status, verdicts[i].layers)
        assert verdict.score == pytest.approx(verdicts[i].score, rel=1e-4)


def test_a_batch_in_place_of_a_frame_is_refused(network):
    monitor = Monitor(network, SingleRange())
    with pytest.raises(ValueError, match=r"expected one frame of shape .*, got shape \(5, .*\); a batch is for check"):
        monitor(frames(5))
    with pytest.raises(ValueError, match=r"expected one frame of shape .*, got NoneType"):
        monitor(None)


def test_the_old_names_of_the_frame_judge_warn(monitor):
    with pytest.warns(DeprecationWarning, match=r"Monitor\.frame_plan is now bind"):
        judge = monitor.frame_plan()
    with pytest.warns(DeprecationWarning, match="FramePlan is now FrameJudge"):
        assert isinstance(judge, outrider.monitor.FramePlan)


def test_calls_from_several_threads_wait_for_each_other(monitor):
    new = frames(40, seed=4)
    expected = [monitor(frame)[1].score for frame in new]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(lambda frame: monitor(frame)[1].score, new)) == expected


def test_a_network_that_takes_no_tensors_gets_arrays(network):
    torch = pytest.importorskip("torch")
    x, y = torch.from_numpy(frames(300)), torch.from_numpy(np.arange(300) % CLASSES)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=50)
    monitor = Monitor(network, SingleRange())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile(loader, trusted_confidence=0.0)
        monitor.calibrate(torch.from_numpy(frames(300, seed=1)), 0.05)
    expected = monitor.check(x.numpy())[1].score
    np.testing.assert_array_equal(monitor.check(x)[1].score, expected)
    assert monitor(x[3])[1].score == expected[3]
    np.testing.assert_array_equal(monitor.deviations(x), monitor.deviations(x.numpy()))


def test_a_threshold_set_anew_for_the_same_rate_holds_for_the_next_batch_and_frame(monitor):
    batch = frames(40, seed=8)
    monitor.check(batch)
    monitor(batch[0])
    for seed in (2, 3):
        monitor.calibrate(batches(frames(4000, seed=seed)), 0.05)
        assert (monitor.check(batch)[1].threshold == monitor.threshold).all()
        assert monitor(batch[0])[1].threshold == monitor.threshold


@FORKS
def test_a_fork_waits_for_no_thread_of_its_parent(monitor, network):
    frame = frames(1, seed=9)[0]
    expected, inside, over = monitor(frame)[1].score, threading.Event(), threading.Event()
    observe = network.observe

    def waiting(batch):
        inside.set()
        over.wait()
        return observe(batch)

    network.observe = waiting
    busy = threading.Thread(target=lambda: monitor.check(frames(10)))
    busy.start()
    inside.wait()  # the monitor's lock is held, and in the child nobody lets go of it
    network.observe = observe
    try:
        assert in_child(lambda: monitor(frame)[1].score) == expected
    finally:
        over.set()
        busy.join()
