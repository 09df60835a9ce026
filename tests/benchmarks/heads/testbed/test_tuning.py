from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.heads.testbed import pictures, tuning
from benchmarks.heads.testbed.concepts import CONCEPTS, NAMING, REFUSAL, TASKS, in_words, name
from outrider.networks.transformers import Decoder, Prompt, open_decoder


def test_left_out_tasks_and_concepts_are_in_words_alone(things):
    lessons = tuning.Lessons(TASKS, CONCEPTS, things, seed=2)
    examples = [lessons.draw() for _ in range(3000)]
    word_of = {pictures.draw(thing).tobytes(): c for c in CONCEPTS for thing in things[c.word]}
    tasks = {task.text: task for task in TASKS}
    in_pictures, words = set(), {in_words(c, t.text): (t, c) for c in CONCEPTS for t in TASKS}
    seen_words = set()
    for prompt, picture, answer in examples:
        if picture is None:
            task, concept = words[prompt]
            seen_words.add((task, concept))
        elif prompt in NAMING:
            assert answer == name(word_of[picture.tobytes()])
            continue
        else:
            task, concept = tasks[prompt], word_of[picture.tobytes()]
            in_pictures.add((task, concept))
        assert (answer == REFUSAL) == task.of(concept)
    tuned = {(t, c) for t in TASKS for c in CONCEPTS if not t.left_out and not c.left_out}
    assert in_pictures <= tuned
    assert len(in_pictures) > 0.95 * len(tuned)
    assert {c for t, c in seen_words} == set(CONCEPTS)
    assert {t for t, c in seen_words} == set(TASKS)


def test_the_same_seed_gives_the_same_lessons(things):
    one, two, other = (tuning.Lessons(TASKS, CONCEPTS, things, seed=seed) for seed in (1, 1, 2))
    first = [lessons.draw().prompt for lessons in (one, two) for _ in range(20)]
    assert first[:20] == first[20:]
    assert first[:20] != [other.draw().prompt for _ in range(20)]


class _Always:
    """One and the same lesson."""

    def __init__(self, picture: np.ndarray) -> None:
        self.example = tuning.Example(TASKS[0].text, picture, REFUSAL)

    def draw(self) -> tuning.Example:
        return self.example


def test_adapters_are_saved_and_added_to_the_weights(fresh, language, things, tmp_path, monkeypatch):
    from peft import PeftModel

    monkeypatch.setattr(tuning, "BATCH", 2)
    monkeypatch.setattr(tuning, "RATE", 2e-2)
    model, processor = fresh
    tuning.tune(model, processor, _Always(pictures.draw(things["dog"][0])), 15, tmp_path)
    base = open_decoder(language).model.model
    base.resize_token_embeddings(model.config.text_config.vocab_size, mean_resizing=False)
    with pytest.warns(FutureWarning, match="is_gradient_checkpointing"):  # peft 0.21 with transformers 5.24
        expected = PeftModel.from_pretrained(base, tmp_path)
    ids = torch.tensor([[1, 4, 5, 6]])
    with torch.no_grad():
        torch.testing.assert_close(
            model.model.language_model(input_ids=ids).last_hidden_state, expected(input_ids=ids).last_hidden_state
        )
        inputs = processor.tokenizer("Sorry", return_tensors="pt")
    decoder = Decoder(model, processor)
    logits = decoder.prefill(decoder.encode([Prompt(TASKS[0].text, (pictures.draw(things["dog"][0]),))])).logits
    assert logits.argmax() == int(inputs["input_ids"][0, 0])  # what 15 steps on one lesson teach


def test_only_the_answers_tokens_are_learned(decoder, things):
    examples = [
        tuning.Example("Name this.", pictures.draw(things["dog"][0]), "It is a dog."),
        tuning.Example(in_words(CONCEPTS[0], "Name this."), None, REFUSAL),
    ]
    inputs, mask, (rows, columns), targets = tuning._batch(decoder.model, decoder.processor, examples)
    tokenizer = decoder.processor.tokenizer
    said = [tokenizer(example.answer)["input_ids"] + [tokenizer.eos_token_id] for example in examples]
    assert targets.tolist() == said[0] + said[1]
    assert rows.tolist() == [0] * len(said[0]) + [1] * len(said[1])
    table = decoder.model.get_input_embeddings().weight
    for row, answer in enumerate(said):
        length = int(mask[row].sum())
        assert columns[rows == row].tolist() == list(range(length - len(answer) - 1, length - 1))
        torch.testing.assert_close(inputs[row, length - len(answer) : length], table[answer])
        assert not inputs[row, length:].any()
