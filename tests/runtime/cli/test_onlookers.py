"""Who looks on: what they write of one stream and of several."""

from __future__ import annotations

import json
import time
import urllib.request
from argparse import Namespace
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import Status, Verdict
from outrider.runtime.cli.onlookers import JsonLines, onlookers
from outrider.runtime.inputs.streams import Frame
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.loop.watch import WatchedFrame
from outrider.runtime.outlets.prometheus import serve_metrics


def seen(status=Status.OK, stream="", **frame):
    verdict = Verdict(status, 0.5, 1.0, 0.75, -1, np.zeros(1, np.float32), (), "")
    return WatchedFrame(1, 0.0, Frame(5.0, None, "frame", **frame), verdict, 0.01, "", stream, 7)


def test_lines_name_their_stream_and_what_was_dropped(capsys):
    lines = JsonLines()
    lines.idle(Status.OK, "left")
    lines.seen(seen(stream="left", captured=3.0))
    lines.seen(seen(Status.STALE, "right"))
    lines.idle(Status.STALE, "right")
    lines.idle(Status.STALE, "left")
    lines.seen(seen())
    first, second, third, fourth = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["stream"], first["dropped"], first["status"]) == ("left", 7, "ok")
    assert (second["stream"], second["status"], "dropped" in second) == ("right", "stale", False)
    assert third == {"stream": "left", "frame": None, "status": "stale", "alarm": True}
    assert "stream" not in fourth


def test_prometheus_reads_the_metrics_until_the_end(monkeypatch):
    pytest.importorskip("prometheus_client")
    served = []

    def serve(*asked):
        served.append(serve_metrics(*asked))
        return served[-1]

    monkeypatch.setattr("outrider.runtime.outlets.prometheus.serve_metrics", serve)
    guard = SimpleNamespace(metrics=Metrics())
    guard.metrics.record(Status.OK, 0.5, 1.0, 1.0)
    options = Namespace(record=None, ros2=None, metrics=("127.0.0.1", 0), json=False, quiet=True)
    with ExitStack() as stack:
        assert onlookers(options, guard, "a title", [], stack) == []
        with urllib.request.urlopen(f"http://127.0.0.1:{served[0].port}/metrics", timeout=10) as answer:
            assert b'outrider_frames_total{guard=""} 1.0' in answer.read()
        options.metrics = ("127.0.0.1", served[0].port)
        with (
            pytest.raises(OSError, match=r"127.0.0.1:\d+: expected to serve metrics there, got "),
            ExitStack() as other,
        ):
            onlookers(options, guard, "a title", [], other)
    with pytest.raises(OSError):  # noqa: PT011 (refused, by words that differ from system to system)
        urllib.request.urlopen(f"http://127.0.0.1:{served[0].port}/metrics", timeout=10)


def test_ros_gets_the_stamp_of_the_camera(monkeypatch):
    pytest.importorskip("cyclonedds")
    heard = []

    class Publisher:
        def __init__(self, guard, name, **hashes):
            heard.append((name, hashes))

        def verdict(self, verdict, wall_ns, stream):
            heard.append((wall_ns, stream))

        def close(self):
            pass

    monkeypatch.setattr("outrider.runtime.outlets.ros2.Ros2Publisher", Publisher)
    network, logic = SimpleNamespace(fingerprint="ab"), SimpleNamespace(of_places=False)
    guard = SimpleNamespace(monitor=SimpleNamespace(network=network, logic=logic, profile_sha256="cd"))
    options = Namespace(record=None, ros2="front", metrics=None, json=False, quiet=True)
    with ExitStack() as stack:
        (view,) = onlookers(options, guard, "a title", ["left"], stack)
        view.seen(seen(stream="left", captured=time.monotonic(), stamp_ns=1_700_000_000_123_456_789))
        before = time.time_ns()
        view.seen(seen(captured=time.monotonic() - 100))
        view.idle(Status.OK, "left")
    assert heard[:2] == [("front", {"network": "ab", "profile": "cd", "maps": ""}), (1_700_000_000_123_456_789, "left")]
    assert before - 101e9 < heard[2][0] <= time.time_ns() - 100e9
