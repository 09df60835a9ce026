from __future__ import annotations

import numpy as np
import torch

from benchmarks.heads.testbed import encoder, pictures
from benchmarks.heads.testbed.concepts import CONCEPTS


def test_objects_move_on_the_canvas_and_some_have_their_word(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    things, lines = torch.ones(400, 1, 28, 28), torch.full((400, 1, 10, 32), 2.0)
    canvas = encoder.moved(things, lines, generator)
    assert canvas.shape == (400, 1, 32, 32)
    has_line = (canvas == 2).any(-1).sum((1, 2))
    assert set(has_line.tolist()) == {0, 10}
    line, thing = has_line > 0, ((canvas > 0) & (canvas <= 1)).flatten(1).any(1)
    assert abs(float((line & ~thing).float().mean()) - encoder.PRINTED_SHARE) < 0.05
    assert abs(float((line & thing).float().mean()) - encoder.BESIDE_SHARE) < 0.06
    assert (thing | line).all()
    beside = canvas[line & thing]
    assert (beside[:, :, 22:] == 2).all()  # at the bottom, under the object
    sizes = (canvas[~line] > 0.5).sum((1, 2, 3)).float().sqrt()
    assert 20 < sizes.min() < 26 < sizes.max() <= 32


def test_a_tower_learns_the_vectors_of_words(fresh, monkeypatch):
    monkeypatch.setattr(encoder, "BATCH", 24)
    monkeypatch.setattr(encoder, "RATE", 1e-2)
    model, processor = fresh
    concepts = [CONCEPTS[0], CONCEPTS[8]]
    rows = np.arange(28)[:, None] + np.zeros(28, int)
    stripes = (np.stack([rows, rows.T]) % 8 < 4).astype(np.uint8) * 255  # across, and upright
    things = {concept.word: thing[None] for concept, thing in zip(concepts, stripes, strict=True)}
    before = {name: value.clone() for name, value in model.model.language_model.state_dict().items()}
    encoder.train(model, processor.tokenizer, concepts, things, 100)
    assert encoder.recognised(model, processor.tokenizer, concepts, things) == {c.word: 1.0 for c in concepts}
    for name, value in model.model.language_model.state_dict().items():
        assert torch.equal(value, before[name])
    vectors = encoder.word_vectors(model, processor.tokenizer, [c.word for c in concepts])
    pixels = encoder.pixels([pictures.draw(things[concepts[0].word][0])])
    with torch.no_grad():
        length = encoder.soft_tokens(model, pixels)[0].norm(dim=1).mean()
    assert abs(float(length / vectors.norm(dim=1).mean()) - 1) < 0.4  # of words' own length, not of length 1


def test_the_share_recognised_is_that_of_the_nearest_vector(decoder, things):
    found = encoder.recognised(decoder.model, decoder.processor.tokenizer, CONCEPTS, things)
    table = decoder.model.get_input_embeddings().weight
    ids = [decoder.processor.tokenizer(c.word)["input_ids"][0] for c in CONCEPTS]
    vectors = (table[ids] / table[ids].norm(dim=1, keepdim=True)).numpy()
    for place, concept in enumerate(CONCEPTS):
        soft = encoder.soft_tokens(decoder.model, encoder.pixels([pictures.draw(t) for t in things[concept.word]]))
        assert found[concept.word] == np.float32((vectors @ soft.mean(1).numpy().T).argmax(0).__eq__(place).mean())
