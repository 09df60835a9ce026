from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection import detectors
from benchmarks.detection.attacks import EvaluationSet
from benchmarks.detection.detectors import Run, ground_key
from benchmarks.detection.experiments import Experiment
from benchmarks.detection.kept import Scores
from benchmarks.detection.rows import our_rows
from outrider.networks import ImageSet, LeNet, TorchNetwork


def images(seed: int, count: int) -> ImageSet:
    rng = np.random.default_rng(seed)
    return ImageSet("made", rng.integers(0, 256, (count, 1, 8, 8), np.uint8), np.arange(count) % 2, ("a", "b"))


@pytest.fixture
def experiment() -> Experiment:
    torch.manual_seed(0)
    module = LeNet(size=8, classes=2).eval()
    with torch.no_grad():  # sure of what it says, of either class as often
        middle = module(torch.from_numpy(images(1, 400).floats())).median(0).values
        module.dense2.bias -= middle
        module.dense2.weight *= 1e4
        module.dense2.bias *= 1e4

    def predicted(data: ImageSet) -> ImageSet:
        labels = module(torch.from_numpy(data.floats())).argmax(1).numpy()
        return ImageSet(data.name, data.images, labels, data.classes)

    strange = (ImageSet("other", images(9, 30).images, None, ()),)
    return Experiment(
        "cifar10", "Made", module, lambda **options: TorchNetwork(module, (1, 8, 8), **options),
        predicted(images(1, 400)), images(2, 300), predicted(images(3, 50)), images(3, 50), strange, (),
    )  # fmt: skip


def test_a_row_that_fails_is_left_out_and_said_and_not_run_again(experiment, monkeypatch, tmp_path):
    monkeypatch.setattr(detectors, "experiment", lambda _name, quick: experiment)
    monkeypatch.setattr("benchmarks.detection.kept.scores_folder", lambda: tmp_path)
    tried: list[str] = []

    def fails(name: str, error: Exception):
        def make():
            tried.append(name)
            raise error

        return lambda: detectors._or_why(make)

    def run(*makes) -> Run:
        found = Run("cifar10")
        for name, make in makes:
            found._add(name, name, make)
        return found

    fine = Scores([np.arange(3.0)] * 3, [np.array([False, False, True])] * 3)
    makes = ("broken", fails("broken", ValueError("no\nluck"))), ("absent", fails("absent", ImportError("not there")))
    makes = (*makes, ("large", fails("large", MemoryError())))
    for _ in range(2):
        found = run(*makes, ("fine", lambda: fine))
    assert found.left_out == {
        "broken": "failed: ValueError: no", "absent": "not there", "large": "failed: MemoryError: ",
    }  # fmt: skip
    assert tried == ["broken", "absent", "large", "absent", "large"]
    assert found.figures()["rows"]["fine"]["mean_auroc"] == 0.5
    assert list(found.figures()["columns"]) == ["test", "other", "noise"]
    ours = next(row for row in our_rows(experiment)[0] if row.group == "default")
    monkeypatch.setattr(detectors, "our_scores", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        found.add([ours])


def test_the_default_and_a_rival_are_run_through_one_path(experiment, monkeypatch, tmp_path):
    monkeypatch.setattr(detectors, "experiment", lambda _name, quick: experiment)
    monkeypatch.setattr("benchmarks.detection.kept.scores_folder", lambda: tmp_path)
    figures = detectors.run("cifar10", ("default", "nac"))
    default, nac = figures["rows"]["Outrider, default configuration"], figures["rows"]["NAC-UE, the authors' form"]
    assert set(default["columns"]) == set(nac["columns"]) == {"other", "noise"}
    assert default["bytes"] > 0
    assert nac["judged"] == [50, 30, 50]
    assert figures["splits"] == {"profile": 400, "calibration": 300, "test": 50}


def test_a_key_is_that_of_network_data_and_options(experiment):
    columns = [EvaluationSet("test", experiment.clean.floats())]
    first = ground_key(experiment, columns)
    assert first == ground_key(experiment, columns)
    others = [
        Experiment(**{**vars(experiment), "seen": images(4, 400)}),
        Experiment(**{**vars(experiment), "held_out": images(4, 300)}),
        Experiment(**{**vars(experiment), "calibrate": {"drives": np.arange(300)}}),
        Experiment(**{**vars(experiment), "module": LeNet(size=8, classes=2)}),
    ]
    keys = {ground_key(other, columns) for other in others} | {first, ground_key(experiment, columns * 2)}
    assert len(keys) == 6
