"""The report of a drive: numbers, page, and what it makes of broken and hostile logs."""

from __future__ import annotations

import json
import re
import shutil
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from outrider.monitor import Status, clopper_pearson
from outrider.runtime.log.events import Dropped, Event, Header, Summary, encode, number
from outrider.runtime.log.thumbnails import Thumbnails
from outrider.runtime.loop.drift import DriftTest, confidence_sequence
from outrider.runtime.loop.metrics import Histogram, Metrics, quantile
from outrider.runtime.report import drive as drive_module
from outrider.runtime.report import drive_statistics, read_drive, render_report
from outrider.runtime.report.figures import _below, margin
from outrider.runtime.report.page import clock, duration, figure, share

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

SECOND, START, WALL = 10**9, 50 * 10**9, 1_769_860_800 * 10**9
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>&amp;$\\frac{1}{2}${{ 7 * 7 }}"
RUN = "a" * 32
VOID = {"br", "img", "link", "meta", "path", "use", "rect"}


def header(run=RUN, part=0, start=WALL, **changes):
    fields = {"network": "n" * 64, "profile": "p" * 64, "false_alarm_rate": 0.01, "repaired_bytes": 0} | changes
    return Header("0.1.0", run, part, fields["network"], fields["profile"], fields["false_alarm_rate"], start, START,
                  fields["repaired_bytes"], fields.get("aside", f"events.{part + 1}.jsonl"))  # fmt: skip


def event(second, status, before=Status.OK, frame=None, score=0.5, reason="", kind="status", wall=None, layers=()):
    now = round(second * SECOND)
    frame = round(second * 30) if frame is None else frame
    wall = WALL + now if wall is None else wall
    return Event(kind, frame, wall, START + now, status, before, score, 1.0, 0.5, 3, layers, reason, 900.0)


def summary(second, metrics, ended=True):
    now = round(second * SECOND)
    return Summary(WALL + now, START + now, metrics.snapshot() | {"ended": ended})


def write(path, records, first=0):
    path.write_bytes(b"".join(number(encode(record), first + place) for place, record in enumerate(records)))
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two minutes: an alarm from 30 to 40 s, a fault at 60 s that speaks HTML, ten events dropped."""
    metrics = Metrics(false_alarm_rate=0.01, deadline_us=33_000.0, drift=DriftTest(0.01, stride=1))
    records = [header()]
    rng = np.random.default_rng(0)
    for frame in range(3600):
        alarmed, faulty = 900 <= frame < 1200, frame == 1800
        status = Status.ALARM if alarmed else Status.FAULT if faulty else Status.OK
        score = 2.5 if alarmed else float(rng.random() * 0.9)
        metrics.record(status, score, 1.0, float(rng.lognormal(7, 0.3)) if frame != 77 else 50_000.0)
        metrics.drift.update(alarmed)
        if frame % 600 == 599:
            records.append(summary((frame + 1) / 30, metrics))
        if frame == 900:
            records.append(event(30, Status.ALARM, frame=900, score=2.5, layers=(HOSTILE,), reason=HOSTILE))
        elif alarmed:
            records.append(event(frame / 30, Status.ALARM, Status.ALARM, score=2.5, kind="alarm", layers=("relu1",)))
        if frame == 1200:
            records.append(event(40, Status.OK, Status.ALARM))
            records.append(Dropped(WALL + 41 * SECOND, START + 41 * SECOND, 10, 10))
        if faulty:
            records.append(event(60, Status.FAULT, frame=1800, score=float("inf"), reason=f"RuntimeError: {HOSTILE}"))
            records.append(event(60.04, Status.OK, Status.FAULT))
    path = write(tmp_path_factory.mktemp("drive") / "events.jsonl", records)
    Thumbnails(path.with_name("events.frames"), 10).save(RUN, 900, rng.random((20, 30, 3)))
    return path


@pytest.fixture
def drive(original, tmp_path):
    """A copy to change."""
    shutil.copytree(original.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / original.name


@pytest.fixture(scope="module")
def text(original):
    return page_of(original)


class Page(HTMLParser):
    """What a browser would see: nesting, tags with attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text, self.wrong = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def page_of(*paths):
    found = read_drive(paths)
    return render_report(found, drive_statistics(found))


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


