"""Event logs to read back: lines by the second, and files of them."""

from __future__ import annotations

from outrider.monitor import Status
from outrider.runtime.log.events import Event, Header, Summary, encode, number
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.report import drive_statistics, read_drive, render_report

SECOND, START, WALL = 10**9, 50 * 10**9, 1_769_860_800 * 10**9
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>&amp;$\\frac{1}{2}${{ 7 * 7 }}"
RUN = "a" * 32


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


def counted(second, frames):
    now = round(second * SECOND)
    return Summary(WALL + now, START + now, {"counters": {"frames": frames}})


def write(path, records, first=0):
    path.write_bytes(b"".join(number(encode(record), first + index) for index, record in enumerate(records)))
    return path


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


def page_of(*paths):
    found = read_drive(paths)
    return render_report(found, drive_statistics(found))
