"""The numbers of a drive, held to the guard's own counters, and those of odd logs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from outrider.monitor import Status, clopper_pearson
from outrider.runtime.log.events import Summary
from outrider.runtime.loop.drift import DriftTest, confidence_sequence
from outrider.runtime.loop.metrics import Metrics, quantile
from outrider.runtime.report import drive_statistics, read_drive, render_report
from outrider.runtime.report.page import share

from ..parsed_page import whole
from .logs import HOSTILE, RUN, SECOND, START, WALL, event, header, killed, page_of, summary, write

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


def test_the_numbers_are_those_of_the_drive(original):
    numbers = drive_statistics(read_drive([original]))
    assert numbers["counts"]["frames"] == 3600
    assert numbers["hours"] == pytest.approx(120 / 3600)
    assert numbers["frames_per_second"] == pytest.approx(30)
    assert numbers["availability"] == 3599 / 3600
    alarms = numbers["rates"]["alarms"]
    assert (alarms["count"], alarms["n"], alarms["share"]) == (300, 3599, 300 / 3599)
    assert alarms["interval"] == list(clopper_pearson(300, 3599))
    assert alarms["per_hour"] == pytest.approx(300 * 30)
    assert alarms["calibrated"] == pytest.approx(0.01)
    assert alarms["calibrated_per_hour"] == pytest.approx(0.01 * 3599 * 30)
    assert numbers["rates"]["deadline_misses"]["count"] == 1
    assert numbers["latency_us"]["deadline"] == 33_000
    assert numbers["latency_us"]["largest"] == 50_000
    assert 1000 < numbers["latency_us"]["p50"] < 1400
    assert numbers["seconds_by_status"] == pytest.approx(
        {"ok": 109.96, "warn": 0, "alarm": 10, "fault": 0.04, "stale": 0}
    )
    assert numbers["reasons"][0]["reason"].startswith("RuntimeError: <script>")
    assert numbers["columns"] == {"relu1": 299, HOSTILE: 1}
    assert numbers["log"] == {"events": 303, "dropped": 10, "problems": [], "clock_steps": []}
    (drift,) = numbers["drift"]
    assert drift["rejected"]
    assert drift["confidence_sequence"] == list(confidence_sequence(drift["alarmed"], drift["tested"], 0.01))
    json.dumps(numbers, allow_nan=False)


@pytest.mark.parametrize("summarised", [False, True])
def test_the_events_of_a_killed_run_show_what_its_counters_knew(tmp_path, summarised):
    """The numbers of a log without its last summary are held to those of the guard."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from outrider.runtime import EventLog, Guard
    from outrider.runtime.loop.temporal import KOfN

    from ..small_network import CLEAN, STRANGE, calibrated

    rng = np.random.default_rng(3)
    path = tmp_path / "events.jsonl"
    broken = np.full_like(CLEAN, np.nan), CLEAN[0], None
    with (
        EventLog(path, thumbnails=0) as log,
        Guard(calibrated(), temporal=KOfN((2, 3), (3, 5)), frozen=10, log=log) as guard,
    ):
        for index in range(300):
            if index == 150 and summarised:
                log.summary(guard.metrics)
            strange, bad = rng.random(2) < (0.3, 0.05)
            frozen = 200 <= index < 230
            guard(CLEAN if frozen else broken[index % 3] if bad else (STRANGE if strange else CLEAN) + 1e-7 * index)
        guard(STRANGE)  # so that the last frame is in the log
        counters = guard.metrics.counters
    whole = drive_statistics(read_drive([path]))
    assert whole["unfinished"] == []
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["type"] == "summary"
    path.write_bytes(b"".join(lines[:-1]))
    numbers = drive_statistics(read_drive([path]))
    for name in ("frames", "alarms", "faults", "stale", "episodes"):
        assert numbers["counts"][name] == whole["counts"][name] == getattr(counters, name) > 0, name
    (run,) = numbers["unfinished"]
    assert (run["after_frame"], run["frames"]) == ((150, 151) if summarised else (0, 301))
    assert numbers["rates"]["faults"]["n"] == run["after_frame"]
    assert numbers["rates"]["alarms"]["count"] == counters.alarms - run["alarms"]


def test_a_killed_run_counts_what_its_events_show(tmp_path):
    numbers = drive_statistics(read_drive([killed(tmp_path / "events.jsonl")]))
    assert numbers["unfinished"] == [
        {"run": RUN, "after_frame": 0, "frames": 36, "alarms": 7, "faults": 0, "stale": 0, "episodes": 1}
    ]
    assert (numbers["counts"]["frames"], numbers["counts"]["alarms"], numbers["rates"]["alarms"]["n"]) == (66, 7, 30)


