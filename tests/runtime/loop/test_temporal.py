"""Logics over time against their definitions."""

from __future__ import annotations

import sys
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.runtime.loop.temporal import Cusum, KOfN

windows = st.integers(1, 6).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n)))


def states(logic, alarms, confidence=0.5):
    return [logic.update(alarmed, confidence) for alarmed in alarms]


@given(windows, windows, st.lists(st.booleans(), max_size=40))
def test_k_of_n_is_what_counting_the_last_frames_says(alarm, clear, alarms):
    (k, n), (clean, m) = alarm, clear
    logic, active, since = KOfN(alarm, clear), False, 0
    for i, alarmed in enumerate(alarms):
        if not active and sum(alarms[max(since, i - n + 1) : i + 1]) >= k:
            active, since = True, i + 1
        elif active and not alarmed and alarms[max(since, i - m + 1) : i + 1].count(False) >= clean:
            active, since = False, i + 1
        assert logic.update(alarmed, 0.5) == active


def test_a_latched_alarm_stays_until_it_is_acknowledged():
    logic = KOfN((1, 1), (2, 2), latch=True)
    assert states(logic, [True, False, False, False]) == [True] * 4
    logic.acknowledge()
    assert states(logic, [True, False, False]) == [True, True, False]


@pytest.mark.parametrize("logic", [KOfN((1, 1), (1, 1), latch=True), Cusum(limit=0.2, latch=True)], ids=repr)
def test_a_fault_after_an_acknowledgement_latches_anew(logic):
    logic.force()
    logic.acknowledge()
    logic.force()
    assert all(logic.update(False, 1.0) for _ in range(5))


@pytest.mark.parametrize("begin", [lambda logic: logic.force(), lambda logic: logic.update(True, 0.0)])
@pytest.mark.parametrize("make", [partial(KOfN, latch=True), partial(Cusum, limit=0.1, latch=True)])
def test_interrupted_between_any_two_lines_no_alarm_is_without_its_latch(make, begin):
    left = 0

    def interrupt(frame, event, _):
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return interrupt

    for line in range(2, 100):  # the first is that of the lambda
        logic, left, before = make(), line, sys.gettrace()
        sys.settrace(interrupt)
        try:
            begin(logic)
        except KeyboardInterrupt:
            assert logic.latched or not logic.active
        else:
            break
        finally:
            sys.settrace(before)
    assert line > 3
    assert logic.active
    assert logic.latched


def test_a_frame_that_alarms_ends_no_alarm():
    logic = KOfN((1, 1), (2, 3), latch=True)
    states(logic, [True, False, False, False])
    logic.acknowledge()
    assert states(logic, [True, False, False]) == [True, False, False]
    cusum = Cusum(limit=1.0)
    cusum.force()
    assert cusum.update(True, 1.0)


def test_a_fault_is_active_at_once():
    logic = KOfN((3, 5), (2, 2))
    logic.force()
    assert logic.active
    assert states(logic, [False, False]) == [True, False]


def test_cusum_is_the_sum_of_what_confidence_lacks():
    logic = Cusum(reference=0.5, limit=1.0)
    assert [logic.update(True, 0.25) for _ in range(5)] == [False] * 4 + [True]
    assert logic.sum == 1.25
    assert [logic.update(False, 0.75) for _ in range(5)] == [True] * 4 + [False]
    assert logic.sum == 0


def test_cusum_takes_no_number_for_no_confidence_and_can_return():
    logic = Cusum(limit=1.0)
    for _ in range(100):
        logic.update(True, float("nan"))
    assert logic.active
    assert logic.sum == 2
    assert [logic.update(False, 1.0) for _ in range(4)] == [True, True, True, False]


def test_a_latched_cusum_stays_until_it_is_acknowledged():
    logic = Cusum(limit=0.2, latch=True)
    logic.force()
    assert all(logic.update(False, 1.0) for _ in range(5))
    logic.acknowledge()
    assert not logic.update(False, 1.0)


@pytest.mark.parametrize("window", [(0, 1), (2, 1), (1, 5000), 3, (1, 2, 3)])
def test_windows_that_make_no_sense_are_refused(window):
    with pytest.raises(ValueError, match=r"expected alarm as \(k, n\) with 1 <= k <= n <= 4096, got"):
        KOfN(alarm=window)
    with pytest.raises(ValueError, match="expected clear as"):
        KOfN(clear=window)


@pytest.mark.parametrize("settings", [{"reference": 0}, {"reference": 1}, {"limit": 0}])
def test_settings_of_cusum_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="expected 0 < reference < 1 and limit > 0, got"):
        Cusum(**settings)


def test_repr_is_how_it_is_made():
    assert repr(KOfN((2, 3), (4, 5), latch=True)) == "KOfN(alarm=(2, 3), clear=(4, 5), latch=True)"
    assert repr(Cusum()) == "Cusum(reference=0.5, limit=1.0, latch=False)"
