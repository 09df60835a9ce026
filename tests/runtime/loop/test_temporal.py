"""Logics over time against their definitions."""

from __future__ import annotations

import copy
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.monitor import Status, Verdict
from outrider.monitor.places import LargestArea, Places
from outrider.runtime import Guard
from outrider.runtime.loop.temporal import EVERYWHERE, Cusum, KOfN, RegionsKOfN, overlap

from ...monitor.judging.test_grid import frames, monitor

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


def seen(*boxes, places=True, status=Status.ALARM):
    """The verdict on a frame of 60 x 60 pixels whose map deviates in these boxes, of a place a pixel."""
    found = np.zeros((60, 60), np.float32)
    for left, top, right, bottom in boxes:
        found[top:bottom, left:right] = 5
    where = Places(found, 1.0, (60, 60), logic=LargestArea())
    return Verdict(status, 99.0, 12.0, 0.4, -1, np.zeros(1, np.float32), places=where if places else None)


def watched(logic, *verdicts):
    """What the logic says of each frame, one after the other."""
    said = []
    for verdict in verdicts:
        logic.see(verdict)
        said.append(logic.update(verdict.status is Status.ALARM, verdict.confidence))
    return said


CALM = seen(status=Status.OK)
CELLS = [(x, y, x + 10, y + 10) for x in (0, 25, 50) for y in (0, 30)]


@given(windows, windows, st.lists(st.sets(st.integers(0, 5), max_size=3), max_size=30))
def test_regions_that_stay_in_place_are_counted_each_for_itself(alarm, clear, drive):
    (k, n), (clean, m) = alarm, clear
    logic, active, since = RegionsKOfN(alarm, clear), False, 0
    for i, cells in enumerate(drive):
        recent = drive[max(since, i - (m if active else n) + 1) : i + 1]
        if not active and any(sum(cell in one for one in recent) >= k for cell in cells):
            active, since = True, i + 1
        elif active and not cells and recent.count(set()) >= clean:
            active, since = False, i + 1
        verdict = seen(*(CELLS[cell] for cell in cells)) if cells else CALM
        assert watched(logic, verdict) == [active]


def test_a_region_may_move_and_grow_and_alarms_at_other_places_do_not_add_up():
    moving = [seen((5 * i, 4 * i, 5 * i + 8, 4 * i + 8 + i)) for i in range(6)]
    logic = RegionsKOfN((5, 6), overlap=0.1)
    assert watched(logic, *moving) == [False] * 4 + [True] * 2
    assert logic.box == (20, 16, 28, 28)
    apart = [seen(CELLS[i % 6]) for i in range(12)]
    assert not any(watched(RegionsKOfN((3, 6)), *apart))
    assert states(KOfN((3, 6)), [True] * 3) == [False, False, True]


def test_a_small_part_counts_only_where_it_would_alarm_alone():
    """Of 12 places and a bit; the same spot of nine is there in every frame."""
    spot = (30, 50, 33, 53)
    drive = [seen(CELLS[i % 6], spot) for i in range(9)]
    assert not any(watched(RegionsKOfN((3, 6)), *drive))
    larger = [seen(CELLS[i % 6], (30, 50, 34, 54)) for i in range(3)]
    assert watched(RegionsKOfN((3, 6)), *larger) == [False, False, True]


def test_of_several_regions_each_has_one_follower():
    """Two that stand side by side, of which one flickers; then one box over both is no second time of either."""
    left, right, both = (0, 0, 10, 10), (12, 0, 20, 10), (0, 0, 20, 10)
    logic = RegionsKOfN((3, 9))
    assert watched(logic, seen(left, right), seen(left), seen(right)) == [False] * 3
    assert watched(logic, seen(both)) == [True], "of the two, one is there for the third time"
    assert logic.box == both
    once = RegionsKOfN((4, 9))
    assert watched(once, seen(left, right), seen(left), seen(right), seen(both), seen(right)) == [False] * 4 + [True]


