from __future__ import annotations

import numpy as np
import pytest

for name in ("torch", "onnx", "onnxruntime"):
    pytest.importorskip(name)

from benchmarks.places import drive, drive_tables  # noqa: E402
from benchmarks.places.car import SteerNet, exported  # noqa: E402
from benchmarks.tables import markdown  # noqa: E402
from outrider.monitor import Status  # noqa: E402

from .test_car import car, made, torch  # noqa: E402


def test_a_ball_covers_a_disc_of_the_size_asked_for_and_nothing_else():
    picture = np.full((100, 160, 3), 77, np.uint8)
    changed = (drive.ball(picture, 0.3, (0.5, 0.5)) != picture).any(axis=-1)
    assert changed.sum() == pytest.approx(np.pi * 15**2, rel=0.05)
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    assert (rows.mean(), columns.mean()) == pytest.approx((50, 80), abs=0.6)
    assert (picture == 77).all()


def test_each_fault_changes_the_picture_and_keeps_its_form():
    picture = made(1, 60, 80).pictures[0] // 2 + 40
    changes = drive.faults({})
    assert {*drive.SENSOR, "blur", "ball"} == set(changes)
    for name, change in changes.items():
        found = change(picture, 3)
        assert (found.shape, found.dtype) == (picture.shape, np.uint8), name
        assert (found != picture).mean() > 0.02, name


def test_the_delay_counts_from_the_first_frame_of_the_fault():
    status = np.array([Status.OK, Status.ALARM, Status.OK, Status.WARN, Status.STALE, Status.OK])
    assert [drive.delay(status, start) for start in (1, 3, 4)] == [0, 1, 0]
    assert drive.delay(status[:4], 3) is None
    with pytest.raises(ValueError, match="begins without an alarm"):
        drive.delay(status, 2)


def test_the_correlation_time_is_that_of_a_known_process():
    """An autoregression with coefficient r has (1 + r) / (1 - r)."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=40_000)
    for r in (0.0, 0.5, 0.9):
        values = np.zeros(len(noise))
        for i in range(1, len(noise)):
            values[i] = r * values[i - 1] + noise[i]
        assert drive.correlation_time(values) == pytest.approx((1 + r) / (1 - r), rel=0.2)
    assert drive.correlation_time(np.ones(50)) == 50


def test_a_drive_is_learned_from_calibrated_and_watched(monkeypatch):
    """A network that learned nothing, on frames that are alike but for their light."""
    rng = np.random.default_rng(2)
    scene, light = rng.integers(60, 120, (32, 32, 3)), rng.uniform(0.9, 1.1, (800, 1, 1, 1))
    pictures = np.clip(scene * light + rng.normal(0, 4, (800, 32, 32, 3)), 0, 255).astype(np.uint8)
    torch.manual_seed(0)
    model = exported(SteerNet(16, 16).eval(), 16, 16)
    monkeypatch.setattr(drive, "SENSOR", ("over-exposed",))
    monkeypatch.setattr(drive, "EVERY", 50)
    monkeypatch.setattr(drive, "AFTER", 10)
    figures = drive.measured(model, car.CarDrive(pictures, np.zeros(800, np.float32)), {}, lambda _: None)
    assert figures["frames"] == [480, 160, 160]
    for monitor, ways in figures["monitors"].items():
        assert "expected frames of at least 38 held-out drives" in ways["segments on average"]["refused"]
        assert "one whole new drive drawn like the 4 held-out ones" in ways["whole segments"]["promise"]
        assert ways["frames"]["alarmed"] < 40
        found = ways["whole segments"]["faults"]
        assert ("one region in 3 of 5" in found) == (monitor == "places")
        for logic, fault, delay in (("3 of 5", "frozen", 4), ("each frame", "over-exposed", 0)):
            assert set(found[logic][fault]["delays"]) == {delay}
            assert len(found[logic][fault]["delays"]) + found[logic][fault]["held"] == 3
        of_three = found["3 of 5"]["over-exposed"]["delays"]
        assert 2 in of_three
        assert max(of_three) == 2, "less where clean frames before it counted"
    settings = {"fps": 20, "rate": 0.05, "after": 10, "confidence": 0.8}
    text = markdown(drive_tables.drive({"settings": settings, "splits": [figures, figures]}))
    assert "16 s of clean watch in all" in text
    assert "| over-exposed | 100 %, 0 ms | 100 %, " in text
    assert "refused: expected frames of at least 38 held-out drives" in text
