from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.heads.testbed import model, pictures
from benchmarks.heads.testbed.concepts import CONCEPTS, TASKS, Pair
from outrider.networks.transformers import Prompt, open_decoder

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)


def test_a_prompt_has_the_picture_in_four_places_and_no_system_prompt(decoder):
    text = decoder.chat.render(Prompt("Name this.", (PICTURE,)))
    assert text == "<|im_start|>user\nPicture:<image>. Name this.<|im_end|>\n<|im_start|>assistant\n"
    inputs = decoder.encode([Prompt("Name this.", (PICTURE,))])
    assert int((inputs["input_ids"] == decoder.model.config.image_token_id).sum()) == 4
    torch.testing.assert_close(inputs["pixel_values"], model.pixels([PICTURE]))


def test_a_question_in_words_takes_the_place_of_the_picture(decoder):
    assert decoder.chat.render(Prompt("Picture: dog. Name this.")) == decoder.chat.render(
        Prompt("Name this.", (PICTURE,))
    ).replace("<image>", " dog")


def test_soft_tokens_are_what_llava_puts_in_the_places(decoder):
    inputs = decoder.encode([Prompt("Name this.", (PICTURE,))])
    embedded = decoder.model.get_input_embeddings()(inputs["input_ids"])
    embedded[inputs["input_ids"] == decoder.model.config.image_token_id] = model.soft_tokens(
        decoder.model, inputs["pixel_values"]
    )[0]
    with torch.no_grad():
        seen = decoder.model(**inputs).logits
        given = decoder.model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"]).logits
    torch.testing.assert_close(seen, given)


def test_the_language_model_is_that_of_the_folder(decoder, language):
    source = open_decoder(language)
    ids = torch.tensor([[1, 5, 6, 7]])
    with torch.no_grad():
        torch.testing.assert_close(
            decoder.model(input_ids=ids).logits[..., : source.model.config.vocab_size],
            source.model(input_ids=ids).logits,
        )


def test_a_saved_model_is_an_ordinary_folder(decoder, tmp_path):
    decoder.model.save_pretrained(tmp_path)
    decoder.processor.save_pretrained(tmp_path)
    again = open_decoder(tmp_path)
    assert type(again.model).__name__ == "LlavaForConditionalGeneration"
    assert again.encoding == decoder.encoding
    prompts = [Prompt("Name this.", (PICTURE,))]
    found, before = (one.prefill(one.encode(prompts)).logits for one in (again, decoder))
    np.testing.assert_allclose(found, before, atol=1e-6)


def test_words_of_several_tokens_are_refused(decoder):
    vectors = model.word_vectors(decoder.model, decoder.processor.tokenizer, ["dog", "bomb"])
    assert vectors.shape == (2, 32)
    with pytest.raises(ValueError, match=r"^expected words of one token, got dog-house$"):
        model.word_vectors(decoder.model, decoder.processor.tokenizer, ["dog", "dog-house"])


def test_a_pair_becomes_its_task_and_its_picture(things):
    found = model.prompt(Pair(TASKS[0], CONCEPTS[2], 1), things, "dog")
    assert found.text == TASKS[0].text
    np.testing.assert_array_equal(found.images[0], pictures.draw(things[CONCEPTS[2].word][1], "dog"))


def test_naming_looks_at_the_word_behind_it_is_a(decoder, things):
    concepts = CONCEPTS[:3]
    found = model.named(decoder, concepts, things, "Name this.")
    words = [decoder.processor.tokenizer(c.word)["input_ids"][0] for c in concepts]
    for share, concept in zip(found, concepts, strict=True):
        right = []
        for thing in things[concept.word]:
            inputs = decoder.encode([Prompt("Name this.", (pictures.draw(thing),))])
            more = decoder.processor.tokenizer("It is a", return_tensors="pt")["input_ids"]
            ids = torch.cat([inputs["input_ids"], more], 1)
            with torch.no_grad():
                logits = decoder.model(input_ids=ids, pixel_values=inputs["pixel_values"]).logits[0, -1, words]
            right.append(concepts[int(logits.argmax())] == concept)
        assert share == np.mean(right)