def test_the_page_is_whole_and_needs_nothing_else(text):
    page = Page(text)
    assert page.open == []
    assert page.wrong == []
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href"):
            address = attributes.get(name, "#")
            assert address.startswith(("#", "data:image/png;base64,", "data:image/jpeg;base64,")), (tag, address)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"|http-equiv', "", text)
    assert "300 of 3,600 frames alarmed in 2\u202fmin" in text
    assert "Calibration no longer holds." in text
    assert "The record has holes." in text
    assert [tag for tag, _ in page.tags].count("svg") == 2
    assert [tag for tag, _ in page.tags].count("img") == 1
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert not re.search(r"#0[1-9a]0[1-9a]0[1-9a]\b", text)
    assert "var(--alarm)" in text


def test_nothing_of_the_log_becomes_markup(text):
    page = Page(text)
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags
    assert not any("onerror" in attributes for _, attributes in page.tags)
    said = "".join(page.text)
    assert HOSTILE in said
    assert "{{ 7 * 7 }}" in said


def test_what_cannot_be_seen_or_written_is_shown_as_a_code(outrider, tmp_path):
    """Names of files hold any bytes: no UTF-8, escapes of a terminal, signs that turn the direction of writing."""
    odd = "/data/\udcff\x1b]0;pwned\x07\u202e.png"
    head = Header("0.1.0", odd, 0, odd, odd, None, WALL, START)
    write(tmp_path / "e.jsonl", [head, event(1, Status.FAULT, reason=odd, kind=odd, layers=(odd,))])
    assert outrider("report", "e.jsonl", "-o", "a\x1bb.html").out.endswith("the page is a\\x1bb.html\n")
    text = (tmp_path / "a\x1bb.html").read_text("utf-8")
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert r"/data/\udcff\x1b]0;pwned\x07\u202e.png" in text
    assert "1\u202fs" in text
    assert outrider("report", "e.jsonl", "--json").out.isascii()


def test_a_hostile_header_stays_text(tmp_path):
    head = Header(HOSTILE, HOSTILE, 0, HOSTILE, HOSTILE, None, WALL, START)
    page = Page(page_of(write(tmp_path / "events.jsonl", [head, event(1, Status.ALARM, kind=HOSTILE)])))
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert page.wrong == []


def test_rotated_files_come_with_their_log_and_files_may_be_given_twice(tmp_path):
    rounds = [[header(part=part), event(part, Status.ALARM, frame=part)] for part in range(3)]
    for part, name in enumerate(("events.1.jsonl", "events.2.jsonl", "events.jsonl")):
        write(tmp_path / name, rounds[part], first=2 * part)
    found = read_drive([tmp_path / "events.jsonl"])
    assert [path.name for path in found.files] == ["events.1.jsonl", "events.2.jsonl", "events.jsonl"]
    assert [one.frame for one in found.runs[0].events] == [0, 1, 2]
    assert found.problems == []
    shutil.copy(tmp_path / "events.1.jsonl", tmp_path / "copy.jsonl")
    again = read_drive(reversed([*found.files, tmp_path / "copy.jsonl"]))
    assert [one.frame for one in again.runs[0].events] == [0, 1, 2]
    (tmp_path / "events.2.jsonl").unlink()
    assert read_drive([tmp_path / "events.jsonl"]).problems == ["run aaaaaaaa: lines 2 to 3 missing"]
    (tmp_path / "events.1.jsonl").unlink()
    assert read_drive([tmp_path / "events.jsonl"]).problems == ["run aaaaaaaa: lines 0 to 3 rotated away or not given"]


def test_files_of_other_logs_are_none_of_the_drive(tmp_path):
    write(
        tmp_path / "events.20260101.jsonl", [header("b" * 32, aside="events.20260101.1.jsonl"), event(1, Status.ALARM)]
    )
    write(tmp_path / "events.3.jsonl", [header("c" * 32, part=1), event(1, Status.ALARM)])
    (tmp_path / "events.4.jsonl").write_text("notes\n")
    path = write(tmp_path / "events.jsonl", [header(), event(2, Status.ALARM)])
    found = read_drive([path])
    assert (found.files, [run.header.run for run in found.runs]) == ([path], [RUN])


