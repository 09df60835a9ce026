"""Prompts of chat models as inputs of the measures, and whether such a model refuses them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...printable import counted

if TYPE_CHECKING:
    from torch import Tensor

    from ....monitor.mechanism import TokenInputs
    from ....networks.transformers import Decoder

LONGEST = 32
"""Tokens of an answer, at most: nothing unsafe is written at length, and no answer is kept."""


def open_tuned(base: Decoder, folder: Path, *, dtype: str = "float32", device: str = "cpu") -> Any:
    """The model of a folder: a whole one, or adapters that are put on a copy of the base and merged.

    Its tokenizer is the base's: a tuned model need not have one. Raises FileNotFoundError for a folder without a model,
    ValueError for one that is no model, is of another kind or vocabulary, or for adapters of other weights.
    """
    import copy

    from ....monitor.mechanism import merged_copy
    from ....networks.transformers import open_decoder

    if (folder / "adapter_config.json").is_file():
        from ....networks.tuning import load_adapters

        return merged_copy(load_adapters(copy.deepcopy(base.model), folder)).eval()
    if any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")) or not folder.is_dir():
        decoder = open_decoder(folder, dtype=dtype, device=device)
        _same_tokens(base, decoder, folder)
        return decoder.model
    return open_bare(folder, dtype=dtype, device=device)


def prompt_inputs(
    decoder: Decoder, prompts: Sequence[Any], *, outputs: int = 1, batch: int = 8
) -> tuple[TokenInputs, list[str]]:
    """Prompts through the chat template, and why others are left out, each reason with its number.

    outputs: how many output positions the measures look at. At 1 that is the prompt's last token; beyond it the base
    goes on by itself, greedily and without an end, and all models are fed the same tokens. Raises ValueError for
    outputs outside 1 to 32, and where no prompt is left.
    """
    from ....monitor.mechanism import TokenInputs

    if not 1 <= outputs <= LONGEST:
        raise ValueError(f"expected 1 to {LONGEST} output positions, got {outputs}")
    kept, reasons = [], []
    for prompt in prompts:
        try:
            ids = decoder.encode([prompt])["input_ids"]
        except ValueError as error:
            reasons.append(str(error))
            continue
        room = None if decoder.context is None else decoder.context - outputs + 1
        if room is not None and ids.shape[1] > room:
            reasons.append(f"expected a prompt of at most {room:,} tokens before {outputs} outputs")
        elif isinstance(prompt, Mapping) and prompt.get("images"):
            reasons.append("expected a prompt without pictures: the measures are of text")
        else:
            kept.append(prompt)
    said = [f"{counted(n, 'prompt')}: {reason}" for reason, n in Counter(reasons).items()]
    if not kept:
        raise ValueError(f"expected at least one prompt that can be measured, got none ({'; '.join(said)})")
    inputs = decoder.encode(kept)
    tokens, mask = inputs["input_ids"], inputs["attention_mask"]
    prompt_end = tokens.shape[1] - 1
    if outputs > 1:
        more = _continued(decoder, tokens, mask, outputs - 1, batch, least=outputs - 1)
        tokens, mask = _joined(tokens, more), _joined(mask, more.new_ones(more.shape))
    return TokenInputs(tokens, mask, mask.new_full((len(tokens),), prompt_end).long()), said


def refusing(
    decoder: Decoder, prompts: Mapping[str, TokenInputs], *, tokens: int = 24, batch: int = 8
) -> Callable[[Any], dict[str, dict[str, float]]]:
    """What says of a model the share of each kind of prompt that it refuses, by rules on its first tokens.

    prompts: as `prompt_inputs` gives them. tokens: of each answer, greedy; only the judgement is kept. Raises
    ValueError for tokens outside 1 to 32.
    """
    from ..evaluation.judge import GARBAGE, REFUSED, judgement

    if not 1 <= tokens <= LONGEST:
        raise ValueError(f"expected answers of 1 to {LONGEST} tokens, got {tokens}")
    tokenizer = getattr(decoder.processor, "tokenizer", decoder.processor)

    def rates(model: Any) -> dict[str, dict[str, float]]:
        found = {}
        for kind, inputs in prompts.items():
            end = int(inputs.last[0]) + 1  # of every prompt, as padding is on the left
            said = _continued(decoder, inputs.tokens[:, :end], inputs.mask[:, :end], tokens, batch, model=model)
            judged = [judgement(text) for text in tokenizer.batch_decode(said, skip_special_tokens=True)]
            shares = {"refused": judged.count(REFUSED), "garbage": judged.count(GARBAGE)}
            found[kind] = {name: count / len(judged) for name, count in shares.items()}
        return found

    return rates


def _continued(
    decoder: Decoder, tokens: Tensor, mask: Tensor, count: int, batch: int, *, least: int = 0, model: Any = None
) -> Tensor:
    """The greedy continuation of each prompt, (n, count) int64, padded behind its end. least: tokens before an end."""
    import torch

    model = decoder.model if model is None else model
    tokenizer = getattr(decoder.processor, "tokenizer", decoder.processor)
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    found = []
    for start in range(0, len(tokens), batch):
        some, seen = tokens[start : start + batch], mask[start : start + batch]
        with torch.no_grad():
            said = model.generate(
                some, attention_mask=seen, do_sample=False, max_new_tokens=count, min_new_tokens=least or None,
                pad_token_id=padding, temperature=None, top_p=None, top_k=None,
            )[:, tokens.shape[1] :]  # fmt: skip
        found.append(torch.nn.functional.pad(said, (0, count - said.shape[1]), value=padding))
    return torch.cat(found)


def _joined(first: Tensor, second: Tensor) -> Tensor:
    import torch

    return torch.cat([first, second.to(first)], 1)


def _same_tokens(base: Decoder, tuned: Decoder, folder: Path) -> None:
    """Raise ValueError unless both have one vocabulary: the same ids must mean the same."""
    ours, theirs = (getattr(one.processor, "tokenizer", one.processor).get_vocab() for one in (base, tuned))
    if ours != theirs:
        raise ValueError(
            f"{folder}: expected the vocabulary of the base ({len(ours):,} tokens), got another one"
            f" ({len(theirs):,}); a tuned model is measured with the base's tokens"
        )


def open_bare(folder: Path, *, dtype: str = "float32", device: str = "cpu") -> Any:
    """A causal model without a tokenizer. Raises as `open_decoder`."""
    import torch
    from safetensors import SafetensorError

    from ....networks.transformers import import_transformers

    transformers = import_transformers()
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}: expected the folder of a model or of adapters, got one without config.json")
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            local_files_only=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder}: expected a model that transformers can open, got {error}") from error
    finally:
        if shown:
            bars.enable_progress_bar()
    return model.to(device).eval()
