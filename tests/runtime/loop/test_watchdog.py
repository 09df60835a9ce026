"""Silence is noticed from another thread and from another process."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import threading
import time

import pytest

from outrider.runtime.loop.watchdog import Heartbeat, Watchdog

SOON = 20.0  # seconds: far more than anything here takes, so that a slow machine fails no test


def wait(condition):
    end = time.monotonic() + SOON
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_a_heartbeat_counts_and_knows_its_age():
    heartbeat = Heartbeat()
    heartbeat.beat()
    heartbeat.beat()
    assert heartbeat.count == 2
    assert 0 <= heartbeat.age < SOON


def test_silence_and_return_are_told_once_each():
    told, heartbeat = [], Heartbeat()
    silent, back = threading.Event(), threading.Event()
    watchdog = Watchdog(
        heartbeat,
        0.05,
        lambda s: (told.append(("silent", s)), silent.set()),
        lambda _: (told.append("back"), back.set()),
    )
    with watchdog:
        assert watchdog.alive
        assert silent.wait(SOON)
        assert watchdog.silent
        heartbeat.beat()
        assert back.wait(SOON)
    assert [entry if entry == "back" else entry[0] for entry in told[:2]] == ["silent", "back"]
    assert told[0][1] >= 0.05
    assert not watchdog.alive
    assert not watchdog.silent


def test_a_beat_in_time_is_no_silence():
    heartbeat = Heartbeat()
    with Watchdog(heartbeat, 5.0) as watchdog:
        for _ in range(10):
            heartbeat.beat()
            time.sleep(0.01)
        assert not watchdog.silent


def test_a_listener_that_raises_ends_no_watch():
    def broken(_):
        raise RuntimeError("listener")

    with Watchdog(Heartbeat(), 0.02, broken) as watchdog:
        assert wait(lambda: watchdog.error is not None)
        assert watchdog.alive
    assert str(watchdog.error) == "listener"


def test_another_process_reads_the_heartbeat(tmp_path):
    heartbeat = Heartbeat(tmp_path / "beat")
    for _ in range(3):
        heartbeat.beat()
    code = "import sys; from outrider.runtime import Heartbeat; h = Heartbeat(sys.argv[1]); print(h.count, h.age)"
    done = subprocess.run([sys.executable, "-c", code, str(heartbeat.path)], capture_output=True, text=True, check=True)
    count, age = done.stdout.split()
    assert count == "3"
    assert 0 <= float(age) < SOON


def test_watching_twice_and_settings_out_of_range_are_refused():
    watchdog = Watchdog(Heartbeat(), 1.0).start()
    with pytest.raises(RuntimeError, match="expected a watchdog that is stopped, got one that watches"):
        watchdog.start()
    watchdog.stop()
    watchdog.stop()
    for timeout in (0, -1.0, math.inf, math.nan, 1e300):
        with pytest.raises(ValueError, match=r"expected a timeout above 0 and up to .* seconds, got"):
            Watchdog(Heartbeat(), timeout)


def test_a_callback_may_stop_the_watchdog_and_start_it_again():
    before, began = threading.active_count(), []

    def restart(_):
        watchdog.stop()
        if len(began) < 4:
            watchdog.start()
        began.append(watchdog.alive)

    watchdog = Watchdog(Heartbeat(), 0.02, restart).start()
    assert wait(lambda: len(began) == 5)
    assert began == [True] * 4 + [False]
    assert watchdog.error is None
    assert wait(lambda: threading.active_count() == before)


def test_a_watchdog_started_again_in_its_callback_is_one_thread_that_is_alive():
    before, restarted = threading.active_count(), threading.Event()

    def restart(_):
        if not restarted.is_set():
            watchdog.stop()
            watchdog.start()
            restarted.set()

    watchdog = Watchdog(Heartbeat(), 0.02, restart).start()
    assert restarted.wait(SOON)
    assert wait(lambda: threading.active_count() == before + 1)
    assert watchdog.alive
    assert wait(lambda: watchdog.silent)
    watchdog.stop()
    assert threading.active_count() == before


@pytest.mark.parametrize("at", [0, 10**13 + time.monotonic_ns()])
def test_no_beat_since_the_machine_started_is_an_infinite_age(tmp_path, at):
    (tmp_path / "beat").write_bytes(struct.pack("=qq", 5, at))
    heartbeat = Heartbeat(tmp_path / "beat")
    assert heartbeat.age == math.inf
    heartbeat.beat()
    assert heartbeat.count == 6
    assert 0 <= heartbeat.age < SOON
    assert Heartbeat().age == math.inf
