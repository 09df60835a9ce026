"""Examples of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.kinds.examples import EXAMPLES, TOLD, Scale

OTHERS = np.random.default_rng(0).random((6, 3, 20, 25), np.float32)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.name)
def test_the_picture_stays_and_what_is_made_is_another(example):
    picture = OTHERS[0]
    before, changed = OTHERS.copy(), 0
    for seed in range(5):
        made = example.change(picture, OTHERS, np.random.default_rng(seed))
        assert made.shape == picture.shape
        assert np.isfinite(made).all()
        changed += (made != picture).any()
    assert changed == 5
    np.testing.assert_array_equal(OTHERS, before)
    assert example.kind in TOLD


@pytest.mark.parametrize("name", ["signs", "signs alike in all channels", "checkers", "waves", "clusters"])
def test_attacks_move_every_value_by_the_same_and_little(name):
    example = next(one for one in EXAMPLES if one.name == name)
    for seed in range(5):
        moved = example.change(OTHERS[0], OTHERS, np.random.default_rng(seed)) - OTHERS[0]
        sizes = np.abs(moved)[np.abs(moved) > 1e-4]
        assert 0.0079 < sizes.min() <= sizes.max() < 0.101
        assert sizes.max() - sizes.min() < 1e-5
        assert len(sizes) > 0.95 * moved.size
        if name == "signs alike in all channels":
            np.testing.assert_allclose(moved[0], moved[1], atol=1e-6)


def test_shuffled_patches_are_all_there():
    example = next(one for one in EXAMPLES if one.name == "shuffled")
    picture = np.arange(3 * 24 * 24, dtype=np.float32).reshape(3, 24, 24)
    made = example.change(picture, OTHERS, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(made.ravel()), picture.ravel())


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_samples_come_back_from_unit_pictures(dtype):
    pictures = (OTHERS * np.array([[[10.0]], [[200.0]], [[90.0]]]) + 30).astype(dtype)
    scale = Scale.of(pictures)
    unit = scale.unit(pictures)
    assert unit.min((0, 2, 3)) == pytest.approx([0, 0, 0])
    assert unit.max((0, 2, 3)) == pytest.approx([1, 1, 1])
    back = np.stack([scale.sample(one, pictures.dtype) for one in unit])
    assert back.dtype == dtype
    np.testing.assert_allclose(back, pictures, rtol=1e-5)
    assert scale.sample(unit[0] + 5, pictures.dtype).max() == pictures.max()


def test_a_channel_that_never_changes_has_a_scale():
    pictures = OTHERS.copy()
    pictures[:, 1] = 7
    scale = Scale.of(pictures)
    assert (scale.unit(pictures)[:, 1] == 0).all()
    assert (scale.sample(scale.unit(pictures)[0], np.dtype(np.float32))[1] == 7).all()
