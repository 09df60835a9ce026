"""The log of a drive of two minutes."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from outrider.monitor import Status
from outrider.runtime.log.events import Dropped
from outrider.runtime.log.thumbnails import Thumbnails
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.loop.metrics import Metrics

from .logs import HOSTILE, RUN, SECOND, START, WALL, event, header, summary, write


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
