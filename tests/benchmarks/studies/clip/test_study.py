"""A study of a hundred random drawings a class and two steps: what lies where, and that nothing is done twice."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
if importlib.util.find_spec("peft") is None:
    pytest.skip("peft is not installed", allow_module_level=True)

import torch

from benchmarks.studies.clip import study, tables
from benchmarks.studies.clip.base import Shape, contrastive, trained
from benchmarks.studies.clip.concepts import TEMPLATES, Classes
from benchmarks.studies.clip.sketches import Sketches
from benchmarks.tables import markdown
from outrider.networks.tuning import Schedule

CLASSES = Classes(("apple", "house"), ("boat", "bridge"), ("rifle",), ("sword",))
SHORT = Schedule(2, 8, 1e-3)
TINY = study.Size(4, (0,), 1, (1.0,), Shape(16, 1), SHORT, replace(SHORT, batch=4))


@pytest.fixture(scope="module")
def sketches():
    return Sketches(CLASSES, np.random.default_rng(0).integers(0, 256, (6, 100, 28, 28), np.uint8))


def test_the_processor_of_a_base_reads_a_picture_as_the_study_has_it(sketches, tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    clip = trained(sketches, TINY.shape, SHORT, tmp_path, "cpu")
    pillow.fromarray(sketches.drawings[1, 3]).save(tmp_path / "house.png")
    pixels, labels = sketches.pixels("train")
    torch.testing.assert_close(clip.picture(tmp_path / "house.png"), pixels[83])
    assert labels[83] == 1
    ids, mask = clip.tokens([template.format("boat") for template in TEMPLATES])
    assert ids.shape == (5, 12)
    assert len(np.unique(ids.numpy(), axis=0)) == 5
    assert (clip.processor.tokenizer.unk_token_id == ids).sum() == 0
    assert mask.sum(1).tolist() == [7, 7, 7, 6, 3]


def test_pictures_of_a_class_share_their_partner():
    rng = np.random.default_rng(1)
    image, text = rng.normal(size=(2, 4, 5))
    labels = [0, 1, 0, 2]

    class Fixed(torch.nn.Module):
        logit_scale = torch.tensor(0.7)

        def get_image_features(self, pixel_values):
            return pixel_values

        def get_text_features(self, input_ids, attention_mask):
            return input_ids

    def tensor(values):
        return torch.from_numpy(np.asarray(values))

    batch = {"pixels": tensor(image), "ids": tensor(text), "mask": None, "label": tensor(labels)}
    units = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in (image, text)]
    logits = np.exp(0.7) * units[0] @ units[1].T
    total = 0.0
    for values in (logits, logits.T):
        for i, row in enumerate(values):
            same = [j for j in range(4) if labels[j] == labels[i]]
            total -= np.mean([row[j] - np.log(np.exp(row).sum()) for j in same]) / 4
    assert contrastive(Fixed(), batch).item() == pytest.approx(total / 2, rel=1e-5)


def test_a_study_is_whole_and_not_done_twice(sketches, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "read", lambda classes: sketches)
    whole = study.plans
    names = ["preservation alone", "rigid 1", "nearest 1"]
    monkeypatch.setattr(study, "plans", lambda *given: {name: whole(*given)[name] for name in names})
    said = []
    found = study.study("tiny", TINY, tmp_path, "cpu", said.append)
    (base,) = found["bases"]
    assert list(base["tunings"]) == names
    assert len(said) == 3
    taken = base["tunings"]["nearest 1"][0]["taken"]
    assert sum(times for *_, times in taken) == 80  # a quadruple for each training picture of the one unsafe class
    assert base["tunings"]["rigid 1"][0]["caption"].startswith("a drawing of a ")
    assert {"accuracy_outside", "unsafe_frozen", "held_out_tuned", "recall"} <= set(base["before"]["choose"])
    assert study.study("tiny", TINY, tmp_path, "cpu", said.append) == found
    assert len(said) == 3
    other = replace(TINY, tuning=replace(TINY.tuning, steps=1))
    monkeypatch.setattr(study, "plans", lambda size, fixed: {"nearest 1": study.ClipPlan()})
    again = study.study("tiny", other, tmp_path, "cpu", said.append)  # other settings are measured anew
    assert len(said) == 4
    assert again["bases"][0]["tunings"]["nearest 1"] != base["tunings"]["nearest 1"]
    shown = markdown(tables.clip(found))
    assert "| the base |" in shown
    assert "| rifle |" in shown
    assert "| bar: base top-1 at least 30 |" in shown


def test_every_size_sweeps_at_least_two_weights_and_the_whole_study_four():
    assert len(study.SIZES["default"].swept) >= 4
    assert len(study.SIZES["default"].seeds) >= 3
    for size in study.SIZES.values():
        assert 1.0 in size.swept  # the rows that the bars are for
        assert {"nearest 1", "rigid 1", "preservation alone"} <= set(study.plans(size, "a"))
