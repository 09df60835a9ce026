"""Video, several views and a detector on ONNX Runtime, watched from the profile to the guard, against numpy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from outrider.coverage import CoverageBitmap, Gaussian, SingleRange
from outrider.monitor import MismatchError, Monitor, Status
from outrider.networks import OnnxNetwork
from outrider.runtime import Guard

from ..rows_models import PICTURE, VIEWS, VOLUME, frames, regions, tensors, views, volumes

RANGE = SingleRange()


def opened(model, **options):
    network = {"taps": "auto", "classes": 3, "scores_output": "y"} | options
    return OnnxNetwork(model(), **network)


def learned(network, shape, criteria, trusted=None):
    monitor = Monitor(network, criteria)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames(shape, 120, 1) if trusted is None else trusted], minimum_per_class=1)
        monitor.calibrate([frames(shape, 60, 2)], 0.1)
    return monitor


def expected_of(rows, classes, trusted_rows, trusted_classes):
    """Of each row the values outside the ranges that the trusted rows of its class span."""
    found = np.full(len(rows), np.inf)
    for c in np.unique(trusted_classes):
        own, known = rows[classes == c], trusted_rows[trusted_classes == c]
        found[classes == c] = ((own < known.min(0)) | (own > known.max(0))).sum(1)
    return found


def windows_of_four(r):
    """The means of volumes (n, 8, 4, 6, 6) over windows of four along each axis, of which two hold two."""
    cuts = [(slice(y, y + 4), slice(x, x + 4)) for y in (0, 4) for x in (0, 4)]
    return np.stack([r[(slice(None), slice(None), slice(None), *cut)].mean((2, 3, 4)) for cut in cuts], axis=1).reshape(
        -1, 8
    )


CASES = {
    "volume:channel": (volumes, VOLUME, "r:channel", 1, lambda r: r.mean((2, 3, 4)), ()),
    "volume:grid2": (
        volumes, VOLUME, "r:grid2", 1, lambda r: r.reshape(-1, 8, 2, 2, 2, 3, 2, 3).mean((3, 5, 7)).reshape(-1, 64), (),
    ),
    "volume:pixel": (volumes, VOLUME, "r:pixel", 144, lambda r: np.moveaxis(r, 1, -1).reshape(-1, 8), (4, 6, 6)),
    "volume:pixel4": (volumes, VOLUME, "r:pixel4", 4, windows_of_four, (1, 2, 2)),
    "views:channel": (views, VIEWS, "r:channel", 4, lambda r: r.mean((2, 3)), (4,)),
    "views:pixel": (views, VIEWS, "r:pixel", 144, lambda r: np.moveaxis(r, 1, -1).reshape(-1, 8), (4, 6, 6)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_frame_deviates_as_its_worst_sample(case, tmp_path):
    model, shape, tap, samples, neurons, lie = CASES[case]
    network = opened(model, taps=tap)
    monitor = learned(network, shape, {tap: RANGE})
    batch, trusted = np.concatenate([frames(shape, 6, 3), frames(shape, 2, 4, scale=4)]), frames(shape, 120, 1)
    (r, y), (trusted_r, trusted_y) = (tensors(model(), part, "r", "y") for part in (batch, trusted))
    classes, trusted_classes = (np.repeat(scores.argmax(1), samples) for scores in (y, trusted_y))
    every = expected_of(neurons(r), classes, neurons(trusted_r), trusted_classes).reshape(8, samples)
    np.testing.assert_array_equal(monitor.deviations(batch)[:, 0], every.max(1))
    if lie:
        (maps,) = monitor.deviation_maps(batch).values()
        np.testing.assert_array_equal(maps, every.reshape(8, *lie))
    else:
        with pytest.raises(ValueError, match="expected a tap with neurons 'pixel', got none"):
            monitor.deviation_maps(batch)
    trusted_set = monitor.learned.trusted
    assert (trusted_set.frames, trusted_set.accepted) == (120, 120)
    assert monitor.learned.signatures[0].counts.sum() == 120 * samples

    _, verdicts = monitor.check(batch)
    assert verdicts.status.tolist()[-2:] == [Status.ALARM] * 2
    monitor.save(tmp_path / "m.outrider")
    judge = Monitor.load(tmp_path / "m.outrider", opened(model, taps=tap)).bind()
    for frame, verdict in zip(batch, verdicts, strict=True):
        _, own = judge(frame)
        assert (own.status, own.prediction) == (verdict.status, verdict.prediction)
        np.testing.assert_allclose(own.score, verdict.score, rtol=1e-4)
    worst = neurons(r)[-samples:][every[-1].argmax()]
    own = neurons(trusted_r)[trusted_classes == classes[-1]]
    outside = np.flatnonzero((worst < own.min(0)) | (worst > own.max(0)))
    assert judge.neurons(monitor.columns) == tuple(f"{tap}[{neuron}]" for neuron in outside[:4])


def detected(model, batch):
    """The rows of each frame, and the class of each."""
    alone = [tensors(model(), frame[None], "d", "y") for frame in batch]
    return [d for d, _ in alone], np.array([y[0].argmax() for _, y in alone])


def test_a_detector_is_judged_region_by_region(tmp_path):
    monitor = learned(opened(regions), PICTURE, {"d": [RANGE, CoverageBitmap()], "r": Gaussian()})
    batch = np.concatenate([frames(PICTURE, 6, 3), np.zeros((1, *PICTURE), np.float32), frames(PICTURE, 2, 4, scale=4)])
    (rows, classes), (trusted, trusted_classes) = detected(regions, batch), detected(regions, frames(PICTURE, 120, 1))
    counts = [len(own) for own in rows]
    every = expected_of(
        np.concatenate(rows), np.repeat(classes, counts), np.concatenate(trusted),
        np.repeat(trusted_classes, [len(own) for own in trusted]),
    )  # fmt: skip
    by_frame = np.split(every, np.cumsum(counts)[:-1])
    expected = np.array([max(own, default=np.inf) for own in by_frame])
    np.testing.assert_array_equal(monitor.deviations(batch)[:, 0], expected)
    assert monitor.learned.signatures[0].counts.sum() == sum(map(len, trusted))

    output, verdicts = monitor.check(batch)
    for found, bare in zip(output, tensors(regions(), batch, "y", "boxes"), strict=True):
        np.testing.assert_array_equal(found, bare)
    assert verdicts[6].status == Status.ALARM
    assert verdicts[6].reason == "no rows at d:unit: the frame was not judged there"
    maps = monitor.deviation_maps(batch)
    assert list(maps) == list(monitor.columns[:2])
    assert maps[monitor.columns[0]].shape == (9, max(counts))
    np.testing.assert_array_equal(np.isnan(maps[monitor.columns[0]]).sum(1), max(counts) - np.array(counts))

    monitor.save(tmp_path / "m.outrider")
    judge = Monitor.load(tmp_path / "m.outrider", opened(regions)).bind()
    for i, frame in enumerate(batch):
        bare, own = judge(frame)
        assert (own.status, own.reason, own.prediction) == (verdicts[i].status, verdicts[i].reason, classes[i])
        np.testing.assert_allclose(own.score, verdicts[i].score, rtol=1e-5)
        scores, boxes = tensors(regions(), frame[None], "y", "boxes")
        np.testing.assert_array_equal(bare[0], scores[0])
        np.testing.assert_array_equal(bare[1], boxes)  # one box keeps both its axes
        names = judge.neurons(monitor.columns[:1])
        assert len(names) > 0 if expected[i] not in (0, np.inf) else len(names) == 0


def test_frames_without_rows_are_counted_apart_in_the_calibration():
    monitor = Monitor(opened(regions), {"d": RANGE})
    trusted, held_out = frames(PICTURE, 300, 1), frames(PICTURE, 60, 2)
    trusted[::20], held_out[::10] = 0, -np.arange(1, 7)[:, None, None, None]
    empty = sum(not len(own) for own in detected(regions, held_out)[0])
    monitor.profile([trusted])
    with pytest.warns(UserWarning, match=f"{empty} of 60 held-out frames were left out: without rows at a tap"):
        calibration = monitor.calibrate([held_out], 0.2)
    assert calibration.excluded == {
        "predicted as a class without enough trusted frames": 0, "NaN or Inf": 0, "without rows at a tap": empty
    }  # fmt: skip
    assert calibration.realised >= empty / 60
    assert monitor.learned.trusted.accepted == 300


def test_a_row_with_nan_loses_its_frame_alone():
    network = opened(regions)
    plain, broken = network.observe, []

    def observe(batch):
        seen = plain(batch)
        for frame in broken:
            seen.activations[1][seen.rows[1][:frame].sum()] = np.nan  # the first row of that frame
        return seen

    network.observe = observe
    monitor = learned(network, PICTURE, {"d": RANGE})
    batch = frames(PICTURE, 3, 3, scale=1.3)
    assert all(map(len, detected(regions, batch)[0]))
    before = monitor.deviations(batch)
    broken.append(1)
    after = monitor.deviations(batch)
    assert np.isposinf(after[1, 0])
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])
    assert monitor.check(batch)[1][1].reason == "NaN or Inf in the network, at d:unit"
    with pytest.warns(UserWarning, match="1 of 3 frames hold or cause NaN or Inf"):
        Monitor(network, {"d": RANGE}).profile([batch], minimum_per_class=0)


@pytest.mark.parametrize(("model", "shape"), [(volumes, VOLUME), (views, VIEWS), (regions, PICTURE)])
def test_a_guard_watches_them_with_the_default_criteria(model, shape):
    monitor = learned(opened(model), shape, None)
    guard = Guard(monitor).warm_up()
    for frame in frames(shape, 3, 7):
        verdict = guard(frame)[1]
        expected = monitor.check(frame[None])[1][0]
        assert (verdict.score, verdict.status) == (expected.score, expected.status)
    assert guard(np.full(shape, 2, np.float32))[1].reason.startswith("the frame is of one colour throughout")
    assert guard(frames(shape, 1, 8)[0] * np.nan)[1].status == Status.FAULT
    guard.close()


def test_other_rows_are_another_network(tmp_path):
    monitor = learned(opened(views), VIEWS, {"d": RANGE})
    monitor.save(tmp_path / "m.outrider")
    facts = monitor.learned.facts
    assert [tap.get("rows") for tap in facts.to_dict()["taps"]] == [4]
    assert type(facts).from_dict(facts.to_dict()) == facts
    network = opened(views)
    taps = [tap if tap.name != "d" else type(tap)(**{**tap.__dict__, "rows": None}) for tap in network.taps]
    network.taps = type(network.taps)(taps)
    with pytest.raises(MismatchError, match="tap d:unit: expected rows 4, got None"):
        Monitor.load(tmp_path / "m.outrider", network)
