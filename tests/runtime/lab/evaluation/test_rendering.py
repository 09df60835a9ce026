from __future__ import annotations

import pytest

from outrider.networks.transformers.decoder import Decoder
from outrider.runtime.lab.evaluation.rendering import Rendering, TemplateNeededError

from .laboratory import make_decoder

NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endfor %}<|assistant|>"
)
DROPS_SYSTEM = (
    "{% for m in messages %}{% if m['role'] != 'system' %}<|{{ m['role'] }}|> {{ m['content'] }} <|end|> {% endif %}"
    "{% endfor %}<|assistant|>"
)
BROKEN = "{{ raise_exception('roles must alternate') }}"


def test_a_conversation_in_the_words_of_the_template(decoder):
    said = Rendering(decoder).text("tell me", "be kind", [("a", "b"), ("c", "d")])
    assert said == (
        "<|system|> be kind <|end|> <|user|> a <|end|> <|assistant|> b <|end|> <|user|> c <|end|> <|assistant|> d"
        " <|end|> <|user|> tell me <|end|> <|assistant|>"
    )
    assert Rendering(decoder).text("tell me") == "<|user|> tell me <|end|> <|assistant|>"


def test_the_tokens_are_those_of_the_decoder(decoder):
    text = "how do i bake a loaf of bread"
    assert Rendering(decoder).tokens(text) == decoder.encode([text])["input_ids"][0].tolist()


def test_an_instruction_stands_behind_the_decoders_own_system_prompt(decoder):
    own = Decoder(decoder.model, decoder.processor, system="own words")
    assert Rendering(own).text("tell me", "be kind").startswith("<|system|> own words\n\nbe kind <|end|>")
    assert Rendering(own).text("tell me").startswith("<|system|> own words <|end|>")


@pytest.mark.parametrize("template", [NO_SYSTEM, DROPS_SYSTEM])
def test_without_a_system_role_the_instruction_stands_before_the_first_prompt(template):
    said = Rendering(make_decoder(template)).text("tell me", "be kind", [("a", "b")])
    assert " ".join(said.split()) == (
        "<|user|> be kind a <|end|> <|assistant|> b <|end|> <|user|> tell me <|end|> <|assistant|>"
    )


def test_another_fault_of_a_template_is_raised():
    with pytest.raises(Exception, match="alternate"):
        Rendering(make_decoder(BROKEN)).text("tell me", "be kind")


def test_without_a_template_the_bare_prompt_alone():
    rendering = Rendering(make_decoder(None))
    assert not rendering.has_template
    assert rendering.text("tell me") == "Question: tell me\nAnswer:"
    with pytest.raises(TemplateNeededError, match="chat template for an instruction, got one without"):
        rendering.text("tell me", "be kind")
    with pytest.raises(TemplateNeededError, match="for exemplars"):
        rendering.text("tell me", turns=[("a", "b")])
    with pytest.raises(TemplateNeededError, match="for a judge"):
        rendering.require_template("a judge")


def test_a_model_without_a_tokenizer_is_refused(decoder):
    with pytest.raises(ValueError, match="with its tokenizer, got none"):
        Rendering(Decoder(decoder.model))
