from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.tuning.clip.encoder import open_clip

from .tiny import SIDE, picture, tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clip(tmp_path_factory.mktemp("clip"))


def test_embeddings_are_the_models_own_of_unit_length(folder):
    clip = open_clip(folder)
    texts = ["a drawing of a rifle", "a house"]
    ids, mask = clip.tokens(texts)
    assert ids.shape == mask.shape == (2, 8)
    with torch.no_grad():
        outputs = clip.model(
            input_ids=ids, attention_mask=mask, pixel_values=torch.stack([torch.from_numpy(pixels(3))] * 2)
        )
    np.testing.assert_allclose(clip.embed_texts(texts), outputs.text_embeds.numpy(), atol=1e-6)
    found = clip.embed_pictures(torch.from_numpy(pixels(3))[None])
    np.testing.assert_allclose(found[0], outputs.image_embeds[0].numpy(), atol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1)


def test_more_than_a_batch_keeps_its_order_and_the_mode_stays(folder):
    clip = open_clip(folder)
    clip.model.train()
    many = torch.stack([torch.from_numpy(pixels(i)) for i in range(300)])
    found = clip.embed_pictures(many)
    assert clip.model.training
    np.testing.assert_allclose(found[[0, 256, 299]], clip.embed_pictures(many[[0, 256, 299]]), atol=1e-6)


def pixels(number):
    """What the tiny processor makes of a picture, by hand: scaled to −1 to 1."""
    return (picture(number).transpose(2, 0, 1).astype(np.float32) / 255 - 0.5) / 0.5


def test_a_picture_is_read_from_its_file(folder, tmp_path):
    image = pytest.importorskip("PIL.Image")
    clip = open_clip(folder)
    image.fromarray(picture(7)).save(tmp_path / "colour.png")
    np.testing.assert_allclose(clip.picture(tmp_path / "colour.png").numpy(), pixels(7), atol=1e-6)
    image.fromarray(picture(7)[..., 0]).save(tmp_path / "grey.png")
    grey = clip.picture(tmp_path / "grey.png").numpy()
    assert grey.shape == (3, SIDE, SIDE)
    np.testing.assert_allclose(grey, np.repeat(pixels(7)[:1], 3, 0), atol=1e-6)
    image.fromarray(picture(7)[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png: expected a picture of 8 bits, got uint16$"):
        clip.picture(tmp_path / "deep.png")


def test_a_folder_that_is_no_clip_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r": expected the folder of a CLIP with its config\.json, got no such"):
        open_clip(tmp_path / "none")
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    config = copy / "config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "model_type": "gpt2"}))
    with pytest.raises(ValueError, match=r"copy: expected a CLIP, model_type 'clip' in config\.json, got 'gpt2'$"):
        open_clip(copy)
    for broken in ("[]", "{"):
        config.write_text(broken)
        with pytest.raises(ValueError, match=r"config\.json: expected the configuration of a CLIP, got "):
            open_clip(copy)
    config.write_text(json.dumps(facts))
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"copy: expected a CLIP that transformers can open, got "):
        open_clip(copy)
