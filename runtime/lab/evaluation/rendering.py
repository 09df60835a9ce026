"""Conversations as tokens: system prompt, turns of exemplars, and the user's prompt, by the model's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ....networks.transformers import Decoder

_BARE = "Question: {prompt}\nAnswer:"


class TemplateNeededError(ValueError):
    """A defence needs a chat template, and the model has none."""


class Rendering:
    """How a model is spoken to. decoder: with its processor or tokenizer.

    A model without a chat template is given the prompt as ``Question: … Answer:``; it takes neither a system prompt nor
    turns. Where a template has no system role, the instruction stands before the first prompt.
    """

    def __init__(self, decoder: Decoder) -> None:
        if decoder.processor is None:
            raise ValueError("expected a model with its tokenizer, got none; give Decoder(model, tokenizer)")
        self.processor = decoder.processor
        self.tokenizer = getattr(self.processor, "tokenizer", self.processor)
        self._sees = self.tokenizer is not self.processor
        self._own = decoder.system
        template = getattr(self.processor, "chat_template", None)
        self._owner = self.processor if template else self.tokenizer
        self.has_template = bool(template or getattr(self.tokenizer, "chat_template", None))

    def require_template(self, why: str) -> None:
        """Raise TemplateNeededError where there is no chat template. why: what needs one, for the message."""
        if not self.has_template:
            raise TemplateNeededError(
                f"expected a tokenizer with a chat template for {why}, got one without; set tokenizer.chat_template to"
                " the one that the model was tuned with"
            )

    def text(self, prompt: str, system: str | None = None, turns: Sequence[tuple[str, str]] = ()) -> str:
        """The conversation in the words of the template, to the point where the answer begins.

        system: an instruction, behind the system prompt that the decoder was given, if any. turns: prompts and answers
        that go before. Raises TemplateNeededError for either without a chat template.
        """
        if not self.has_template:
            if system is not None or turns:
                self.require_template("an instruction" if system is not None else "exemplars")
            return _BARE.format(prompt=prompt)
        said = "\n\n".join(part for part in (self._own, system) if part) or None
        messages = [(role, words) for turn in turns for role, words in zip(("user", "assistant"), turn, strict=True)]
        messages.append(("user", prompt))
        if said is None:
            return self._applied(messages)
        try:
            text = self._applied([("system", said), *messages])
        except Exception as error:  # a template refuses a role by an exception of jinja's, of any kind
            if "system" not in str(error).lower():
                raise
            text = ""
        if said in text:
            return text
        (role, first), *rest = messages
        return self._applied([(role, f"{said}\n\n{first}"), *rest])

    def tokens(self, prompt: str, system: str | None = None, turns: Sequence[tuple[str, str]] = ()) -> list[int]:
        """The tokens of `text`."""
        text = self.text(prompt, system, turns)
        return list(self.tokenizer(text, add_special_tokens=not self.has_template)["input_ids"])

    def _applied(self, messages: Sequence[tuple[str, str]]) -> str:
        made: list[dict[str, Any]] = [
            {"role": role, "content": [{"type": "text", "text": words}] if self._sees else words}
            for role, words in messages
        ]
        return str(self._owner.apply_chat_template(made, tokenize=False, add_generation_prompt=True))
