"""The plan of the attacks, and what a monitor whose network is closed shows."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("foolbox")

import torch

from benchmarks.detection import adaptive
from benchmarks.detection.experiments import Experiment
from outrider.coverage import parse_criterion
from outrider.networks import ImageSet, LeNet, TorchNetwork


def test_the_default_is_attacked_from_200_images_at_every_epsilon_of_the_bars():
    cells = list(adaptive.cells(quick=False))
    assert len(set(cells)) == len(cells)
    of_default = {(cell.data, cell.epsilon): cell.attempts for cell in cells if cell.monitor == adaptive.DEFAULT}
    bars = {("cifar10", "8/255"), ("cifar10", "2/255"), ("fashion-mnist", "0.1"), ("fashion-mnist", "0.03")}
    assert of_default == dict.fromkeys(bars, 200)
    assert {cell.monitor for cell in cells if cell.whole} == {adaptive.DEFAULT, adaptive.SQUARE}
    robust = {(cell.data, cell.epsilon) for cell in cells if cell.robust}
    assert robust == {(data, epsilon) for data, epsilons in adaptive.EPSILONS.items() for epsilon in epsilons}
    for single in adaptive.SINGLES.values():
        parse_criterion(single.criterion)


def test_a_quick_run_is_short_and_has_every_kind():
    cells = list(adaptive.cells(quick=True))
    assert sum(cell.attempts for cell in cells) <= 30
    assert {cell.robust for cell in cells} == {True, False}


def test_a_cell_is_added_to_what_another_run_kept(tmp_path):
    path = tmp_path / "adaptive.json"
    for key, evaded in (("a", 0.5), ("b", 1.0), ("a", 0.25)):
        adaptive.remember(path, key, {"evaded": evaded})
    assert json.loads(path.read_text("utf-8")) == {"a": {"evaded": 0.25}, "b": {"evaded": 1.0}}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def made(seed: int) -> Experiment:
    torch.manual_seed(0)
    module = LeNet(size=8, classes=2).eval()
    images = np.random.default_rng(seed).integers(0, 256, (6, 1, 8, 8), np.uint8)
    data = ImageSet("made", images, np.arange(6) % 2, ("a", "b"))
    network = partial(TorchNetwork, module, (1, 8, 8))
    return Experiment("fashion-mnist", "Made", module, network, data, data, data, data, (), ())


def test_a_cell_rests_on_data_and_on_code(monkeypatch):
    def key(seed: int) -> str:
        adaptive.tested.cache_clear()
        adaptive.data_key.cache_clear()
        monkeypatch.setattr(adaptive, "experiment", lambda _name: made(seed))
        return adaptive.key_of(cell, adaptive.unfit(cell), False)

    for name in (adaptive.FEW_PROFILED, "bitmap of channels"):
        cell = adaptive.Cell("fashion-mnist", False, name, "0.1", 5)
        assert key(0) == key(0) != key(1)
        with monkeypatch.context() as patch:
            patch.setattr("benchmarks.detection.rows.code_key", lambda *_, **__: "other")
            other = key(0)
        assert other != key(0)
    adaptive.tested.cache_clear()
    adaptive.data_key.cache_clear()
    before = adaptive.attack_key()
    monkeypatch.setattr("benchmarks.keys._code", lambda path: f"{path.name} {'attack' in path.name}")
    assert adaptive.attack_key() != before


def test_missing_data_are_said_and_no_failure(monkeypatch, capsys):
    def missing(_name: str) -> Experiment:
        raise FileNotFoundError("no data here")

    adaptive.tested.cache_clear()
    monkeypatch.setattr(adaptive, "experiment", missing)
    monkeypatch.setattr("sys.argv", ["adaptive", "--quick"])
    assert adaptive.main() == adaptive.NO_DATA
    assert "no data here" in capsys.readouterr().out
