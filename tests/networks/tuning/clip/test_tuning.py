"""Tuning a tiny CLIP: what it learns, where its references stay, and what it was told."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
if importlib.util.find_spec("peft") is None:
    pytest.skip("peft is not installed", allow_module_level=True)  # imported before torchvision's remedy it may fail

import torch

from outrider.networks.tuning import Schedule
from outrider.networks.tuning.clip import (
    ClipPlan,
    Quadruple,
    embed,
    load_tuned,
    open_clip,
    read_quadruples,
    safe_clip_loss,
    safer_clip_loss,
    tune_clip,
)
from outrider.networks.tuning.clip.losses import Embeddings, Redirects

from .tiny import pairs, picture, tiny_clip, write_quadruples

SCHEDULE = Schedule(steps=12, batch=5, rate=1e-2, seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def pixels(number):
    return (torch.from_numpy(picture(number)).permute(2, 0, 1).float() / 255 - 0.5) / 0.5


@pytest.fixture(scope="module")
def quadruples():
    return [Quadruple(2 * i, safe, 2 * i + 1, unsafe) for i, (safe, unsafe) in enumerate(pairs(10))]


def test_embedding_quadruples_is_embedding_each_item(folder, quadruples):
    clip = open_clip(folder)
    found = embed(clip, quadruples, pixels)
    for row in (0, 5, 9):
        one = quadruples[row]
        texts = clip.embed_texts([one.safe_caption, one.unsafe_caption])
        images = clip.embed_pictures(torch.stack([pixels(one.safe_image), pixels(one.unsafe_image)]))
        wanted = texts[0], texts[1], images[0], images[1]
        for part, value in zip(found, wanted, strict=True):
            np.testing.assert_allclose(part[row], value, atol=1e-6)


@pytest.mark.parametrize(
    "plan",
    [
        ClipPlan(),
        ClipPlan(target="fixed", caption="a drawing of house", curriculum="none"),
        ClipPlan(curriculum="target"),
        ClipPlan("safe-clip", "partner", curriculum="none"),
    ],
    ids=["nearest", "fixed", "by target", "safe-clip"],
)
def test_a_tuning_lowers_the_loss_that_the_formula_gives(folder, quadruples, tmp_path, plan):
    """The loss of all quadruples, from fresh embeddings and a target found here, before and after."""
    base = open_clip(folder)
    before = embed(base, quadruples, pixels)
    result = tune_clip(open_clip(folder), quadruples, SCHEDULE, tmp_path / "run", plan, picture=pixels)
    after = embed(result.clip, quadruples, pixels)
    captions = [one.safe_caption for one in quadruples]
    rows = np.argmax(before.unsafe_text @ before.safe_text.T, axis=1)
    if plan.target == "fixed":
        rows = np.full(10, captions.index(plan.caption))
    pictures = rows.copy()
    for i, row in enumerate(rows):
        if plan.target == "nearest":
            same = [j for j, caption in enumerate(captions) if caption == captions[row]]
            pictures[i] = max(same, key=lambda j, i=i: before.unsafe_image[i] @ before.safe_image[j])
    goals = Redirects(torch.from_numpy(before.safe_text[rows]), torch.from_numpy(before.safe_image[pictures]))

    def loss(now):
        tuned, frozen = (Embeddings(*map(torch.from_numpy, one)) for one in (now, before))
        if plan.method == "safe-clip":
            return safe_clip_loss(tuned, frozen)[0].item()
        return safer_clip_loss(tuned, frozen, goals)[0].item()

    assert loss(after) < 0.9 * loss(before)
    assert result.trained.losses[0] == pytest.approx(loss(before), rel=0.5)
    assert sum(one.times for one in result.redirected) == 10
    told = {one.unsafe: one for one in result.redirected}
    for i, one in enumerate(quadruples):
        if plan.target != "partner":
            assert told[one.unsafe_caption].safe == captions[rows[i]]
            cosine = before.unsafe_text[i] @ before.safe_text[rows[i]]
            assert told[one.unsafe_caption].cosine == pytest.approx(cosine, abs=1e-6)


def test_the_first_loss_is_that_of_the_encoder_as_it_was(folder, quadruples, tmp_path):
    """Adapters begin at zero: one step over all quadruples has no distance from the frozen encoder to report."""
    schedule = Schedule(steps=1, batch=10, rate=1e-6)
    result = tune_clip(open_clip(folder), quadruples, schedule, tmp_path / "run", ClipPlan(curriculum="none"),
                       picture=pixels)  # fmt: skip
    parts = {name: values[0] for name, values in result.trained.parts.items()}
    assert parts["safe_text"] == pytest.approx(0, abs=1e-6)
    assert parts["safe_image"] == pytest.approx(0, abs=1e-6)
    assert parts["text_to_text"] > 1e-3


def test_the_reference_does_not_drift(folder, quadruples, tmp_path, monkeypatch):
    """What the losses compare with at the last step is what a copy that nobody tuned makes of it."""
    from outrider.networks.tuning.clip import tuning

    seen = []

    def spy(tuned, frozen, *rest, **more):
        seen.append(Embeddings(*(part.clone() for part in frozen)))
        return safer_clip_loss(tuned, frozen, *rest, **more)

    monkeypatch.setattr(tuning, "safer_clip_loss", spy)
    schedule = Schedule(steps=6, batch=10, rate=3e-2)
    result = tune_clip(open_clip(folder), quadruples, schedule, tmp_path / "run", ClipPlan(curriculum="none"),
                       picture=pixels)  # fmt: skip
    untouched = embed(open_clip(folder), quadruples, pixels)
    moved = embed(result.clip, quadruples, pixels)
    for part, wanted, now in zip(seen[-1], untouched, moved, strict=True):
        for row in part.numpy():
            assert np.abs(wanted - row).max(axis=1).min() < 1e-6
        assert np.abs(now - wanted).max() > 1e-2


def test_pictures_come_easy_ones_first(folder, quadruples, tmp_path):
    """With a batch of the easy third, the first step sees these pictures and no other, the next two the medium ones."""
    before = embed(open_clip(folder), quadruples, pixels)
    own = (before.unsafe_text * before.safe_text).sum(1) + (before.unsafe_image * before.safe_image).sum(1)
    easy = set(np.argsort(-own)[:4])
    asked = []

    def watched(number):
        asked.append(number)
        return pixels(number)

    schedule = Schedule(steps=3, batch=4, rate=1e-3, seed=2)
    tune_clip(open_clip(folder), quadruples, schedule, tmp_path / "run", ClipPlan(), picture=watched)
    assert {number // 2 for number in asked[-24:-16]} == easy  # each step asks for eight pictures
    assert {number // 2 for number in asked[-16:-2]} == set(np.argsort(-own)[:7])  # seven easy or medium ones, one any


def test_preserving_alone_leaves_the_encoder_where_it_was(folder, quadruples, tmp_path):
    plan = ClipPlan(redirect=0, curriculum="none")
    schedule = Schedule(steps=8, batch=5, rate=1e-3)  # where the gradient is zero, AdamW's steps are noise
    result = tune_clip(open_clip(folder), quadruples, schedule, tmp_path / "run", plan, picture=pixels)
    before, after = (embed(clip, quadruples, pixels) for clip in (open_clip(folder), result.clip))
    for part in ("safe_text", "safe_image"):
        cosines = (getattr(before, part) * getattr(after, part)).sum(1)
        assert cosines.min() > 0.97, part


def test_the_folder_gives_the_same_encoder_again(folder, tmp_path):
    path = write_quadruples(tmp_path, 8)
    found, left_out = read_quadruples(path)
    assert left_out == []
    told = []
    result = tune_clip(open_clip(folder), found, SCHEDULE, tmp_path / "run",
                       progress=lambda done, total: told.append((done, total)))  # fmt: skip
    assert told[-1] == (12, 12)
    again = load_tuned(open_clip(folder), tmp_path / "run")
    texts = ["a drawing of rifle", "a house"]
    np.testing.assert_allclose(again.embed_texts(texts), result.clip.embed_texts(texts), atol=1e-6)
    assert np.abs(again.embed_texts(texts) - open_clip(folder).embed_texts(texts)).max() > 1e-2
    other = open_clip(tiny_clip(tmp_path / "other", seed=1))
    with pytest.raises(ValueError, match=r"expected the weights that the adapters were trained on"):
        load_tuned(other, tmp_path / "run")
    second = tune_clip(open_clip(folder), found, SCHEDULE, tmp_path / "run")  # finished: nothing is trained
    np.testing.assert_allclose(second.clip.embed_texts(texts), result.clip.embed_texts(texts), atol=1e-6)
    with pytest.raises(ValueError, match=r"expected a folder of the same run, got one of other settings: .*redirect"):
        tune_clip(open_clip(folder), found, SCHEDULE, tmp_path / "run", ClipPlan(redirect=2.0))


def test_nothing_to_tune_on_and_an_unknown_caption_are_refused(folder, quadruples, tmp_path):
    clip = open_clip(folder)
    with pytest.raises(ValueError, match=r"^expected at least one quadruple, got none$"):
        tune_clip(clip, [], SCHEDULE, tmp_path / "run")
    plan = ClipPlan(target="fixed", caption="a tank")
    with pytest.raises(ValueError, match=r"^expected a fixed target among the quadruples' safe captions, got 'a tank'"):
        tune_clip(clip, quadruples, SCHEDULE, tmp_path / "run", plan, picture=pixels)
    assert not (tmp_path / "run").exists()
