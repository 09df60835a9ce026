from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection.rivals.rival import BATCH, Ground, Judged, Rival, in_batches, run_rival
from outrider.networks import LeNet

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (400, 1, 8, 8), np.uint8)
LABELS = np.arange(400) % 3


@pytest.fixture
def ground() -> Ground:
    torch.manual_seed(0)
    return Ground(LeNet(size=8, classes=3), IMAGES, LABELS)


def floats(count: int) -> np.ndarray:
    return RNG.random((count, 1, 8, 8), np.float32)


def test_what_is_read_is_what_the_network_gives_and_is_read_once(ground):
    x = torch.from_numpy(IMAGES / np.float32(255))
    p = ground.parts
    with torch.no_grad():
        for kind, expected in {"logits": p.whole(x), "features": p.encoder(x), "feature_maps": p.backbone(x)}.items():
            torch.testing.assert_close(ground.read(kind, IMAGES), expected)
        assert ground.read("pooled", IMAGES).shape == (400, 32 + 64 + 64 + 64)
    assert ground.read("pooled", IMAGES) is ground.read("pooled", IMAGES)
    maps = ground.read("feature_maps", IMAGES)
    assert ground.read("feature_maps", IMAGES) is maps
    ground.read("features", IMAGES)
    assert ground.read("feature_maps", IMAGES) is not maps
    assert ground.classes == 3


def test_the_first_of_a_count_are_the_same_every_time_and_of_all_kinds(ground):
    some = ground.first(100)
    assert some is ground.first(100)
    assert len(some.images) == 100
    assert ground.first(400) is ground
    where = [np.flatnonzero((image == IMAGES).all((1, 2, 3)))[0] for image in some.images]
    assert (some.labels == LABELS[where]).all()
    assert max(where) > 300


def test_a_rival_learns_scores_and_flags(ground):
    learned: list[int] = []

    def fit(given: Ground):
        learned.append(len(given.images))
        return lambda images: in_batches(lambda x: x.mean((1, 2, 3)), images)

    held_out, columns = floats(300), [floats(BATCH + 3), floats(5) + 1]
    scores = run_rival(Rival("mean", "none", fit), ground, Judged(held_out, columns, None))
    assert learned == [400]
    np.testing.assert_allclose(scores.values[0], columns[0].mean((1, 2, 3)), rtol=1e-5)
    assert scores.flagged[1].all()
    assert scores.flagged[0].mean() < 0.1
    assert scores.chosen is None
    assert scores.facts["profiled"] == 400


def test_a_slow_rival_judges_some_images_and_says_which(ground):
    held_out, columns, drives = floats(300), [floats(90), floats(20)], np.arange(300) // 2
    sets = Judged(held_out, columns, drives)
    rival = Rival("mean", "none", lambda _ground: lambda images: images.mean((1, 2, 3)), limit=50, profiled=100)
    scores = run_rival(rival, ground, sets)
    assert [len(values) for values in scores.values] == [50, 20]
    for values, chosen, column in zip(scores.values, scores.chosen, columns, strict=True):
        np.testing.assert_array_equal(values, column[chosen].mean((1, 2, 3)))
    fewer, _ = sets.limited(50)
    for image, drive in zip(fewer.held_out, fewer.drives, strict=True):
        assert (held_out[drives == drive] == image).all((1, 2, 3)).any()
    assert sets.limited(50)[0] is fewer
    assert scores.facts["profiled"] == 100


def test_a_rival_that_says_the_same_of_everything_is_no_row(ground):
    rival = Rival("nothing", "none", lambda _ground: lambda images: np.full(len(images), np.nan))
    with pytest.raises(ValueError, match="the score nan"):
        run_rival(rival, ground, Judged(floats(30), [floats(5)], None))
