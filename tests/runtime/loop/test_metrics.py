"""Counters and histograms against numpy."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.monitor import Status
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.loop.metrics import Metrics


def with_latencies(*values):
    metrics = Metrics()
    for value in values:
        metrics.record(Status.OK, 0.5, 1.0, value)
    return metrics.latency


@given(st.floats(0, 1e9))
def test_every_latency_falls_below_the_end_of_its_bucket(microseconds):
    histogram = with_latencies(microseconds)
    (place,) = np.flatnonzero(histogram.counts)
    assert microseconds < histogram.upper[place]
    assert place == 0 or microseconds >= histogram.upper[place - 1]
    assert (histogram.sum, histogram.largest) == (microseconds, microseconds)


def test_buckets_are_narrow_and_agree_with_numpy():
    values = np.random.default_rng(0).lognormal(7, 3, 5000)
    histogram = with_latencies(*values.tolist())
    edges = np.array([0, *histogram.upper])
    expected, _ = np.histogram(values, edges)
    assert histogram.counts.tolist() == expected.tolist()
    finite = edges[4:-1]
    assert (finite[1:] / finite[:-1] <= 1.25).all()
    assert histogram.buckets() == [(u, c) for u, c in zip(histogram.upper, expected.tolist(), strict=True) if c]
    assert histogram.sum == pytest.approx(values.sum())


@pytest.mark.parametrize("odd", [math.nan, -1.0, -math.inf])
def test_a_latency_that_is_none_counts_as_0(odd):
    histogram = with_latencies(odd)
    assert histogram.buckets() == [(1, 1)]
    assert histogram.sum == 0


@pytest.mark.parametrize("endless", [1e12, 1e300, math.inf])
def test_a_latency_beyond_all_buckets_is_counted(endless):
    assert with_latencies(endless).buckets() == [(math.inf, 1)]


def with_margins(*pairs):
    metrics = Metrics()
    for score, threshold in pairs:
        metrics.record(Status.OK, score, threshold, 1.0)
    return metrics.margins


@given(st.floats(allow_nan=True), st.floats(allow_nan=True))
def test_any_score_and_threshold_are_counted(score, threshold):
    assert with_margins((score, threshold)).counts.sum() == 1


def test_margins_are_sixteenths_of_the_threshold():
    scores = (0.0, 0.12, 0.126, 1.99, 2.0, 7.99, 8.0, math.inf, math.nan)
    margins = with_margins(*((score, 2.0) for score in scores), (0.0, 0.0), (1.0, 0.0))
    assert margins.buckets() == [(0.0625, 3), (0.125, 1), (1.0, 1), (1.0625, 1), (4.0, 1), (math.inf, 4)]


def filled(**settings):
    metrics = Metrics(false_alarm_rate=0.01, deadline_us=1000.0, **settings)
    for status, count in {Status.OK: 90, Status.WARN: 4, Status.ALARM: 3, Status.FAULT: 2, Status.STALE: 1}.items():
        for _ in range(count):
            metrics.record(status, 0.5, 1.0, 2000.0 if status == Status.STALE else 100.0)
    return metrics


def test_frames_are_counted_by_their_status():
    metrics = filled()
    counters = metrics.counters
    assert (counters.frames, counters.warnings, counters.alarms, counters.faults, counters.stale) == (100, 4, 3, 2, 1)
    assert counters.deadline_misses == 1
    assert counters.judged == 97
    assert metrics.availability == 0.97
    assert metrics.margins.counts.sum() == 97


def test_rates_per_hour_come_of_the_clock(monkeypatch):
    metrics = filled()
    monkeypatch.setattr("time.monotonic_ns", lambda: metrics.started_ns + 1_800 * 10**9)
    assert metrics.hours == 0.5
    assert metrics.alarms_per_hour == 6
    assert metrics.calibrated_alarms_per_hour == pytest.approx(0.01 * 97 * 2)
    assert Metrics().calibrated_alarms_per_hour is None
    assert math.isnan(Metrics().availability)


def test_the_clock_by_which_a_watch_began_is_none_of_a_recordings():
    metrics = Metrics(patience=0.5)
    metrics.sight.begin(0)
    for stamp in (0, 400_000_000, 1_200_000_000):
        metrics.stamped(stamp)
    metrics.sight.rest(10**11)
    assert (metrics.seconds_watched, metrics.seconds_blind) == pytest.approx((1.2, 0.8))


def test_figures_leave_out_what_is_not_known():
    assert Metrics().figures().keys() == {"availability_ratio", "alarms_per_hour", "blind_seconds"}
    known = filled(drift=DriftTest(0.01)).figures()
    assert (known["availability_ratio"], known["drift_evidence"], known["calibration_holds"]) == (0.97, 1.0, True)
    assert known["calibrated_alarms_per_hour"] > 0


def test_a_snapshot_is_json():
    values = json.loads(json.dumps(filled(drift=DriftTest(0.01)).snapshot(), allow_nan=False))
    assert values["counters"]["frames"] == 100
    assert sum(count for _, count in values["latency_us"]) == 100
    assert values["latency_largest_us"] == 2000
    assert values["drift"]["tested"] == 0


def test_counting_allocates_nothing_that_stays():
    metrics = Metrics(false_alarm_rate=0.01, deadline_us=1000.0, drift=DriftTest(0.01, stride=1))

    def count():
        for place in range(300):
            metrics.record(Status.OK, 0.5, 1.0, 12.5 * place)
            metrics.drift.update(False)

    count()
    tracemalloc.start()
    try:
        count()
        before = tracemalloc.take_snapshot()
        for _ in range(10):
            count()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = [tracemalloc.Filter(True, "*metrics.py"), tracemalloc.Filter(True, "*drift.py")]
    grown = after.filter_traces(ours).compare_to(before.filter_traces(ours), "lineno")
    assert sum(line.count_diff for line in grown) <= 2
