from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection import rows as module
from benchmarks.detection.rows import UNIT_FORMS, our_rows
from outrider import coverage
from outrider.networks import LeNet, TorchNetwork

OURS = {
    kind.name
    for kind in (getattr(coverage, name) for name in coverage.__all__)
    if isinstance(kind, type) and issubclass(kind, coverage.Criterion) and kind is not coverage.Criterion
}
"""The catalogue also has those that other tests make."""
NOT_OF_PICTURES = {"head"}


@pytest.fixture
def experiment() -> SimpleNamespace:
    torch.manual_seed(0)
    return SimpleNamespace(network=partial(TorchNetwork, LeNet(size=8, classes=3).eval(), (1, 8, 8)))


def test_every_criterion_of_the_catalogue_has_a_row(experiment):
    rows, left_out = our_rows(experiment)
    assert not left_out
    shown = {row.criterion.name for row in rows if row.criterion}
    assert shown == OURS - NOT_OF_PICTURES
    assert len({row.name for row in rows}) == len(rows)


def test_published_forms_of_one_layer_read_the_last(experiment):
    made = {row.name: row.make() for row in our_rows(experiment)[0]}
    for name in ("on/off patterns, published (last layer, unit)", "boxes, published (last layer, channel)"):
        (column,) = made[name].columns
        assert column.startswith("relu4")
    assert made["softmax alone"].columns == ("output:unit softmax",)
    shared = [made[name].network for name in ("bitmap, channel, z of log", "Gaussian, channel, z of log")]
    assert shared[0] is shared[1]


def test_units_beyond_the_bound_are_left_out_and_counted(experiment, monkeypatch):
    count, (first, *others) = 3395, UNIT_FORMS
    bounds = {name: (*form[:2], count if name == first else count - 1) for name, form in UNIT_FORMS.items()}
    monkeypatch.setattr(module, "UNIT_FORMS", bounds)
    rows, left_out = our_rows(experiment)
    assert list(left_out) == others
    assert [row.name for row in rows if row.group == "units"] == [first]
    assert "3,395 units" in left_out[others[0]]  # 32 × 64 + 64 × 16 + 64 × 4 + 64 + 3


def test_a_key_tells_rows_apart_and_stays(experiment):
    keys = [row.key() for row in our_rows(experiment)[0]]
    assert len(set(keys)) == len(keys)
    assert keys == [row.key() for row in our_rows(experiment)[0]]
