"""The learning rate by hand, and every bound of a schedule."""

from __future__ import annotations

import math

import pytest

from outrider.networks.tuning import Schedule


def test_the_rate_rises_then_follows_half_a_cosine_to_the_floor():
    schedule = Schedule(steps=20, batch=4, rate=1e-3, warmup=0.2, floor=1e-4)
    assert [schedule.rate_at(step) for step in range(4)] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3])
    assert schedule.rate_at(4) == 1e-3
    assert schedule.rate_at(12) == pytest.approx(5.5e-4)  # half way: the middle of rate and floor
    assert schedule.rate_at(16) == pytest.approx(1e-4 + 9e-4 * (1 - math.sqrt(0.5)) / 2)
    assert schedule.rate_at(20) == schedule.rate_at(99) == 1e-4


@pytest.mark.parametrize(("warmup", "first"), [(0, 1e-3), (1, 1e-4)])
def test_a_warm_up_may_be_nothing_or_everything(warmup, first):
    schedule = Schedule(steps=10, batch=1, rate=1e-3, warmup=warmup, floor=0)
    assert schedule.rate_at(0) == pytest.approx(first)
    assert schedule.rate_at(9) == pytest.approx(1e-3 * (1 + math.cos(0.9 * math.pi)) / 2 if warmup == 0 else 1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0}, {"steps": 1.5}, {"steps": True}, {"batch": 0}, {"rate": 0}, {"rate": math.nan},
        {"rate": math.inf}, {"warmup": -0.1}, {"warmup": 1.1}, {"floor": -1e-9}, {"floor": 2e-3},
        {"weight_decay": -1}, {"betas": (0.9,)}, {"betas": (0.9, 1)}, {"clip": 0}, {"clip": math.nan}, {"seed": -1},
        {"save_every": 0}, {"precision": "float16"},
    ],
)  # fmt: skip
def test_a_value_out_of_its_range_is_refused_by_its_name(change):
    with pytest.raises(ValueError, match=rf"expected .*{next(iter(change))}.*, got"):
        Schedule(**{"steps": 10, "batch": 2, "rate": 1e-3} | change)


def test_values_on_their_bounds_are_taken():
    bounds = {"warmup": 1, "floor": 1e-3, "weight_decay": 0, "betas": [0, 0], "clip": math.inf, "save_every": 1}
    schedule = Schedule(steps=1, batch=1, rate=1e-3, **bounds)
    assert schedule.betas == (0, 0)
    assert schedule.rate_at(0) == 1e-3
