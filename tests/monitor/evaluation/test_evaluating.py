"""Evaluating a monitor: figures against scikit-learn's, verdicts against `check`, thresholds of classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from outrider.monitor import OutriderWarning, clopper_pearson
from outrider.monitor.evaluation import aurc, evaluate, evaluate_sets, judge_set

from ..conftest import CLASSES, batches, frames
from .test_judged import made


@pytest.fixture
def labels(network):
    """Right for nine frames in ten."""

    def of(data):
        right = network.run(data).argmax(1)
        return np.where(np.arange(len(data)) % 10 == 0, (right + 1) % CLASSES, right)

    return of


def test_the_figures_are_those_of_the_verdicts(monitor, labels):
    clean, near, far = frames(400, seed=5), frames(150, seed=6, far=0.4), frames(50, seed=7, far=2.0)
    found = evaluate(
        monitor, (clean, labels(clean)), {"near": batches(near), "far": (far, labels(far))}, labelled=["far"],
        resamples=20, rate_fps=10,
    )  # fmt: skip
    verdicts = {"clean": monitor.check(clean)[1], "near": monitor.check(near)[1], "far": monitor.check(far)[1]}
    for name in ("near", "far"):
        truth = np.repeat([0, 1], [400, len(verdicts[name])])
        score = np.concatenate([verdicts["clean"].score, verdicts[name].score])
        assert found[name].auroc.value == pytest.approx(roc_auc_score(truth, score), abs=1e-9)
        assert found[name].aupr.value == pytest.approx(average_precision_score(truth, score), abs=1e-9)
        assert found[name].auroc.interval[0] <= found[name].auroc.value <= found[name].auroc.interval[1]
    for name, one in verdicts.items():
        assert (found[name].flagged.count, found[name].flagged.n) == (int(one.alarm.sum()), len(one))
        assert found[name].flagged.interval == clopper_pearson(int(one.alarm.sum()), len(one))
    for place, column in enumerate(found["far"].by_column):
        score = np.concatenate([verdicts[name].deviation[:, place] for name in ("clean", "far")])
        assert column.auroc == pytest.approx(roc_auc_score(np.repeat([0, 1], [400, 50]), score), abs=1e-6)
        assert column.name == monitor.columns[place]
    assert len(found["far"].by_column) == len(monitor.columns) == 3
    assert found.clean.by_column == ()
    share = verdicts["clean"].alarm.mean()
    assert found.false_alarms_per_hour.value == pytest.approx(share * 36_000)
    assert found.mean_auroc == pytest.approx((found["near"].auroc.value + found["far"].auroc.value) / 2)
    assert found.cost.bytes == monitor.learned.nbytes


def test_errors_are_counted_where_labels_are_the_networks(monitor, labels):
    clean, near = frames(400, seed=5), frames(150, seed=6, far=0.4)
    found = evaluate(monitor, (clean, labels(clean)), {"near": (near, labels(near))}, resamples=0)
    verdicts = monitor.check(clean)[1]
    wrong = verdicts.prediction != labels(clean)
    errors = found.clean.errors
    assert (errors.accuracy.count, errors.accuracy.n) == (360, 400)
    assert (errors.flagged.count, errors.flagged.n) == (int((wrong & verdicts.alarm).sum()), 40)
    assert errors.passed.share == pytest.approx((~wrong[~verdicts.alarm]).mean())
    assert errors.aurc.value == pytest.approx(aurc(verdicts.score, wrong))
    assert (errors.curve.x[0], errors.curve.x[-1], errors.curve.y[-1]) == (0, 1, pytest.approx(0.1))
    assert found["near"].errors is None


def test_thresholds_of_classes_decide_what_is_flagged_and_how_frames_rank(monitor):
    # One threshold for both would flag another two: class 0 alarms above 1, class 1 above 5.
    clean = made([0, 0, 2], [0.5, 4.5, 1.5], [1, 5, 1], [0, 1, 0])
    unsafe = made([2, 0, 2], [1.2, 3.0, 6.0], [1, 5, 5], [0, 1, 1], name="night", kind="given")
    found = evaluate_sets(monitor, clean, [unsafe], resamples=0)
    assert (found.clean.flagged.count, found["night"].flagged.count) == (1, 2)
    # margins: -0.5, -0.5, 0.5 against 0.2, -2, 1
    assert found["night"].auroc.value == pytest.approx((2 + 0 + 3) / 9)
    assert found["night"].fpr95.value == 1
    assert [one.flagged.count for one in found["night"].by_class] == [1, 1]


def test_a_frame_on_the_threshold_ties_and_is_not_flagged(monitor):
    clean = made([0, 0], [2.0, 1.0], [2, 2])
    unsafe = made([0, 2], [2.0, 2.5], [2, 2], name="x", kind="given")
    found = evaluate_sets(monitor, clean, [unsafe], resamples=0)
    assert (found.clean.flagged.count, found["x"].flagged.count) == (0, 1)
    assert found["x"].auroc.value == pytest.approx((0.5 + 1 + 2) / 4)


def test_faults_are_flagged_and_rank_highest_and_warnings_are_no_alarm(monitor):
    clean = made([0, 1, 0], [0.1, 0.9, 0.2], [1, 1, 1], unread=2)
    unsafe = made([3, 0], [np.nan, 0.15], [np.nan, 1], name="x", kind="fault")
    found = evaluate_sets(monitor, clean, [unsafe], resamples=0)
    assert (found.clean.warned.count, found.clean.flagged.count, found.clean.unread) == (1, 0, 2)
    assert (found["x"].faults, found["x"].flagged.count) == (1, 1)
    assert found["x"].auroc.value == pytest.approx((3 + 1) / 6)


def test_of_an_attack_all_attempts_count(monitor):
    clean = made([0] * 4, [0.1] * 4, [1] * 4)
    attack = made([0, 0, 2], [0.5, 0.5, 3], [1, 1, 1], name="pgd", kind="attack", tried=10)
    evaded = evaluate_sets(monitor, clean, [attack], resamples=0)["pgd"].evaded
    assert (evaded.count, evaded.n, evaded.interval) == (2, 10, clopper_pearson(2, 10))


def test_classes_have_an_auroc_where_both_sides_have_twenty_frames(monitor):
    rng = np.random.default_rng(0)
    n, m = 60, 45
    clean = made([0] * n, rng.normal(0, 1, n), np.full(n, 9.0), np.arange(n) % 2)
    unsafe = made(
        [0] * m, rng.normal(1, 1, m), np.full(m, 9.0), (np.arange(m) < 25).astype(int), name="x", kind="given"
    )
    by_class = {one.class_index: one for one in evaluate_sets(monitor, clean, [unsafe], resamples=0)["x"].by_class}
    truth = np.repeat([0, 1], [30, 25])
    score = np.concatenate([clean.score[1::2], unsafe.score[:25]])
    assert by_class[1].auroc == pytest.approx(roc_auc_score(truth, score))
    assert (by_class[0].frames, by_class[1].name) == (20, "class 1")
    assert by_class[0].auroc is not None
    assert evaluate_sets(monitor, clean, [made([0], [1], [9], name="x")], resamples=0)["x"].by_class[0].auroc is None


def test_drives_widen_the_intervals(monitor):
    data, far = frames(300, seed=5), np.concatenate([frames(100, seed=i, far=f) for i, f in ((8, 0.1), (9, 1.5))])
    drives = {"clean": np.repeat(np.arange(6), 50), "far": np.repeat(["a", "b"], 100)}
    frame, drive = (evaluate(monitor, data, {"far": far}, drives=d, resamples=60) for d in (None, drives))
    assert (frame["far"].drives, drive["far"].drives) == (None, 2)
    assert frame["far"].by_drive == ()
    assert [(one.name, one.frames) for one in drive["far"].by_drive] == [("a", 100), ("b", 100)]
    shares = [one.flagged.share for one in drive.clean.by_drive]
    assert len(shares) == 6
    assert np.mean(shares) == pytest.approx(drive.clean.flagged.share)
    assert drive.to_dict()["clean"]["by_drive"][5]["flagged"]["n"] == 50
    assert drive.monitor["promise"] == monitor.calibration.promise
    narrow, wide = (one["far"].auroc.interval for one in (frame, drive))
    assert wide[1] - wide[0] > narrow[1] - narrow[0]
    assert drive["far"].flagged.interval[0] < frame["far"].flagged.interval[0]


def test_clean_frames_that_were_profiled_are_told(monitor):
    with pytest.warns(OutriderWarning, match="50 of 50 clean frames are among those"):
        assert evaluate(monitor, frames(2000)[:50], {}, resamples=0).clean.profiled == 50


def test_the_progress_counts_all_sets(monitor):
    seen = []
    evaluate(monitor, batches(frames(100, seed=5)), {"x": frames(30, seed=6)}, resamples=0, progress=seen.append)
    assert seen == [50, 100, 130]


def test_names_that_are_no_sets_are_refused(monitor):
    with pytest.raises(ValueError, match="another name than 'clean'"):
        evaluate(monitor, frames(9), {"clean": frames(9)})
    with pytest.raises(ValueError, match="names of sets, clean, x, got y"):
        evaluate(monitor, frames(9), {"x": frames(9)}, drives={"y": [1]})
    one = judge_set(monitor, frames(9, seed=5), name="x")
    with pytest.raises(ValueError, match="got x more than once"):
        evaluate_sets(monitor, made([0], [0], [1]), [one, one])
    with pytest.raises(ValueError, match="above 0, got 0"):
        evaluate_sets(monitor, one, [], rate_fps=0)
