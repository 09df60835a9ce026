"""When a frame was taken, as the caller says it: bounds met exactly."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.loop.moments import NO_TIME, Sight, deadline_ns, each, moment, of_stream, stamp_ns, times

NOW = 2 * 10**18
SECOND = 10**9


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [(1.5e9, 1_500_000_000 * SECOND), (2e9, NOW), (2e9 + 1, NOW), (1e9 + 1, 1_000_000_001 * SECOND)],
)
def test_a_frame_was_taken_before_now_or_a_second_ahead_at_most(seconds, taken):
    assert moment(seconds, NOW) == (taken, "")


@pytest.mark.parametrize(("seconds", "off"), [(2e9 + 2, "2 s"), (1e9, "-1e+09 s"), (0, "-2e+09 s")])
def test_the_time_of_another_clock_is_named(seconds, off):
    assert moment(seconds, NOW) == (NOW, f"expected `captured` by time.monotonic(), got a time {off} from now")


@pytest.mark.parametrize("none", [np.nan, np.inf, "noon", None])
def test_what_is_no_number_is_named(none):
    assert moment(none, NOW) == (NOW, "expected `captured` in seconds, got no number")
    assert stamp_ns(none) is None


def test_a_stamp_fits_into_64_bits():
    assert [stamp_ns(seconds) for seconds in (0, -1.5, 1.7e9)] == [0, -1_500_000_000, 1_700_000_000 * SECOND]
    assert stamp_ns(9e9) is stamp_ns(-9e9) is None
    assert stamp_ns(np.nextafter(9e9, 0)) < 2**63


def test_both_times_and_what_is_wrong_with_either():
    assert times(None, None, NOW) == (NOW, None, "")
    assert times(1.5e9, 3.0, NOW) == (1_500_000_000 * SECOND, 3 * SECOND, "")
    assert times(1.5e9, "noon", NOW) == (1_500_000_000 * SECOND, None, NO_TIME)
    began, stamped, refusal = times(0, 3.0, NOW)
    assert (began, stamped) == (NOW, 3 * SECOND)
    assert refusal.startswith("expected `captured` by time.monotonic()")


def test_what_is_told_of_all_or_of_one_stream():
    assert of_stream(3.0, "left") == 3.0
    assert of_stream({"left": 4.0}, "left") == 4.0
    assert of_stream({"left": 4.0}, "right") is None


def test_settings_are_made_of_all_or_of_each_stream():
    assert each(0.5, deadline_ns) == SECOND // 2
    assert each({"left": 0.5, "right": None}, deadline_ns) == {"left": SECOND // 2, "right": None}
    assert each(None, deadline_ns) is None
    for wrong in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="expected a deadline above 0 seconds, got"):
            deadline_ns(wrong)


def seen(sight, seconds):
    return [sight.came(round(at * SECOND)) / SECOND for at in seconds]


def test_a_gap_lasts_more_than_a_second_and_ten_intervals_or_the_silence_allowed():
    assert seen(Sight(), [5, 5.1, 5.2, 6.2, 6.3, 14.3, 14.4]) == [0, 0, 0, 0, 0, 8, 0]
    assert seen(Sight(), [0, 8, 8.1]) == [0, 0, 0]  # the first interval is no gap: nothing tells that it is long
    slow = Sight()
    assert seen(slow, [0, 3, 6, 36, 67, 70]) == [0, 0, 0, 0, 0, 0]
    assert (slow.watched, slow.blind) == (70 * SECOND, 0)
    assert seen(Sight(0.5), [0, 0.5, 1.01, 3]) == [0, 0, 0.51, 1.99]


def test_gaps_are_left_out_of_the_mean_interval():
    sight = Sight()
    assert seen(sight, [0, 1, 2, 2 + 11, 13 + 9.5, 22.5 + 11]) == [0, 0, 0, 11, 0, 0]
    sight = Sight()
    assert seen(sight, [0, 1, 2, 2 + 11, 13 + 11])[-2:] == [11, 11]  # with the first gap in it the mean would be 4.3


def test_times_that_step_back_add_nothing():
    sight = Sight()
    assert seen(sight, [3, 3.1, 2, 3.2]) == [0, 0, 0, 0]
    assert sight.watched == round(3.2 * SECOND) - 3 * SECOND


def test_the_time_after_the_last_frame_counts_unless_it_is_a_pause():
    sight = Sight()
    seen(sight, [0, 0.1, 0.2])
    assert (sight.open(SECOND), sight.open(9 * SECOND)) == (0, 9 * SECOND - SECOND // 5)
    sight.rest(SECOND)
    assert (sight.watched, sight.blind) == (SECOND // 5, 0)
    assert seen(sight, [100, 100.1]) == [0, 0]
    sight.rest(110 * SECOND)
    assert sight.blind == 110 * SECOND - round(100.1 * SECOND)
    assert sight.open(999 * SECOND) == 0


def test_a_watch_that_begins_before_the_first_frame_waits_for_it():
    sight = Sight(2.0)
    sight.begin(0)
    assert seen(sight, [5, 5.1]) == [5, 0]
    sight.forget()
    assert seen(sight, [50]) == [0]
