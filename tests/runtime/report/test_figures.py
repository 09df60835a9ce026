"""The figures of a report: margins and bars as the metrics count them."""

from __future__ import annotations

import math
import re

import pytest

from outrider.monitor import Status
from outrider.runtime.loop.metrics import LATENCIES, Metrics
from outrider.runtime.report import read_drive
from outrider.runtime.report.figures import _below, _loudest, _stretches, _without, latency_histogram, margin, timeline

from .logs import event, header, summary, write


def test_margins_are_those_that_metrics_count():
    for score, threshold in ((0.0, 0.0), (1.0, 0.0), (0.0, 2.0), (3.0, 2.0), (float("inf"), 1.0), (float("nan"), 1.0)):
        metrics = Metrics()
        metrics.record(Status.OK, score, threshold, 1.0)
        ((upper, _),) = metrics.margins.buckets()
        ratio = margin(event(1, Status.OK, score=score)._replace(threshold=threshold))
        assert min(ratio, 4) < upper
        assert ratio >= (4 if upper == float("inf") else upper - 1 / 16)


def test_bars_begin_where_those_below_end():
    upper = (*LATENCIES, math.inf)
    assert [_below(edge) for edge in upper] == [0.5, *upper[:-1]]
    assert [_below(odd) for odd in (-5.0, 0.0, 3.5, 1e12)] == [0.5, 0.5, 3, 1 << 27]


def test_a_timeline_takes_the_colours_of_the_page_and_keeps_its_names_apart(original):
    pytest.importorskip("matplotlib")
    (run,) = read_drive([original]).runs
    svg = timeline(run, "t0")
    assert svg.startswith("<svg viewBox=")
    assert {f"var(--{name})" for name in ("ok", "alarm", "fault", "zone", "band", "ink", "muted")} <= set(
        re.findall(r"var\(--\w+\)", svg)
    )
    assert all(name.startswith("t0-") for name in re.findall(r'\b(?:id="|href="#|url\(#)([^")]+)', svg))
    assert ">minutes<" in svg
    run.summaries[:], run.events[:] = run.summaries[:1], run.events[:1]
    assert ">seconds<" in timeline(run, "t0")


def test_bars_from_the_deadline_on_have_the_colour_of_an_alarm():
    pytest.importorskip("matplotlib")
    buckets = [(1024.0, 5), (1280.0, 2), (1536.0, 1)]
    alarms = [
        latency_histogram(buckets, deadline, "h").count("var(--alarm)") for deadline in (None, 1536.0, 1280.0, 1.0)
    ]
    assert alarms == [0, 0, 1, 3]


def test_of_many_events_the_loudest_of_each_stretch_is_drawn():
    events = [event(index / 30, Status.ALARM, frame=index, score=index % 7) for index in range(10_500)]
    drawn = _loudest(events)
    assert len(drawn) == 1500
    assert [one.score for one in drawn] == [6.0] * 1500
    assert _loudest(events[:1500]) == events[:1500]


def test_the_band_breaks_where_no_frame_came(tmp_path):
    metrics, records = Metrics(), [header()]
    for second, new in ((10, 30), (20, 30), (30, 0), (40, 30)):
        for _ in range(new):
            metrics.record(Status.OK, 0.5, 1.0, 100.0)
        records.append(summary(second, metrics))
    gap = event(16, Status.OK, Status.OK, kind="gap")._replace(latency_us=4e6)
    (run,) = read_drive([write(tmp_path / "e.jsonl", [*records[:2], gap, *records[2:]])]).runs
    assert run.gaps() == [(12, 16)]
    found = [[(start, end) for start, end, *_ in stretch] for stretch in _stretches(run)]
    assert found == [[(0, 10), (10, 12)], [(16, 20)], [(30, 40)]]
    assert {piece[2:] for stretch in _stretches(run) for piece in stretch} == {(0.5625, 0.5625)}
    assert "<svg" in timeline(run, "t0")


@pytest.mark.parametrize(
    ("gaps", "left"),
    [
        ([], [(2, 8)]),
        ([(0, 2), (8, 9)], [(2, 8)]),
        ([(1, 3), (4, 5), (7, 9)], [(3, 4), (5, 7)]),
        ([(0, 9)], []),
        ([(2, 8)], []),
    ],
)
def test_what_gaps_leave_of_a_time(gaps, left):
    assert list(_without(gaps, 2, 8)) == left
