"""Attacks by gradients, piece by piece."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor.evaluation.adaptive import STRATEGIES  # noqa: E402
from outrider.monitor.evaluation.adaptive.ball import Ball  # noqa: E402
from outrider.monitor.evaluation.adaptive.descent import Bank, Found, Strategy, descend, ignorant, match  # noqa: E402
from outrider.monitor.evaluation.adaptive.twin import Twin, TwinVerdicts  # noqa: E402

from .conftest import calibrated, pictures  # noqa: E402


class Toy:
    """Two pixels. Class 1 where the first is above 0.5; the monitor speaks where the second is below the first."""

    device = torch.device("cpu")

    def rivals(self, logits, avoided, rank):
        return (avoided + rank) % 2

    def __call__(self, images, avoiding=None, toward=None):
        first, second = images[:, 0, 0, 0], images[:, 0, 0, 1]
        logits = torch.stack([0 * first, 10 * (first - 0.5)], 1)
        predictions = logits.argmax(1)
        compared = toward if toward is not None else predictions if avoiding is None else 1 - avoiding
        score = (1 + 10 * (first - second)).clamp_min(0).double()
        one = torch.ones_like(score)
        return TwinVerdicts(logits, predictions, compared, score[:, None], score, one, score[:, None])


def real(images, labels):
    return (images[:, 0, 0, 0] > 0.5) & (images[:, 0, 0, 1] >= images[:, 0, 0, 0])


def start(n=3):
    ball = Ball.around(torch.full((n, 1, 1, 2), 0.45), 0.1, (0.0, 1.0))
    return ball, torch.zeros(n, dtype=torch.int64), torch.Generator().manual_seed(0)


def test_the_network_alone_is_fooled_and_the_monitor_forgotten():
    ball, labels, generator = start()
    images = ignorant(lambda x: (Toy()(x).logits, None), ball, labels, generator)
    torch.testing.assert_close(images[:, 0, 0, 0], torch.full((3,), 0.55))
    assert ((ball.low <= images) & (images <= ball.high)).all()


@pytest.mark.parametrize(
    "strategy", [Strategy(), Strategy(adapt=True), Strategy(2.0, random=True, lead=0.1), Strategy(rank=1)]
)
def test_both_are_fooled_within_the_ball(strategy):
    ball, labels, generator = start()
    found = descend(Toy(), real, ball, labels, strategy, 0.1, generator)
    assert found.evaded.all()
    assert found.fooled.all()
    assert real(found.images, labels).all()
    assert ((ball.low <= found.images) & (found.images <= ball.high)).all()


def test_only_what_the_monitor_confirms_counts():
    ball, labels, generator = start()
    never = descend(Toy(), lambda images, _: torch.zeros(len(images), dtype=torch.bool), ball, labels,
                    Strategy(steps=20), 0.1, generator)  # fmt: skip
    assert not never.evaded.any()
    assert never.fooled.all()
    assert (never.score <= 1).all()
    small = Ball.around(ball.start, 0.01, (0.0, 1.0))
    nothing = descend(Toy(), real, small, labels, Strategy(steps=20), 0.01, generator)
    assert not nothing.fooled.any()
    torch.testing.assert_close(nothing.images, ball.start)


def test_what_was_found_is_the_image_with_the_lowest_score_until_one_evades():
    ball, _, _ = start(2)
    found, rows = Found.nothing(ball), torch.arange(2)
    for value, score in ((0.1, 5.0), (0.2, 3.0), (0.3, 4.0)):
        images = torch.full_like(ball.start, value)
        found.note(rows, images, torch.tensor([True, False]), torch.full((2,), score))
    assert found.images[0].unique().tolist() == pytest.approx([0.2])
    torch.testing.assert_close(found.images[1], ball.start[1])
    found.win(rows[:1], torch.full_like(ball.start[:1], 0.9))
    found.note(rows, ball.start * 0, torch.tensor([True, True]), torch.zeros(2))
    assert found.images[0].unique().tolist() == pytest.approx([0.9])
    assert (found.fooled.tolist(), found.evaded.tolist()) == ([True, True], [True, False])


def test_a_match_moves_towards_the_nearest_trusted_image_of_another_class(network):
    twin = Twin(calibrated(network))
    trusted, own = pictures(300, 1)
    bank = Bank(twin, trusted)
    images, labels = (torch.from_numpy(each) for each in pictures(8, 3))
    near = bank.nearest(twin, images, labels)
    assert all(
        own[int((bank.images == one).flatten(1).all(1).nonzero()[0])] != y for one, y in zip(near, labels, strict=True)
    )
    ball = Ball.around(images, 1.0, (0.0, 1.0))
    found = match(twin, lambda images, _: torch.ones(len(images), dtype=torch.bool), ball, labels, bank, 1.0, steps=40)
    assert found.fooled.float().mean() > 0.5
    np.testing.assert_array_equal(found.evaded[found.evaded], found.fooled[found.evaded])


def test_a_strategy_has_a_name():
    assert Strategy(2.0, random=True, masked=True).name == "λ 2, lead 0.3, random start, object only"
    assert Strategy(adapt=True).name == "λ 1 adapted, lead 0.3"
    assert Strategy(rank=1, steps=400).name == "λ 1, lead 0.3, class 2, 400 steps"
    assert len({strategy.name for strategy in STRATEGIES}) == len(STRATEGIES)