def rotate(folder, parts):
    """The log as it stands after so many parts, each of two lines; the newest three are kept."""
    for file in folder.glob("events*.jsonl"):
        file.unlink()
    for part in range(max(0, parts - 3), parts):
        name = "events.jsonl" if part == parts - 1 else f"events.{part + 1}.jsonl"
        write(folder / name, [header(part=part), event(part, Status.ALARM, frame=part)], first=2 * part)


@pytest.mark.parametrize("moment", range(4))
def test_a_log_may_be_rotated_while_it_is_read(tmp_path, monkeypatch, moment):
    """After so many files that were read, the log goes on by two parts, and the older ones go away."""
    rotate(tmp_path, 3)
    reads = []

    def read_records(file, **options):
        if len(reads) == moment:
            rotate(tmp_path, 5)
        reads.append(file)
        return read_really(file, **options)

    read_really = drive_module.read_records
    monkeypatch.setattr(drive_module, "read_records", read_records)
    found = read_drive([tmp_path / "events.jsonl"])
    seen = [one.frame for one in found.runs[0].events]
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert [problem for problem in found.problems if "missing" in problem] == []
    assert 2 in seen


def test_between_two_files_of_a_log_its_older_ones_are_read(tmp_path):
    rotate(tmp_path, 3)
    (tmp_path / "events.jsonl").unlink()
    found = read_drive([tmp_path / "events.jsonl"])
    assert [one.frame for one in found.runs[0].events] == [0, 1]
    with pytest.raises(FileNotFoundError, match=r"nothing.jsonl"):
        read_drive([tmp_path / "nothing.jsonl"])
    with pytest.raises(FileNotFoundError, match=r"nowhere/events.jsonl"):
        read_drive([tmp_path / "nowhere" / "events.jsonl"])


def test_the_last_header_of_a_run_holds(tmp_path):
    first = header(network="", profile="", false_alarm_rate=None, repaired_bytes=9)
    path = write(tmp_path / "events.jsonl", [first, header(repaired_bytes=9), event(1, Status.ALARM), header(part=1)])
    found = read_drive([path])
    assert (found.runs[0].header.network, found.runs[0].header.part) == ("n" * 64, 1)
    assert [problem.split(",")[0] for problem in found.problems] == ["run aaaaaaaa: a line of 9 bytes"]


def counted(second, frames):
    now = round(second * SECOND)
    return Summary(WALL + now, START + now, {"counters": {"frames": frames}})


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
        for place in range(300):
            if place == 150 and summarised:
                log.summary(guard.metrics)
            strange, bad = rng.random(2) < (0.3, 0.05)
            frozen = 200 <= place < 230
            guard(CLEAN if frozen else broken[place % 3] if bad else (STRANGE if strange else CLEAN) + 1e-7 * place)
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


def killed(path):
    """Seven frames in alarm and no summary, then a run of 30 calm frames that ended well."""
    metrics = Metrics(false_alarm_rate=0.01)
    for _ in range(30):
        metrics.record(Status.OK, 0.5, 1.0, 100.0)
    alarms = [event(1, Status.ALARM, frame=30, score=2.0)]
    alarms += [event(1 + k / 30, Status.ALARM, Status.ALARM, 30 + k, 2.0, kind="alarm") for k in range(1, 7)]
    write(path, [header("b" * 32, start=WALL + 60 * SECOND), summary(1, metrics)])
    later = path.read_bytes()
    path.write_bytes(write(path, [header(), *alarms]).read_bytes() + later)
    return path


