"""Every loss against numpy in float64, written from the papers' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from outrider.networks.tuning.clip.losses import (
    Embeddings,
    Redirects,
    contrastive,
    distance,
    redirection,
    safe_clip_loss,
    safer_clip_loss,
)

RNG = np.random.default_rng(5)
TUNED, FROZEN = (Embeddings(*(torch.from_numpy(one) for one in RNG.normal(size=(4, 5, 7)))) for _ in range(2))
GOALS = Redirects(*(torch.from_numpy(one) for one in RNG.normal(size=(2, 5, 7))))


def cosine(first, second):
    first, second = np.asarray(first), np.asarray(second)
    return (first * second).sum(-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)


def by_hand_contrastive(first, second, scale):
    first, second = np.asarray(first), np.asarray(second)
    logits = np.array([[scale * cosine(a, b) for b in second] for a in first])
    own = np.exp(logits)
    rows, columns = own / own.sum(1, keepdims=True), own / own.sum(0, keepdims=True)
    return -(np.log(np.diag(rows)).mean() + np.log(np.diag(columns)).mean()) / 2


def test_redirection_is_the_logarithm_of_one_and_the_exponential():
    moved, unsafe, safe = TUNED.unsafe_text, FROZEN.unsafe_image, GOALS.image
    wanted = np.mean([math.log(1 + math.exp(d)) for d in cosine(moved, unsafe) - cosine(moved, safe)])
    assert redirection(moved, unsafe, safe).item() == pytest.approx(wanted, rel=1e-6)


def test_redirection_at_its_ends_and_its_middle():
    one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[-0.5, 0.0]])
    assert redirection(one, one, one).item() == pytest.approx(math.log(2))
    assert redirection(one, one, other).item() == pytest.approx(math.log(1 + math.exp(2)))
    assert redirection(one, other, one).item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_the_distance_is_one_without_the_cosine():
    assert distance(TUNED.safe_text, FROZEN.safe_text).item() == pytest.approx(
        1 - cosine(TUNED.safe_text, FROZEN.safe_text).mean(), rel=1e-6
    )
    same = torch.tensor([[3.0, 4.0]])
    assert distance(same, 7 * same).item() == pytest.approx(0, abs=1e-6)
    assert distance(same, -same).item() == pytest.approx(2)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_contrastive_is_both_directions_of_a_softmax(scale):
    found = contrastive(TUNED.safe_text, FROZEN.safe_image, scale).item()
    assert found == pytest.approx(by_hand_contrastive(TUNED.safe_text, FROZEN.safe_image, scale), rel=1e-5)


def test_the_parts_of_safer_clip_and_their_weights():
    total, parts = safer_clip_loss(TUNED, FROZEN, GOALS, redirect=0.5, preserve=3.0)

    def softplus(moved, unsafe, safe):
        return np.log1p(np.exp(cosine(moved, unsafe) - cosine(moved, safe))).mean()

    wanted = {
        "text_to_image": softplus(TUNED.unsafe_text, FROZEN.unsafe_image, GOALS.image),
        "image_to_text": softplus(TUNED.unsafe_image, FROZEN.unsafe_text, GOALS.text),
        "text_to_text": 1 - cosine(TUNED.unsafe_text, GOALS.text).mean(),
        "image_to_image": 1 - cosine(TUNED.unsafe_image, GOALS.image).mean(),
        "safe_text": 1 - cosine(TUNED.safe_text, FROZEN.safe_text).mean(),
        "safe_image": 1 - cosine(TUNED.safe_image, FROZEN.safe_image).mean(),
    }
    assert parts == pytest.approx(wanted, rel=1e-6)
    values = list(wanted.values())
    assert total.item() == pytest.approx(0.5 * sum(values[:4]) + 3 * sum(values[4:]), rel=1e-6)


def test_safe_clips_eight_losses_and_their_weights():
    total, parts = safe_clip_loss(TUNED, FROZEN)
    wanted = {
        "safe_text": 1 - cosine(TUNED.safe_text, FROZEN.safe_text).mean(),
        "unsafe_text": 1 - cosine(TUNED.unsafe_text, FROZEN.safe_text).mean(),
        "safe_image": 1 - cosine(TUNED.safe_image, FROZEN.safe_image).mean(),
        "unsafe_image": 1 - cosine(TUNED.unsafe_image, FROZEN.safe_image).mean(),
        "safe_text_to_image": by_hand_contrastive(TUNED.safe_text, FROZEN.safe_image, 100),
        "unsafe_text_to_image": by_hand_contrastive(TUNED.unsafe_text, FROZEN.safe_image, 100),
        "safe_image_to_text": by_hand_contrastive(TUNED.safe_image, FROZEN.safe_text, 100),
        "unsafe_image_to_text": by_hand_contrastive(TUNED.unsafe_image, FROZEN.safe_text, 100),
    }
    assert parts == pytest.approx(wanted, rel=1e-5)
    weights = (0.1, 0.1, 0.1, 0.2, 0.25, 0.25, 0.25, 0.5)
    assert total.item() == pytest.approx(np.dot(weights, list(wanted.values())) / sum(weights), rel=1e-5)
    for place, value in enumerate(wanted.values()):
        alone = safe_clip_loss(TUNED, FROZEN, weights=tuple(float(i == place) for i in range(8)))[0]
        assert alone.item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("weights", [(1.0,) * 7, (0.0,) * 8, (1.0,) * 7 + (-0.1,)])
def test_other_weights_are_refused(weights):
    with pytest.raises(ValueError, match=r"^expected eight weights of at least 0, one of them above, got \("):
        safe_clip_loss(TUNED, FROZEN, weights=weights)


def test_losses_are_in_float32_of_half_precision():
    half = Embeddings(*(one.bfloat16() for one in TUNED))
    total, _ = safer_clip_loss(half, FROZEN, GOALS)
    assert total.dtype == torch.float32
    rounded = Embeddings(*(one.double() for one in half))
    assert total.item() == pytest.approx(safer_clip_loss(rounded, FROZEN, GOALS)[0].item(), rel=1e-6)
