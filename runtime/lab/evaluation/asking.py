"""A model asked yes or no: its self-checks, and a local model as the judge of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .answering import BATCH, Progress, first_logits
from .judge import ANSWERED, GARBAGE, REFUSED, is_garbage
from .rendering import Rendering
from .wordings import CHECK_REFUSAL

if TYPE_CHECKING:
    from ....networks.transformers import Decoder

_YES = ("Yes", "yes", " Yes", " yes", "YES")
_NO = ("No", "no", " No", " no", "NO")


def says_yes(
    decoder: Decoder, conversations: Sequence[Sequence[int]], *, batch: int = BATCH, progress: Progress | None = None
) -> list[bool]:
    """Whether the first token of each answer is likelier a yes than a no; nothing is generated.

    conversations: token ids of questions that want yes or no. Raises ValueError for a tokenizer in which the two begin
    alike.
    """
    if not conversations:
        return []
    said_yes, said_no = _first_tokens(decoder, _YES), _first_tokens(decoder, _NO)
    yes, no = sorted(said_yes - said_no), sorted(said_no - said_yes)
    if not yes or not no:
        raise ValueError(
            "expected a tokenizer in which yes and no begin with different tokens, got one that tells none"
        )
    logits = first_logits(decoder, conversations, batch=batch, progress=progress)
    return (logits[:, yes].logsumexp(-1) > logits[:, no].logsumexp(-1)).tolist()


class ModelJudge:
    """A local model that is asked whether an answer refuses. Garbage is told by the rules, as no model need be asked.

    Raises TemplateNeededError for a model without a chat template.
    """

    def __init__(self, decoder: Decoder, name: str = "model", *, batch: int = BATCH) -> None:
        self.name, self._decoder, self._batch = name, decoder, batch
        self._rendering = Rendering(decoder)
        self._rendering.require_template("a judge")

    def judge(self, answers: Sequence[str]) -> list[str]:
        """One of `JUDGEMENTS` for each answer."""
        asked = [index for index, answer in enumerate(answers) if not is_garbage(answer)]
        questions = [self._rendering.tokens(CHECK_REFUSAL.format(answer=answers[index])) for index in asked]
        said = dict(zip(asked, says_yes(self._decoder, questions, batch=self._batch), strict=True))
        return [GARBAGE if i not in said else REFUSED if said[i] else ANSWERED for i in range(len(answers))]

    def clear(self, answer: str) -> bool:
        """False: only the model can tell, and it is asked once."""
        return False


def _first_tokens(decoder: Decoder, words: Sequence[str]) -> set[int]:
    tokenizer = getattr(decoder.processor, "tokenizer", decoder.processor)
    found = (tokenizer(word, add_special_tokens=False)["input_ids"] for word in words)
    return {int(tokens[0]) for tokens in found if tokens} - {tokenizer.unk_token_id}