def test_a_run_without_an_end_is_named(outrider, tmp_path):
    path = killed(tmp_path / "events.jsonl")
    numbers = drive_statistics(read_drive([path]))
    assert numbers["unfinished"] == [
        {"run": RUN, "after_frame": 0, "frames": 36, "alarms": 7, "faults": 0, "stale": 0, "episodes": 1}
    ]
    assert (numbers["counts"]["frames"], numbers["counts"]["alarms"], numbers["rates"]["alarms"]["n"]) == (66, 7, 30)
    text = re.sub(r"<[^>]+>", "", page_of(path))
    assert "At least 7 of at least 66 frames alarmed" in text
    assert "The log does not show the end of run aaaaaaaa." in text
    assert "calm ones left no trace. Events show at least 36 frames, 7 alarms and 1 episode" in text
    assert "≥\u202f1episode (alarm, fault or stale)" in text
    assert outrider("report", path).out == (
        "7 events, at least 7 alarms in at least 66 frames, at least 1 episode (alarm, fault or stale); run aaaaaaaa"
        " has no end in the log, its frames are not in the rates; the page is report.html\n"
    )


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
    assert "Its frames after 3 are not in the rates, and calm ones left no trace. No event tells of them." in text


def test_numbers_of_frames_that_are_none_of_the_guards_make_no_run_unfinished(tmp_path):
    metrics = Metrics()
    metrics.record(Status.OK, 0.5, 1.0, 100.0)
    path = write(tmp_path / "e.jsonl", [header(), event(1, Status.OK, frame=10**9, kind="mine"), summary(2, metrics)])
    numbers = drive_statistics(read_drive([path]))
    assert (numbers["unfinished"], numbers["counts"]["frames"]) == ([], 1)


def test_one_of_each_is_no_plural(outrider, tmp_path):
    metrics = Metrics()
    metrics.record(Status.ALARM, 2.0, 1.0, 100.0)
    metrics.counters.episodes = 1
    path = write(tmp_path / "e.jsonl", [header(), event(1, Status.ALARM, frame=1, score=2.0), summary(1, metrics)])
    assert outrider("report", path).out.startswith("1 event, 1 alarm in 1 frame, 1 episode (alarm")
    assert "1 of 1 frame alarmed" in (tmp_path / "report.html").read_text("utf-8")


