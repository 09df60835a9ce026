"""Prompts as tokens: template, tail, padding, and every line that cannot be judged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from outrider.networks.transformers import Chat, Decoder, Prompt, PromptError, as_prompt, import_transformers
from outrider.networks.transformers.prompts import left_padded


def test_a_prompt_ends_where_the_answer_begins(tokenizer):
    text = Chat(tokenizer).render(Prompt("how do i bake a cake"))
    assert text.endswith("<s> assistant")
    assert text.startswith("<s> system be kind")
    assert Chat(tokenizer, system="tell me").render(Prompt("story")).startswith("<s> system tell me </s>")


def test_a_batch_is_padded_on_the_left_and_judged_as_its_parts(tokenizer, decoder_model):
    decoder = Decoder(decoder_model("llama"), tokenizer)
    prompts = ["how do i bake a cake", "kill process"]
    both = decoder.encode(prompts)
    assert both["attention_mask"][1].tolist() == [0] * 4 + [1] * (both["input_ids"].shape[1] - 4)
    assert both["input_ids"][1, :4].tolist() == [tokenizer.pad_token_id] * 4
    joint = decoder.prefill(both).final
    for row, prompt in enumerate(prompts):
        alone = tokenizer(decoder.chat.render(Prompt(prompt)), return_tensors="pt", add_special_tokens=False)
        np.testing.assert_allclose(decoder.prefill(alone).final[0], joint[row], atol=1e-5)


def test_another_template_system_prompt_or_vocabulary_has_another_digest(tokenizer):
    digest = Chat(tokenizer).digest
    assert Chat(tokenizer).digest == digest
    assert Chat(tokenizer, system="be kind").digest != digest
    template = tokenizer.chat_template
    try:
        tokenizer.chat_template = template.replace("assistant", "tell")
        assert Chat(tokenizer).digest != digest
        tokenizer.chat_template = None
        with pytest.raises(ValueError, match="chat template, got one without"):
            Chat(tokenizer)
    finally:
        tokenizer.chat_template = template


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (None, "got NoneType"),
        (7, "got int"),
        ({"text": "hello"}, "a mapping with text"),
        ({"prompt": 3}, "a mapping with prompt"),
        ({"prompt": "hello", "images": "a.png"}, "list of pictures"),
        ({"prompt": "hello", "image": "a.png", "images": ["b.png"]}, "got both"),
    ],
)
def test_what_is_no_prompt_is_named(thing, words):
    with pytest.raises(PromptError, match=words):
        as_prompt(thing)


def test_pictures_come_under_either_name():
    assert as_prompt({"prompt": "a", "image": "x.png"}) == Prompt("a", ("x.png",))
    assert as_prompt({"prompt": "a", "image": None, "label": "safe"}) == Prompt("a")
    assert as_prompt({"prompt": "a", "images": ["x.png", "y.png"]}) == Prompt("a", ("x.png", "y.png"))


def test_the_context_holds_its_last_token_and_no_more(tokenizer):
    length = Chat(tokenizer).encode(["cake"])["input_ids"].shape[1]
    assert Chat(tokenizer, context=length).encode(["cake"])["input_ids"].shape[1] == length
    with pytest.raises(PromptError, match=f"at most {length - 1} tokens, got {length}"):
        Chat(tokenizer, context=length - 1).encode(["cake"])


def test_in_a_batch_the_bad_prompt_is_named(tokenizer):
    with pytest.raises(PromptError, match="prompt 1: expected a prompt with words"):
        Chat(tokenizer).encode(["cake", ""])
    with pytest.raises(PromptError, match="without pictures for a model of text"):
        Chat(tokenizer).encode([Prompt("cake", (np.zeros((2, 2, 3), np.uint8),))])
    with pytest.raises(ValueError, match="at least one prompt"):
        Chat(tokenizer).encode([])


@pytest.fixture
def processor(tokenizer):
    """LLaVA's processor over the tokenizer of words."""
    transformers = import_transformers()
    pictures = transformers.CLIPImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, do_center_crop=True
    )
    words = tokenizer.__class__(tokenizer_object=tokenizer.backend_tokenizer, pad_token="<pad>", bos_token="<s>",
                                eos_token="</s>", unk_token="<unk>")  # fmt: skip
    words.add_tokens(["<image>"], special_tokens=True)
    template = (
        "{% for m in messages %}<s> {{ m['role'] }} {% for part in m['content'] %}"
        "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}{% endfor %}{% endfor %}"
        "{% if add_generation_prompt %}<s> assistant{% endif %}"
    )
    return transformers.LlavaProcessor(
        image_processor=pictures, tokenizer=words, patch_size=8, vision_feature_select_strategy="default",
        chat_template=template, num_additional_image_tokens=1,
    )  # fmt: skip


