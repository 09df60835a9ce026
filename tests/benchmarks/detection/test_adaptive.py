"""The plan of the attacks, and what a monitor whose network is closed shows."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("foolbox")

from benchmarks.detection import adaptive
from outrider.coverage import parse_criterion


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