def test_many_unfinished_runs_are_counted_and_the_last_named(outrider, tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(
        b"".join(write(path, [header(letter * 32, start=WALL + k)]).read_bytes() for k, letter in enumerate("abcdef"))
    )
    said = outrider("report", path).out
    assert "; run ffffffff has no end in the log, its frames are not in the rates; 3 earlier runs too; the" in said


def test_where_frame_numbers_repeat_the_run_is_named(original, tmp_path):
    path = killed(tmp_path / "events.jsonl")
    folder = Thumbnails(path.with_name("events.frames"), 10)
    for run in (RUN, "b" * 32):
        folder.save(run, 30, np.zeros((4, 4, 3)))
    text = page_of(path)
    cards = re.findall(r"<b>30</b><br><small>run (\w+)</small>", text)
    assert sorted(cards) == [RUN[:8], "b" * 8]
    assert "<td>36<br><small>run aaaaaaaa</small></td>" in text
    assert "<small>run aaaaaaaa</small>" not in page_of(original)


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


def test_neighbouring_times_are_told_apart(tmp_path):
    changes = [event(1.034, Status.ALARM, frame=31), event(1.04, Status.OK, Status.ALARM, frame=32)]
    path = write(tmp_path / "e.jsonl", [header(), *changes, counted(3, 40)])
    assert "<td>1.034\u202fs</td><td>1.040\u202fs</td><td>0.006\u202fs</td>" in page_of(path)
    shorter = event(1.0345, Status.OK, Status.ALARM, frame=32)
    write(path, [header(), changes[0], shorter, counted(3, 40)])
    assert "<td>1.034000\u202fs</td><td>1.034500\u202fs</td><td>0.000500\u202fs</td>" in page_of(path)
    assert [clock(seconds, 3) for seconds in (0, 59.9999, 725.034, 12005.0341)] == [
        "0.000\u202fs", "1\u202fmin 0.000\u202fs", "12\u202fmin 5.034\u202fs", "3\u202fh 20\u202fmin 5.034\u202fs",
    ]  # fmt: skip


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


SILENCE = {"kind": "silence", "frame": 50}
SHARES = [
    # The end of a silence is written down.
    (
        [event(5, Status.STALE, **SILENCE), event(9, Status.OK, Status.STALE, frame=51), counted(10, 60)],
        {"ok": 6, "stale": 4},
    ),
    # It is not: the summaries show how long no frame came, the next one that frames came again.
    ([event(5, Status.STALE, **SILENCE), counted(6, 50), counted(7, 50), counted(10, 99)], {"ok": 8, "stale": 2}),
    ([event(5, Status.STALE, **SILENCE), counted(10, 99)], {"ok": 10}),
    ([event(5, Status.STALE, **SILENCE), counted(7, 50), counted(10, 50)], {"ok": 5, "stale": 5}),
    ([event(5, Status.STALE, **SILENCE)], {"ok": 5}),
    # Nor this one, but the next event tells of the status before it.
    (
        [event(5, Status.STALE, **SILENCE), counted(6, 50), event(9, Status.ALARM, frame=60), counted(10, 90)],
        {"ok": 8, "stale": 1, "alarm": 1},
    ),
    # A silence after which the loop is not clear at once.
    (
        [
            event(2, Status.ALARM, frame=20), event(5, Status.STALE, Status.ALARM, **SILENCE),
            event(6, Status.ALARM, Status.STALE, frame=51), event(8, Status.OK, Status.ALARM, frame=70),
            counted(10, 90),
        ],
        {"ok": 4, "alarm": 5, "stale": 1},
    ),
    # Several events of one frame.
    (
        [event(5, Status.ALARM, frame=50, kind="drift"), event(5, Status.ALARM, frame=50), counted(10, 90)],
        {"ok": 5, "alarm": 5},
    ),
    # The end of an alarm was dropped.
    (
        [
            event(2, Status.ALARM, frame=20), event(3, Status.ALARM, Status.ALARM, frame=30, kind="alarm"),
            event(8, Status.FAULT, frame=80), counted(10, 90),
        ],
        {"ok": 7, "alarm": 1, "fault": 2},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("records", "shares"), SHARES)
def test_a_status_lasts_as_long_as_the_log_shows_it(tmp_path, records, shares):
    numbers = drive_statistics(read_drive([write(tmp_path / "events.jsonl", [header(), *records])]))
    assert {name: seconds for name, seconds in numbers["seconds_by_status"].items() if seconds} == pytest.approx(shares)


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


def test_a_cut_last_line_is_named_and_a_broken_one_refused_unless_salvaged(drive):
    whole = drive.read_bytes()
    drive.write_bytes(whole[:-20])
    (problem,) = read_drive([drive]).problems
    assert re.search(r"events.jsonl:\d+: the last line is cut off after \d+ bytes and left out", problem)
    lines = whole.splitlines(keepends=True)
    drive.write_bytes(b"".join([*lines[:3], b"rubbish\n", *lines[4:]]))
    with pytest.raises(
        ValueError, match=r"events.jsonl:4: expected a line of an event log, got one that cannot be read "
    ):
        read_drive([drive])
    problems = read_drive([drive], salvage=True).problems
    assert [problem.split(": ")[1][:8] for problem in problems] == ["expected", "line 3 m"]


def test_a_log_without_a_header_is_refused(tmp_path):
    path = write(tmp_path / "events.jsonl", [event(1, Status.ALARM), header()])
    with pytest.raises(ValueError, match=r"events.jsonl:1: expected the header of an event log, got another line"):
        read_drive([path])
    assert [problem.split(";")[-1] for problem in read_drive([path], salvage=True).problems] == [
        " the lines before the first header are left out",
        "run aaaaaaaa: line 0 rotated away or not given",
    ]
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"events.jsonl: expected an event log, got no line of one"):
        read_drive([path])


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
    for place, values in enumerate(ODD[2:7]):
        records += [header(str(place) * 32), Summary(WALL + SECOND, START + SECOND, values)]
    page = Page(page_of(write(tmp_path / "events.jsonl", records)))
    assert (page.wrong, page.open) == ([], [])


def test_times_far_apart_make_a_page(tmp_path):
    far = Event(
        "x", -1, 2**62, -(2**62), Status.STALE, Status.FAULT, float("nan"), float("-inf"), 0.0, -1, (), "", -1.0
    )
    path = write(
        tmp_path / "events.jsonl", [header(), far, event(10**8, Status.OK, Status.STALE), event(1, Status.WARN)]
    )
    assert Page(page_of(path)).wrong == []


def test_an_empty_drive_makes_a_page(tmp_path):
    text = page_of(write(tmp_path / "events.jsonl", [header()]))
    assert "0 events in 0\u202fs; the frames were not counted." in text
    assert "no rate can be stated" in text


def test_a_picture_that_is_none_is_left_out(drive):
    folder = drive.with_name("events.frames")
    (folder / f"{RUN}-0000000001.png").write_bytes(b"<svg onload=alert(1)>")
    (folder / f"{RUN}-0000000002.npy").write_bytes(b"\x93NUMPY rubbish")
    (folder / f"{'c' * 32}-0000000003.png").write_bytes(b"\x89PNG of another log")
    np.save(folder / f"{RUN}-0000000004.npy", np.zeros((4, 5, 3), np.uint8))
    found = read_drive([drive])
    assert {frame for _, frame in found.pictures} == {900, 1, 2, 4}
    assert [tag for tag, _ in Page(render_report(found, drive_statistics(found))).tags].count("img") == 2


def test_the_command_writes_the_page_and_prints_the_numbers(outrider, drive):
    result = outrider("report", drive, "-o", "drive.html")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "303 events, 300 alarms in 3,600 frames, 0 episodes (alarm, fault or stale); the page is drive.html\n"
    )
    assert (drive.parent / "drive.html").read_text("utf-8").startswith("<!doctype html>")
    result = outrider("report", drive, "--json")
    assert json.loads(result.out) == drive_statistics(read_drive([drive]))
    assert not (drive.parent / "report.html").exists()