def test_pictures_go_where_the_template_wants_them(processor, tmp_path):
    from PIL import Image

    chat = Chat(processor)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    path = tmp_path / "picture.png"
    Image.fromarray(pixels).save(path)
    seen = [chat.encode([Prompt("what is", (image,))]) for image in (pixels, path, str(path), Image.open(path))]
    image_token = processor.tokenizer.convert_tokens_to_ids("<image>")
    for one in seen:
        assert (one["input_ids"] == image_token).sum() == 4
        assert torch.equal(one["pixel_values"], seen[0]["pixel_values"])
        assert one["input_ids"][0, :1].tolist() == [1]
    both = chat.encode([Prompt("what is", (pixels,)), Prompt("tell me a story", (pixels,))])
    assert both["pixel_values"].shape[0] == 2


def test_a_picture_that_cannot_be_read_is_named(processor, tmp_path):
    from PIL import Image

    chat = Chat(processor)
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n\x1a\n torn")
    for image, words in (
        (torn, "torn.png"),
        (tmp_path / "none.png", "none.png"),
        ("no\0name.png", "null byte"),
        (np.zeros((4, 4), np.uint8), r"got uint8 \(4, 4\)"),
        (Image.new("I;16", (4, 4)), "expected a picture of 8 bits, got uint16"),
        (Image.new("RGBA", (4, 4)), "transparent pixels"),
        (3, "got int"),
    ):
        with pytest.raises(PromptError, match=words):
            chat.encode([Prompt("what is", (image,))])


def test_what_a_processor_cannot_take_is_the_prompts_fault(processor, tokenizer):
    """Half of a surrogate pair, as JSON may hold it; and a picture's placeholder in the text of a prompt."""
    with pytest.raises(PromptError, match=r"prompt 1: .* can take, got TypeError"):
        Chat(tokenizer).encode(["cake", "cake \ud800"])
    pixels = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(PromptError, match="expected a prompt that LlavaProcessor can take, got "):
        Chat(processor).encode([Prompt("what is <image> and <image>", (pixels,))])


def test_padding_on_the_right_moves_to_the_left():
    inputs = {"input_ids": torch.tensor([[5, 6, 0], [7, 8, 9]]), "attention_mask": torch.tensor([[1, 1, 0], [1] * 3])}
    moved = left_padded(inputs)
    assert moved["input_ids"].tolist() == [[0, 5, 6], [7, 8, 9]]
    assert moved["attention_mask"].tolist() == [[0, 1, 1], [1, 1, 1]]
    assert left_padded(moved)["input_ids"].tolist() == moved["input_ids"].tolist()


@pytest.mark.parametrize("mask", [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
def test_padding_elsewhere_is_refused(mask):
    with pytest.raises(ValueError, match="padding on one side"):
        left_padded({"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": torch.tensor([mask])})


def test_inputs_without_tokens_are_refused():
    with pytest.raises(ValueError, match="got neither"):
        left_padded({"attention_mask": torch.ones(1, 3)})
    with pytest.raises(ValueError, match=r"attention mask of \(1, 2\)"):
        left_padded({"input_ids": torch.ones(1, 2), "attention_mask": torch.ones(1, 3)})


def test_an_answer_is_written_as_the_template_does_to_its_end(tokenizer):
    chat, prompt = Chat(tokenizer), Prompt("how do i bake a cake")
    assert chat.render_answer(prompt, "be kind") == " be kind </s>"
    template = tokenizer.chat_template
    try:
        tokenizer.chat_template = template.replace("</s> {% endfor %}", "{% endfor %}")  # an answer without its end
        assert Chat(tokenizer).render_answer(prompt, "be kind") == " be kind</s>"
        tokenizer.chat_template = template.replace("<s> {{ message['role'] }}", "{{ loop.length }}")
        assert Chat(tokenizer).render_answer(prompt, "be kind") == "be kind</s>"  # the prompt is written otherwise
    finally:
        tokenizer.chat_template = template