def test_the_overlap_is_of_the_smaller_or_of_the_union():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (tuple(np.sort(rng.integers(0, 20, (2, 2)), axis=0).ravel().tolist()) for _ in range(2))
        cells = np.zeros((2, 20, 20), bool)
        for i, (left, top, right, bottom) in enumerate((a, b)):
            cells[i, top:bottom, left:right] = True
        common, of = cells.all(axis=0).sum(), cells.sum(axis=(1, 2))
        assert overlap(a, b) == pytest.approx(common / of.min() if common else 0)
        assert overlap(a, b, of_union=True) == pytest.approx(common / cells.any(axis=0).sum() if common else 0)
    assert overlap(EVERYWHERE, (0, 0, 1, 1), of_union=True) == 1
    small, large = seen((10, 10, 14, 14)), seen((0, 0, 30, 30))
    assert watched(RegionsKOfN((2, 2), of="smaller"), small, large) == [False, True]
    assert watched(RegionsKOfN((2, 2), of="union"), small, large) == [False, False]


def test_an_alarm_without_a_region_counts_for_each():
    nowhere = seen(places=False)
    assert watched(RegionsKOfN((3, 3)), nowhere, seen(CELLS[0]), nowhere) == [False, False, True]
    logic = RegionsKOfN((3, 5))
    assert watched(logic, seen(CELLS[0], CELLS[3]), nowhere, seen(CELLS[3])) == [False, False, True]
    assert logic.box == CELLS[3]
    assert [logic.update(True, 0.4) for logic in [RegionsKOfN((2, 2))] for _ in range(2)] == [False, True], "not shown"


def test_the_regions_of_a_frame_before_are_none_of_this_one():
    logic = RegionsKOfN((2, 2))
    logic.see(seen(CELLS[0]))
    logic.update(True, 0.4)
    assert logic.update(False, 0.9) is False
    assert watched(logic, seen(CELLS[1]), CALM, seen(CELLS[1])) == [False] * 3


def test_a_fault_alarms_at_once_without_a_box_and_latches():
    logic = RegionsKOfN((3, 5), (1, 1), latch=True)
    watched(logic, seen(CELLS[0]))
    logic.force()
    assert (logic.active, logic.latched, logic.box) == (True, True, None)
    assert watched(logic, CALM, CALM) == [True, True]
    logic.acknowledge()
    assert watched(logic, CALM, seen(CELLS[0]), seen(CELLS[0])) == [False] * 3, "counted anew"
    assert watched(logic, seen(CELLS[0])) == [True]
    logic.reset()
    assert (logic.active, logic.box) == (False, None)
    assert watched(logic, seen(CELLS[0]), seen(CELLS[0])) == [False, False]


def test_memory_is_bounded_however_many_regions_there_are():
    logic, rng = RegionsKOfN((4096, 4096)), np.random.default_rng(1)
    for _ in range(60):
        corners = rng.integers(0, 14, (40, 2)) * 4
        watched(logic, seen(*((x, y, x + 4, y + 4) for x, y in corners.tolist())))
    assert len(logic._tracks) == 32
    assert max(one.times.bit_length() for one in logic._tracks) <= 4096


def test_settings_of_regions_out_of_range_are_refused():
    for wrong in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="expected an overlap above 0, up to 1, got"):
            RegionsKOfN(overlap=wrong)
    with pytest.raises(ValueError, match="expected the overlap of 'smaller' or 'union', got 'both'"):
        RegionsKOfN(of="both")
    made = RegionsKOfN((2, 3), (4, 5), 0.5, latch=True, of="union")
    assert repr(eval(repr(made))) == repr(made)  # noqa: S307
    assert repr(copy.deepcopy(made)) == repr(made)


def test_a_guard_shows_its_regions_and_streams_do_not_add_up():
    strange = frames(4, 2)
    strange[:2, :, 1:4, 1:4] = 3
    strange[2:, :, 4:8, 4:8] = 3
    here, again, there, _ = strange
    with Guard(monitor(logic=LargestArea(smooth=1)), temporal=RegionsKOfN((2, 3))) as guard:
        said = [guard(frame)[1].status.name for frame in (here, there, again)]
        assert said == ["WARN", "WARN", "ALARM"]
        assert guard(there)[1].status is Status.ALARM, "until it is clear"
    with Guard(monitor(logic=LargestArea(smooth=1)), temporal=RegionsKOfN((2, 3)), streams=("left", "right")) as guard:
        said = [guard(here, stream=name)[1].status.name for name in ("left", "right", "left", "right")]
        assert said == ["WARN", "WARN", "ALARM", "ALARM"]
        guard.reset("left")
        said = [verdict.status.name for _, verdict in guard.many({"left": here, "right": there}).values()]
        assert said == ["WARN", "ALARM"]
