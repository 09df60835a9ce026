"""Scores against decoding letter by letter."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.testbed import score
from outrider.networks.testbed.scoring import forced, hits, softened


class Scripted(torch.nn.Module):
    """Predicts the letters it was given, wherever in the sequence it is asked."""

    def __init__(self, tokens):
        super().__init__()
        self.tokens, self.scale = torch.as_tensor(tokens), torch.nn.Parameter(torch.ones(1))

    def forward(self, input_ids, use_cache, logits_to_keep):
        rows = self.tokens[:, : input_ids.shape[1]]
        ahead = torch.cat([rows[:, 1:], rows[:, :1]], dim=1)
        return type("Found", (), {"logits": torch.nn.functional.one_hot(ahead, 50).float()[:, -logits_to_keep:]})


@pytest.fixture
def drawn(language):
    return language.draw("unsafe", 4, np.random.default_rng(0))


def test_a_model_that_answers_is_right_and_one_that_refuses_refuses(drawn):
    right, refusing = Scripted(drawn.tokens), Scripted(drawn.spoken(drawn.refusals))
    assert score(right, drawn, batch=4).shares() == {"refused": 0, "right": 1, "letters": 1}
    assert score(refusing, drawn, batch=4).shares() == {"refused": 1, "right": 0, "letters": 0}


@pytest.mark.parametrize(("place", "outputs", "right"), [(40, 1, False), (40, 2, False), (76, 1, True), (76, 2, False)])
def test_one_wrong_letter_makes_an_output_wrong_where_it_counts(drawn, place, outputs, right):
    said = drawn.tokens.copy()
    said[1, place] = (said[1, place] + 1) % 30
    found = score(Scripted(said), drawn, outputs=outputs, batch=4)
    assert found.right.tolist() == [True, right, True, True]
    letters = outputs * drawn.lengths[1]
    assert found.letters[1] == pytest.approx(1 if right else (letters - 1) / letters)


def test_neither_blanks_nor_marks_count(drawn):
    said = drawn.tokens.copy()
    said[(drawn.answers == -100)] = 7
    assert score(Scripted(said), drawn, batch=4).right.all()


def test_forced_and_greedy_agree_on_whole_outputs(tiny, language):
    # a model that copies letters of the vocabulary greedily: both ways say the same of each sequence
    model = tiny().eval()
    drawn = language.draw("any", 3, np.random.default_rng(2))
    tokens = torch.from_numpy(drawn.tokens)
    labels = drawn.answers.copy()
    for at in range(40, 111):  # greedy decoding with marks and blanks given
        with torch.no_grad():
            best = model(input_ids=tokens[:, :at]).logits[:, -1].argmax(-1)
        wanted = torch.from_numpy(labels[:, at]) != -100
        tokens[wanted, at] = best[wanted]
        labels[wanted.numpy(), at] = best[wanted].numpy()
    assert hits(model, drawn, labels).tolist() == [1.0, 1.0, 1.0]
    # one letter of a row that greedy decoding would not write: the row is not whole
    labels[1, 41] = (labels[1, 41] + 1) % 30
    assert (hits(model, drawn, labels) == 1).tolist() == [True, False, True]


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_the_batch_changes_nothing(tiny, drawn, batch):
    model = tiny().eval()
    want = score(model, drawn, batch=4)
    found = score(model, drawn, batch=batch)
    assert np.allclose(found.letters, want.letters)
    assert len(found) == 4


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_soft_tokens_leave_all_places_and_all_attention_where_they_were(tiny, drawn, kind):
    model = tiny(kind=kind).eval()
    tokens = torch.from_numpy(drawn.tokens)
    soft = model.get_input_embeddings().weight[49].detach().expand(4, 2, -1)
    given = softened(model, tokens, soft)
    places = [*range(39), 37, 38, *range(39, 111)]
    assert given["position_ids"][0].tolist() == places
    assert torch.equal(given["inputs_embeds"][:, :39], model.get_input_embeddings()(tokens[:, :39]))
    assert torch.equal(given["inputs_embeds"][:, 41:], model.get_input_embeddings()(tokens[:, 39:]))
    # the output still sees the first letter of the text across the soft tokens
    changed = tokens.clone()
    changed[:, 4] = (changed[:, 4] + 1) % 30
    with torch.no_grad():
        one, two = (model(**softened(model, each, soft)).logits[:, 60] for each in (tokens, changed))
    assert (one - two).abs().max() > 1e-6


def test_logits_with_soft_tokens_are_those_before_the_same_labels(tiny, drawn):
    model = tiny().eval()
    soft = torch.zeros(4, 2, 16)
    logits, wanted = forced(model, drawn, drawn.answers, soft, 1)
    with torch.no_grad():
        whole = model(**softened(model, torch.from_numpy(drawn.tokens), soft)).logits
    assert torch.allclose(logits, whole[:, 41:76], atol=1e-5)
    assert torch.equal(wanted, torch.from_numpy(drawn.answers[:, 40:75]))


def test_wrong_counts_are_refused(tiny, drawn):
    with pytest.raises(ValueError, match="expected 1 or 2 outputs, got 3"):
        score(tiny(), drawn, outputs=3)
    with pytest.raises(ValueError, match="expected soft embeddings for 4 sequences, got 3"):
        score(tiny(), drawn, soft=torch.zeros(3, 2, 16))