def test_a_log_of_an_earlier_version_does_not_tell_of_the_end(tmp_path):
    path = write(tmp_path / "e.jsonl", [header(), Summary(WALL + SECOND, START + SECOND, Metrics().snapshot())])
    assert drive_statistics(read_drive([path]))["unfinished"] == []


def test_a_run_killed_while_calm_has_no_end(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from outrider.runtime import EventLog, Guard

    from ..small_network import CLEAN, calibrated

    monkeypatch.setattr("outrider.runtime.log.log._FIRST_SUMMARY_SECONDS", 60.0)
    path, there = tmp_path / "events.jsonl", tmp_path / "killed.jsonl"
    with EventLog(path, thumbnails=0) as log, Guard(calibrated(), log=log) as guard:
        for _ in range(3):
            guard(CLEAN)
        assert log.summary(guard.metrics)
        guard(CLEAN)
        assert log.flush()
        there.write_bytes(path.read_bytes())
    assert drive_statistics(read_drive([path]))["unfinished"] == []
    numbers = drive_statistics(read_drive([there]))
    assert numbers["unfinished"] == [
        {"run": log.run, "after_frame": 3, "frames": 0, "alarms": 0, "faults": 0, "stale": 0, "episodes": 0}
    ]
    text = re.sub(r"<[^>]+>", "", page_of(there))
    assert "At least 0 of at least 3 frames alarmed" in text
    assert "Its frames after 3 are not in the rates." in text
    assert "left no trace. No event tells of them." in text


def test_numbers_of_frames_that_are_none_of_the_guards_make_no_run_unfinished(tmp_path):
    metrics = Metrics()
    metrics.record(Status.OK, 0.5, 1.0, 100.0)
    path = write(tmp_path / "e.jsonl", [header(), event(1, Status.OK, frame=10**9, kind="mine"), summary(2, metrics)])
    numbers = drive_statistics(read_drive([path]))
    assert (numbers["unfinished"], numbers["counts"]["frames"]) == ([], 1)


def test_rates_of_different_calibrations_have_no_mean(tmp_path):
    metrics = Metrics()
    metrics.record(Status.OK, 0.5, 1.0, 100.0)
    path = tmp_path / "events.jsonl"
    for rates, calibrated, different in (((0.01, 0.05), None, True), ((0.05, 0.05), 0.05, False)):
        runs = [
            write(path, [header(letter * 32, false_alarm_rate=rate), summary(1, metrics)]).read_bytes()
            for letter, rate in zip("ab", rates, strict=True)
        ]
        path.write_bytes(b"".join(runs))
        numbers = drive_statistics(read_drive([path]))
        alarms = numbers["rates"]["alarms"]
        assert (alarms["calibrated"], alarms["different"]) == (calibrated, different)
        assert [(run["false_alarm_rate"], run["alarms"]["n"]) for run in numbers["runs"]] == [(r, 1) for r in rates]
        text = page_of(path)
        assert ("<td>different</td>" in text) == different
        assert "3\u202f%" not in text
        assert f"<td>{share(rates[0])}</td>" in text


@pytest.mark.parametrize(("rate", "level"), [(0.01, 0.005), (0.04, 0.005), (0.5, 0.01)])
def test_a_test_of_too_few_frames_tells_nothing(tmp_path, rate, level):
    """Held to the definition of `DriftTest`: E of a row of alarms, summed over the beginnings of each bet."""
    bets = np.array([bet * rate / (1 - rate + bet * rate) for bet in (1.5, 2, 3, 5, 10, 30)]) / rate
    left = np.log(2) / np.log(np.arange(1000) + 2)

    def evidence(n):
        weights = left[:n] - left[1 : n + 1]
        return float(np.mean([weights @ bet ** np.arange(n, 0, -1) for bet in bets])) + left[n]

    needed = next(n for n in range(1, 1000) if evidence(n) >= 1 / level)
    for tested, said in ((needed - 1, "too few frames tested to tell"), (needed, "no sign against it")):
        test = DriftTest(rate, level)
        test.tested = tested
        path = write(tmp_path / "e.jsonl", [header(), summary(1, Metrics(drift=test))])
        (state,) = drive_statistics(read_drive([path]))["drift"]
        assert state["could_reject"] == (tested == needed)
        assert said in page_of(path)
        assert "one in 30" in page_of(path)


def test_restarts_are_runs_of_one_drive(tmp_path):
    metrics = Metrics()
    for _ in range(30):
        metrics.record(Status.OK, 0.5, 1.0, 100.0)
    records = [header(), summary(10, metrics)]
    later = [header("b" * 32, start=WALL + 60 * SECOND, repaired_bytes=57), summary(20, metrics)]
    path = write(tmp_path / "events.jsonl", records)
    path.write_bytes(path.read_bytes() + write(tmp_path / "later.jsonl", later).read_bytes())
    found = read_drive([path])
    numbers = drive_statistics(found)
    assert [run["run"][0] for run in numbers["runs"]] == ["a", "b"]
    assert numbers["counts"]["frames"] == 60
    assert numbers["hours"] == pytest.approx(30 / 3600)
    assert found.problems == [
        "run bbbbbbbb: a line of 57 bytes, cut off by a crash of the run before, was removed when it began"
    ]
    assert render_report(found, numbers).count("<svg") == 3


def test_a_clock_that_steps_back_is_named_and_moves_nothing(tmp_path):
    records = [header(), event(10, Status.ALARM), event(20, Status.OK, Status.ALARM, wall=WALL - 3580 * SECOND)]
    path = write(tmp_path / "events.jsonl", records)
    numbers = drive_statistics(read_drive([path]))
    (step,) = numbers["log"]["clock_steps"]
    assert (step["at_seconds"], step["by_seconds"]) == (20, -3600)
    assert numbers["seconds_by_status"]["alarm"] == 10
    assert "the wall clock stepped back by 1\u202fh, 20\u202fs after the start" in page_of(path)


ODD = [
    {},
    {"counters": 5, "latency_us": "fast", "margin": None, "drift": []},
    {"counters": {"frames": "many", "alarms": -3, "faults": True}, "latency_us": [[1], ["x", 2], [1, -1], 7]},
    {"counters": {"frames": 3, "alarms": 5}, "latency_us": [["inf", 2]], "margin": [["inf", 2]]},
    {"counters": {"frames": 2**62}, "latency_sum_us": "nan", "deadline_us": -1.0, "latency_us": [[-5.0, 1]]},
    {"drift": {"tested": 3, "alarmed": 7, "level": 0.1}},
    {"drift": {"tested": 7, "alarmed": 3, "level": 0.1, "rejected": True}},
    {"drift": {"tested": 7, "alarmed": 3, "level": 5}},
    {"counters": {"frames": 3}, "elapsed_ns": "x"},
    {"counters": {"frames": 3}, "elapsed_ns": 10**400},
    {"counters": {"frames": 3}, "elapsed_ns": -5},
]


@pytest.mark.parametrize("values", ODD)
def test_a_summary_of_odd_things_gives_numbers_all_the_same(tmp_path, values):
    odd = Summary(WALL + SECOND, START + SECOND, values)
    json.dumps(drive_statistics(read_drive([write(tmp_path / "e.jsonl", [header(), odd])])), allow_nan=False)


def test_summaries_of_odd_things_make_a_page_all_the_same(tmp_path):
    records = []
    for index, values in enumerate(ODD[2:7]):
        records += [header(str(index) * 32), Summary(WALL + SECOND, START + SECOND, values)]
    whole(page_of(write(tmp_path / "events.jsonl", records)))


def test_quantiles_are_upper_ends():
    assert quantile([(1, 5), (2, 4), (4, 1)], 0.5) == 1
    assert quantile([(1, 5), (2, 4), (4, 1)], 0.51) == 2
    assert quantile([(1, 5), (2, 4), (4, 1)], 0.999) == 4
    assert quantile([], 0.5) is None


def test_kinds_of_alarms_are_summed_over_runs(tmp_path):
    metrics, hostile = Metrics(), {"kinds": {"sensor": "many", "unsure": 2, "<b>": 9, "unknown": -1}}
    for kind in ("sensor", "unknown", "sensor"):
        metrics.record(Status.ALARM, 2.0, 1.0, 10.0)
        metrics.record_kind(kind)
    alarm = event(1, Status.ALARM, kind="alarm", reason="high")._replace(alarm_kind="sensor")
    log = write(tmp_path / "a.jsonl", [header(), alarm, summary(2, metrics)])
    numbers = drive_statistics(read_drive([log]))
    assert numbers["kinds"] == {"sensor": 2, "adversarial": 0, "unfamiliar": 0, "unsure": 0, "unknown": 1}
    page = render_report(read_drive([log]), numbers)
    assert "What kind they were" in page
    assert "sensor: high" in page
    values = Metrics().snapshot() | hostile
    odd = write(tmp_path / "b.jsonl", [header(), Summary(WALL, START, values)])
    assert drive_statistics(read_drive([odd]))["kinds"]["unsure"] == 2
    plain = write(tmp_path / "c.jsonl", [header(), summary(2, Metrics())])
    assert drive_statistics(read_drive([plain]))["kinds"] == {}
    assert "What kind they were" not in render_report(read_drive([plain]), drive_statistics(read_drive([plain])))
