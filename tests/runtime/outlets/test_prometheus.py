"""The counters of a loop as Prometheus reads them."""

from __future__ import annotations

import re
import sys
import urllib.request

import pytest

from outrider.monitor import Status
from outrider.networks.packages import install_hint
from outrider.runtime import metrics_text, serve_metrics
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.loop.metrics import Metrics

from ..children import FORKS, in_child


def filled(**settings):
    metrics = Metrics(false_alarm_rate=0.01, deadline_us=1000.0, **settings)
    for status, count in {Status.OK: 90, Status.WARN: 4, Status.ALARM: 3, Status.FAULT: 2, Status.STALE: 1}.items():
        for _ in range(count):
            metrics.record(status, 0.5, 1.0, 2000.0 if status == Status.STALE else 100.0)
    return metrics


def samples(text):
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_the_text_holds_every_count():
    pytest.importorskip("prometheus_client")
    drift = DriftTest(0.01)
    found = samples(metrics_text({"front": filled(drift=drift), "rear": Metrics()}))
    assert found['outrider_frames_total{guard="front"}'] == "100.0"
    assert found['outrider_alarms_total{guard="front"}'] == "3.0"
    assert found['outrider_frames_total{guard="rear"}'] == "0.0"
    assert found['outrider_frame_seconds_count{guard="front"}'] == "100.0"
    assert float(found['outrider_frame_seconds_sum{guard="front"}']) == pytest.approx((99 * 100 + 2000) / 1e6)
    assert found['outrider_frame_seconds_bucket{guard="front",le="0.000128"}'] == "99.0"
    assert found['outrider_frame_seconds_bucket{guard="front",le="0.002048"}'] == "100.0"
    assert found['outrider_availability_ratio{guard="front"}'] == "0.97"
    assert found['outrider_calibration_holds{guard="front"}'] == "1.0"
    assert found['outrider_drift_evidence{guard="front"}'] == "1.0"
    assert 'outrider_availability_ratio{guard="rear"}' not in found
    assert 'outrider_calibrated_alarms_per_hour{guard="rear"}' not in found


def test_the_text_is_read_by_prometheus_own_parser():
    parser = pytest.importorskip("prometheus_client.parser")
    families = {family.name: family for family in parser.text_string_to_metric_families(metrics_text(filled()))}
    assert families["outrider_frames"].type == "counter"
    assert families["outrider_frame_seconds"].type == "histogram"
    buckets = [s.value for s in families["outrider_frame_seconds"].samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 100


def test_score_threshold_and_margin_of_the_last_frame_of_each_stream():
    pytest.importorskip("prometheus_client")
    left, right, none = Metrics(), Metrics(), Metrics()
    for score in (9.0, 1.25):
        left.record(Status.OK, score, 2.0, 1.0)
    right.record(Status.FAULT, float("inf"), float("nan"), 1.0)
    whole = Metrics()
    whole.streams = {"left": left, "right": right, "none": none}
    found = samples(metrics_text(whole))
    of_last = {
        stream: [
            found.get(f'outrider_{name}{{guard="",stream="{stream}"}}') for name in ("score", "threshold", "margin")
        ]
        for stream in whole.streams
    }
    assert of_last == {"left": ["1.25", "2.0", "0.75"], "right": ["+Inf", None, None], "none": [None] * 3}


def test_the_histogram_of_score_over_threshold():
    pytest.importorskip("prometheus_client")
    metrics, threshold = Metrics(), 4.0
    scores = [0.0, 0.49, 0.5, 3.99, 4.0, 4.01, 7.9, 8.0, 40.0, float("inf")]
    for score in scores:
        metrics.record(Status.OK, score, threshold, 1.0)
    metrics.record(Status.FAULT, 1.0, threshold, 1.0)  # was not judged
    found = samples(metrics_text(metrics))
    head = 'outrider_score_ratio_bucket{guard="",le="'
    buckets = {key.removeprefix(head)[:-2]: float(value) for key, value in found.items() if key.startswith(head)}
    ends = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, float("inf")]
    expected = [sum(score / threshold < end or end == float("inf") for score in scores) for end in ends]
    assert [float(end.replace("+Inf", "inf")) for end in buckets] == ends
    assert list(buckets.values()) == expected
    assert found['outrider_score_ratio_count{guard=""}'] == "10.0"
    assert float(found['outrider_score_ratio_sum{guard=""}']) == pytest.approx(sum(scores[:-1]) / threshold)


def test_metrics_are_served_as_they_stand():
    pytest.importorskip("prometheus_client")
    metrics = filled()
    server = serve_metrics(metrics, port=0)
    try:
        for _ in range(2):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
                found = samples(answer.read().decode())
            assert found['outrider_frames_total{guard=""}'] == str(float(metrics.counters.frames))
            metrics.record(Status.OK, 0.5, 1.0, 100.0)
    finally:
        server.close()


@pytest.mark.parametrize("call", [lambda: metrics_text(Metrics()), lambda: serve_metrics(Metrics(), 0)])
def test_a_missing_package_is_named_with_its_extra(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(
        ImportError, match=r"metrics for Prometheus need one more package: " + re.escape(install_hint("metrics"))
    ):
        call()


@FORKS
def test_a_fork_leaves_the_port_to_its_parent():
    server = serve_metrics(Metrics(), port=0)
    assert in_child(lambda: [server.close(), server._server.socket.fileno()]) == [None, -1]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as page:
            assert b"outrider_frames_total" in page.read()
    finally:
        server.close()


def test_kinds_of_alarms_are_counted_where_there_are_any():
    pytest.importorskip("prometheus_client")
    front = filled()
    for kind in ("sensor", "sensor", "unsure"):
        front.record_kind(kind)
    found = samples(metrics_text({"front": front, "rear": Metrics()}))
    assert found['outrider_frames_of_kind_total{guard="front",kind="sensor"}'] == "2.0"
    assert found['outrider_frames_of_kind_total{guard="front",kind="adversarial"}'] == "0.0"
    assert not [name for name in found if "of_kind" in name and "rear" in name]