def test_the_command_names_a_file_that_is_missing_or_of_another_kind(outrider, tmp_path):
    result = outrider("report", "nothing.jsonl")
    assert (result.code, result.err) == (2, "outrider: error: nothing.jsonl: no such file or directory\n")
    (tmp_path / "notes.txt").write_text("hello\n")
    result = outrider("report", "notes.txt")
    assert result.code == 2
    assert result.err.startswith("outrider: error: notes.txt:1: expected a line of an event log, got one that")


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_extra(drive, monkeypatch, package):
    found = read_drive([drive])
    numbers = drive_statistics(found)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"a report needs matplotlib and jinja2: pip install 'outrider\[report\]'"):
        render_report(found, numbers)


def test_margins_are_those_that_metrics_count():
    for score, threshold in ((0.0, 0.0), (1.0, 0.0), (0.0, 2.0), (3.0, 2.0), (float("inf"), 1.0), (float("nan"), 1.0)):
        metrics = Metrics()
        metrics.record(Status.OK, score, threshold, 1.0)
        ((upper, _),) = metrics.margins.buckets()
        ratio = margin(event(1, Status.OK, score=score)._replace(threshold=threshold))
        assert min(ratio, 4) < upper
        assert ratio >= (4 if upper == float("inf") else upper - 1 / 16)


def test_bars_begin_where_those_below_end():
    upper = Histogram().upper
    assert [_below(edge) for edge in upper] == [0.5, *upper[:-1]]
    assert [_below(odd) for odd in (-5.0, 0.0, 3.5, 1e12)] == [0.5, 0.5, 3, 1 << 27]


def test_quantiles_are_upper_ends():
    assert quantile([(1, 5), (2, 4), (4, 1)], 0.5) == 1
    assert quantile([(1, 5), (2, 4), (4, 1)], 0.51) == 2
    assert quantile([(1, 5), (2, 4), (4, 1)], 0.999) == 4
    assert quantile([], 0.5) is None


def test_numbers_for_readers():
    assert [share(value) for value in (None, 0.0, 0.00013, 0.0123, 0.5, 0.99999, 1.0)] == [
        "–", "0\u202f%", "0.013\u202f%", "1.2\u202f%", "50\u202f%", "99.999\u202f%", "100\u202f%",
    ]  # fmt: skip
    assert [figure(value) for value in (None, 0.01234, 4.567, 12345.6, float("inf"))] == [
        "–", "0.0123", "4.57", "12,346", "∞",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (0, 0.85, 42, 725, 12000, 3600)] == [
        "0\u202fs", "850\u202fms", "42\u202fs", "12\u202fmin 5\u202fs", "3\u202fh 20\u202fmin", "1\u202fh",
    ]  # fmt: skip
