"""τ by hand on made-up clusters."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.mechanism import energy_rank, separation, tau


def test_tau_by_hand():
    safe, unsafe = np.array([3.0, 0.0]), np.array([0.0, 4.0])
    points = np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0], [3.0, 4.0], [1.5, 2.0]])
    np.testing.assert_allclose(tau(points, unsafe, safe), [5.0, -5.0, 4.0 - 3.0, 3.0 - 4.0, 0.0])


def clusters(gap, n=40, width=6, seed=0, layers=2):
    rng = np.random.default_rng(seed)
    safe, unsafe = rng.normal(size=(2, layers, n, width))
    unsafe[..., 0] += gap
    return safe.astype(np.float32), unsafe.astype(np.float32)


def test_clusters_of_points_have_figures_known_beforehand():
    """All safe inputs at (1, 0) and (−1, 0) alternately, unsafe ones 10 further on: the spread is 1, the gap 10."""
    safe = np.tile(np.array([[1.0, 0.0], [-1.0, 0.0]]), (1, 50, 1))
    unsafe = safe + np.array([0.0, 10.0])
    middle = np.array([[[0.0, 5.0]] * 3])
    found = separation(safe, unsafe, {"between": middle}, shuffles=0)
    assert found.gap[0] == pytest.approx(10, rel=0.01)
    assert found.distance[0] == pytest.approx(10, rel=0.05)
    assert found.auroc[0] == 1
    assert (found.position("safe")[0], found.position("unsafe")[0]) == (1, 0)
    assert found.position("between")[0] == pytest.approx(0.5, abs=0.05)
    assert found.nearer_safe("safe")[0] == 1
    assert found.nearer_safe("unsafe")[0] == 0
    assert (found.ranks["safe"][0], found.ranks["unsafe"][0]) == (1, 1)
    assert found.shuffled == {}


def test_the_half_of_the_means_is_not_the_half_of_the_figures():
    """Without any difference held-out inputs are told apart by chance; their own means would flatter."""
    safe, unsafe = clusters(0, n=20, width=400)
    held_out = separation(safe, unsafe).auroc
    same = [tau(a, unsafe[0].mean(0), safe[0].mean(0)) for a in (safe[0], unsafe[0])]
    assert same[0].min() > same[1].max()
    assert np.abs(held_out - 0.5).max() < 0.35
    assert separation(safe, unsafe).tau["safe"].shape == (2, 10)


def test_a_wider_gap_separates_more_and_random_labels_do_not():
    near, far = (separation(*clusters(gap), seed=3) for gap in (1, 8))
    assert (far.distance > near.distance).all()
    assert (far.contrast > near.contrast).all()
    assert (far.auroc == 1).all()
    assert (far.shuffled["auroc"] < 0.65).all()
    assert (far.distance > far.shuffled["distance_high"]).all()
    assert (far.shuffled["distance_high"] >= far.shuffled["distance"]).all()


def test_the_same_seed_gives_the_same():
    first, second, third = (separation(*clusters(1), seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.tau["safe"], second.tau["safe"])
    np.testing.assert_array_equal(first.shuffled["auroc"], second.shuffled["auroc"])
    assert not np.array_equal(first.tau["safe"], third.tau["safe"])


def test_ties_count_half():
    safe = np.zeros((1, 4, 2))
    found = separation(safe, safe, {"other": safe}, shuffles=2)
    assert found.auroc[0] == 0.5
    assert (found.gap[0], found.distance[0], found.contrast[0], found.position("other")[0]) == (0, 0, 0, 0.5)
    assert found.nearer_safe("other")[0] == 0.5
    assert found.ranks["safe"][0] == 0


@pytest.mark.parametrize(
    ("values", "energy", "rank"),
    [([3, 1], 0.9, 1), ([3, 1], 0.9001, 2), ([2, 2, 2], 2 / 3, 2), ([2, 2, 2], 0.7, 3), ([0, 0], 0.9, 0), ([5], 1, 1)],
)
def test_the_rank_holds_the_energy_exactly(values, energy, rank):
    """Singular values 3 and 1 hold 9/10 and 1/10 of the energy: exactly 90 % needs one direction."""
    assert energy_rank(np.diag(np.array(values, float)), energy) == rank


@pytest.mark.parametrize(
    ("safe", "unsafe", "others", "match"),
    [
        ((1, 3, 2), (1, 5, 2), {}, "at least 4 safe"),
        ((1, 5, 2), (1, 3, 2), {}, "at least 4 unsafe"),
        ((2, 5, 2), (1, 5, 2), {}, "unsafe: expected"),
        ((1, 5, 2), (1, 5, 2), {"jailbreak": np.zeros((1, 2, 3))}, "jailbreak: expected"),
        ((1, 5, 2), (1, 5, 2), {"safe": np.zeros((1, 2, 2))}, "other kinds"),
    ],
)
def test_what_does_not_fit_is_refused(safe, unsafe, others, match):
    with pytest.raises(ValueError, match=match):
        separation(np.zeros(safe), np.zeros(unsafe), others)
