"""Named data, and the sets made of them, as the monitor judges them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.monitor.evaluation import aurc
from outrider.networks import OnnxNetwork, Preprocessing, load_dataset
from outrider.runtime.evaluation import FAULTS, EvaluationPlan, faulty

pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

CLEAN = {"clean": "digits:test", "rows": slice(0, 60)}
DIGITS = 60


@pytest.fixture
def monitor(calibrated):
    network = OnnxNetwork(calibrated.with_name("digits.onnx"), preprocessing=Preprocessing(size=(8, 8), order="L"))
    yield Monitor.load(calibrated, network)
    network.close()


@pytest.fixture
def digits():
    return load_dataset("digits", "test")[:DIGITS]


def test_given_sets_are_judged_as_check_does(monitor, digits, tmp_path):
    noise = np.random.default_rng(0).random((20, 1, 8, 8), np.float32)
    np.savez(tmp_path / "noise.npz", x=noise, y=np.arange(20) % 10)
    seen = []
    plan = EvaluationPlan(monitor, unsafe={"noise": str(tmp_path / "noise.npz")}, **CLEAN)
    found = plan.run(resamples=0, progress=seen.append)
    verdicts = monitor.check(digits.floats())[1]
    assert (found.clean.flagged.count, found.clean.frames) == (int(verdicts.alarm.sum()), DIGITS)
    assert found["noise"].flagged.count == int(monitor.check(noise)[1].alarm.sum())
    wrong = verdicts.prediction != digits.labels
    assert found.clean.errors.accuracy.count == int((~wrong).sum())
    assert found.clean.errors.aurc.value == pytest.approx(aurc(verdicts.score, wrong))
    assert found["noise"].errors is None
    assert seen == sorted(seen)
    assert seen[-1] == plan.total == 80


def test_labels_of_unsafe_sets_count_where_told_and_no_labels_none(monitor):
    unsafe = {"train": "digits:train"}
    found = EvaluationPlan(monitor, unsafe=unsafe, labelled=["train"], **CLEAN).run(resamples=0)
    assert found["train"].errors.accuracy.n == DIGITS
    found = EvaluationPlan(monitor, unsafe=unsafe, labelled=["train"], no_labels=True, **CLEAN).run(resamples=0)
    assert (found.clean.errors, found["train"].errors) == (None, None)


def test_faults_are_made_of_the_clean_pictures(monitor, digits):
    found = EvaluationPlan(monitor, unsafe={}, faults=["dead-rows", "frozen"], **CLEAN).run(resamples=0)
    rows = np.stack([faulty(image, "dead-rows", i) for i, image in enumerate(digits.images)])
    verdicts = monitor.check(np.float32(rows / 255))[1]
    assert found["dead-rows"].flagged.count == int(verdicts.alarm.sum())
    assert found["dead-rows"].errors.accuracy.count == int((verdicts.prediction == digits.labels).sum())
    frozen = monitor.check(digits.floats()[[0, *range(DIGITS - 1)]])[1]
    assert found["frozen"].flagged.count == int(frozen.alarm.sum())
    assert [one.kind for one in found.unsafe] == ["fault", "fault"]


def test_all_faults_but_those_of_colours_for_gray_pictures(monitor):
    plan = EvaluationPlan(monitor, unsafe={}, faults=True, **CLEAN)
    assert [one.name for one in plan.planned] == [name for name in FAULTS if name != "channel-lost"]
    assert plan.total == DIGITS * len(FAULTS)


def test_corruptions_come_at_each_severity(monitor, monkeypatch, digits):
    def corrupt(image, severity, name):
        return np.uint8(np.minimum(image + 40.0 * severity, 255))

    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=corrupt))
    found = EvaluationPlan(monitor, unsafe={}, corruptions=["fog"], severities=[1, 5], **CLEAN).run(resamples=0)
    assert [(one.name, one.severity, one.kind) for one in found.unsafe] == [
        ("fog 1", 1, "corruption"), ("fog 5", 5, "corruption"),
    ]  # fmt: skip
    brighter = np.minimum(digits.floats() + 40 / 255, 1).astype(np.float32)
    assert found["fog 1"].flagged.count == pytest.approx(int(monitor.check(brighter)[1].alarm.sum()), abs=1)
    assert len(EvaluationPlan(monitor, unsafe={}, corruptions=True, **CLEAN).planned) == 75


@pytest.fixture
def torn(tmp_path, clean):
    """Eight digits and a file that is no picture."""
    pillow = pytest.importorskip("PIL.Image")
    for row, picture in enumerate(clean[:8]):
        pillow.fromarray(picture).save(tmp_path / f"{row}.png")
    (tmp_path / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    return str(tmp_path)


def test_what_cannot_be_read_is_counted_or_a_fault(monitor, torn):
    found = EvaluationPlan(monitor, torn, {}, faults=["black"], on_error="skip").run(resamples=0)
    assert (found.clean.frames, found.clean.unread, found.clean.faults) == (8, 1, 0)
    assert (found["black"].frames, found["black"].unread) == (8, 1)
    found = EvaluationPlan(monitor, torn, {}, faults=["black"], on_error="alarm").run(resamples=0)
    assert (found.clean.frames, found.clean.unread, found.clean.faults, found.clean.flagged.count) == (9, 0, 1, 1)
    assert (found["black"].frames, found["black"].unread) == (8, 1)
    with pytest.raises(ValueError, match=r"9\.png"):
        EvaluationPlan(monitor, torn, {}).run(resamples=0)


def test_a_set_of_which_nothing_can_be_read_is_refused(monitor, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"x: expected a frame that can be read, got none; .*a\.png"):
        EvaluationPlan(monitor, unsafe={"x": str(tmp_path)}, on_error="skip", **CLEAN).run(resamples=0)


def test_drives_are_files_of_a_folder(monitor, digits, tmp_path):
    for drive in range(3):
        np.savez(tmp_path / f"{drive}.npz", x=digits.floats()[drive * 20 : drive * 20 + 20])
    found = EvaluationPlan(monitor, str(tmp_path), {"again": str(tmp_path)}, by_drive=True).run(resamples=5)
    assert (found.clean.drives, found["again"].drives) == (3, 3)


def test_frames_that_cannot_be_read_count_in_their_own_drive(monitor, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for drive in "ab":
        (tmp_path / drive).mkdir()
        for row in range(6):
            pillow.fromarray(np.full((8, 8), 7 * row + 90, np.uint8)).save(tmp_path / drive / f"{row}.png")
    data = str(tmp_path)
    for row in range(4):
        (tmp_path / "a" / f"{row}.png").write_bytes(b"no picture")
    found = EvaluationPlan(monitor, data, {}, by_drive=True, on_error="skip", no_labels=True).run(resamples=0).clean
    assert (found.frames, found.unread, found.drives) == (8, 4, 2)
    found = EvaluationPlan(monitor, data, {}, by_drive=True, on_error="alarm", no_labels=True).run(resamples=0).clean
    assert (found.frames, found.faults, found.drives) == (12, 4, 2)
    alarms = found.flagged.count
    assert found.flagged.share == pytest.approx(alarms / 12), "two drives of six frames weigh the same"


def test_attacks_on_a_network_without_gradients_are_refused_before_anything_is_read(monitor):
    with pytest.raises(ValueError, match=r"network of PyTorch for attacks.*got one of onnx"):
        EvaluationPlan(monitor, unsafe={}, attacks=["pgd"], **CLEAN)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labelled": ["x"]}, "names of unsafe sets in labelled=, got x"),
        ({"faults": ["rain"]}, "faults among black, white"),
        ({"corruptions": ["rain"]}, "corruptions among gaussian_noise"),
        ({"corruptions": ["fog"], "severities": [7]}, "severities from 1 to 5, got 7"),
        ({"unsafe": {"black": "digits:train"}, "faults": ["black"]}, "got black more than once"),
        ({"unsafe": {"clean": "digits:train"}}, "got clean more than once"),
    ],
)
def test_what_does_not_go_together_is_refused(monitor, options, said):
    with pytest.raises(ValueError, match=said):
        EvaluationPlan(monitor, **{"unsafe": {}, **CLEAN, **options})


def test_attacks_are_counted_with_those_that_fail(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchattacks")
    from outrider.networks import TorchNetwork

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    rng = np.random.default_rng(0)
    seen = rng.random((300, 1, 8, 8), np.float32)
    with torch.no_grad():
        module[-1].bias -= module(torch.from_numpy(seen)).mean(0)  # so that every class is seen
    monitor = Monitor(TorchNetwork(module.eval(), (1, 8, 8), taps="auto"), "mahalanobis")
    monitor.profile(seen)
    monitor.calibrate(rng.random((200, 1, 8, 8), np.float32), 0.05)
    np.savez(tmp_path / "clean.npz", x=rng.random((30, 1, 8, 8), np.float32), drives=np.arange(30) // 5)

    def evaluated(epsilon):
        plan = EvaluationPlan(
            monitor, str(tmp_path / "clean.npz"), {}, attacks=["torchattacks:FGSM"], epsilon=epsilon, attack_count=20,
            by_drive=True,
        )  # fmt: skip
        return plan.run(resamples=0)[f"torchattacks:FGSM {epsilon}"]

    strong, none = evaluated(0.9), evaluated(1e-9)
    assert (strong.tried, strong.kind) == (20, "attack")
    assert 0 < strong.frames <= 20
    assert strong.evaded.n == 20
    assert strong.evaded.count == strong.frames - strong.flagged.count
    assert strong.drives <= 4
    assert (none.frames, none.tried, none.auroc, none.evaded.count) == (0, 20, None, 0)
