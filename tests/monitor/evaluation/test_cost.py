"""The cost of a frame: what is called, and what the numbers belong to."""

from __future__ import annotations

from outrider.monitor.evaluation import cost_of

from ..conftest import frames


def test_it_tells_network_and_monitor_apart(monitor):
    found = cost_of(monitor, frames(16), runs=2)
    assert found.check > 0
    assert found.network > 0
    assert found.monitor == max(found.check - found.network, 0)
    assert (found.batch, found.bytes) == (16, monitor.learned.nbytes)


def test_it_runs_each_as_often_as_told_and_once_to_warm_up(monitor):
    before = monitor.network.calls
    cost_of(monitor, frames(4), runs=3)
    assert monitor.network.calls - before == 8


def test_a_recurrent_network_is_reset_before_and_behind(monitor):
    resets = []
    monitor.network.reset = lambda: resets.append(monitor.network.calls)
    start = monitor.network.calls
    cost_of(monitor, frames(4), runs=1)
    assert [calls - start for calls in resets] == [0, 4]
