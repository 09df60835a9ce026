"""A network that repeats its first frame, and networks that are constant with good reason."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, Status, Sum
from outrider.networks import Network, Observation, Tap, Taps
from outrider.runtime import Guard
from outrider.runtime.loop.checks.repeated import RepeatedOutput

SHAPE = (3, 8, 6)


class Stuck(Network):
    """Channel means and class scores; once it is stuck it shows what it showed last. classes: None without scores."""

    engine, fingerprint, input_shape = "stuck", "0" * 64, SHAPE

    def __init__(self, classes=2, taps=True):
        self.classes, self.stuck, self._shown = classes, False, None
        scores = [Tap("output", "output", (2,), "NC", "float32", "unit")] if classes else []
        self.taps = Taps([Tap("means", "relu", (3, 8, 6), "NCHW", "float32", "channel"), *scores])

    def run(self, batch):
        return self.observe(batch).output

    def observe(self, batch):
        if not self.stuck or self._shown is None or len(self._shown.output) != len(batch):
            means = batch.mean((2, 3), dtype=np.float32)
            scores = np.ascontiguousarray(means[:, :2] - means[:, 1:]) if self.classes else None
            activations = (means, scores) if self.classes else (means,)
            self._shown = Observation(means.copy() if scores is None else scores, scores, activations)
        return self._shown

    def close(self):
        pass


def pictures(n, seed=0):
    return np.random.default_rng(seed).random((n, *SHAPE), np.float32)


def guarded(network, stuck=3, **options):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile([pictures(200)], minimum_per_class=1)
    monitor.calibrate([pictures(200, 1)], false_alarm_rate=0.1)
    return Guard(monitor, stuck=stuck, **options).warm_up()


def run(guard, frames):
    return [guard(frame)[1] for frame in frames]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("classes", [2, None])
def test_an_output_that_repeats_itself_is_stale_and_fine_again_when_it_moves(classes):
    network = Stuck(classes)
    guard = guarded(network)
    assert all(one.status < Status.STALE for one in run(guard, pictures(6, 2)))
    network.stuck = True
    found = run(guard, pictures(6, 3))
    first = 2 if classes else 1  # where scores tell, the neurons of the frame before them are not kept
    assert [one.status == Status.STALE for one in found] == [False] * first + [True] * (6 - first)
    assert "the network repeats itself: the same bits of scores and neurons for" in found[-1].reason
    network.stuck = False
    assert run(guard, pictures(3, 4))[-1].status < Status.STALE


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_frames_that_do_not_change_say_nothing_of_the_network():
    guard = guarded(Stuck())
    frame = pictures(1, 5)[0]
    found = run(guard, [frame] * 10)
    assert all(one.status < Status.STALE for one in found)
    network = guard.monitor.network
    network.stuck = True
    mixed = [frame, *pictures(2, 6), *[pictures(1, 7)[0]] * 5]
    statuses = [one.status == Status.STALE for one in run(guard, mixed)]
    assert statuses.count(True) >= 1
    first = statuses.index(True)
    assert len({mixed[i].tobytes() for i in range(first + 1)}) >= 3


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_network_whose_verdict_never_changes_is_not_stale_as_its_neurons_do():
    guard = guarded(Stuck(classes=None), stuck=2)
    found = run(guard, 0.5 + 0.01 * pictures(20, 8))
    assert len({one.score for one in found}) == 1
    assert all(one.status == Status.OK for one in found)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_can_be_left_out_and_forgets_with_a_reset():
    network = Stuck()
    guard = guarded(network, stuck=None)
    network.stuck = True
    assert all(one.status < Status.STALE for one in run(guard, pictures(9, 9)))
    network = Stuck()
    guard = guarded(network)
    network.stuck = True
    run(guard, pictures(9, 9))
    guard.reset()
    assert guard(pictures(1, 10)[0])[1].status < Status.STALE


def test_a_number_below_two_is_refused():
    with pytest.raises(ValueError, match="expected stuck as None or a number of frames from 2, got 1"):
        RepeatedOutput(1)
