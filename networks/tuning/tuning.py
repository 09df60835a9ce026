"""Carry out a plan: open a model, put adapters on, make examples of pairs, train, and leave a model that opens."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..network import NetworkWarning
from ..transformers.decoder import Decoder
from ..transformers.opening import open_decoder
from . import losses
from .adapters import load_adapters, merged, with_adapters
from .encoding import PairExamples
from .pairs import read_pairs
from .plan import TuningPlan
from .record import TrainingError, in_json
from .training import Trained, train
from .weights import save_weights

_NAMED = 3


def tune(plan: TuningPlan, *, progress: Callable[[int, int], None] | None = None) -> Trained:
    """Make a model safer as a plan says. What was cut off goes on, what is finished is not done again.

    Afterwards the output folder holds the adapters, or the model in full, with its tokenizer or processor, the record
    ``training.json`` and the plan. Pairs that are left out are counted in a NetworkWarning.
    Raises FileNotFoundError, ValueError and TrainingError, each with what to do; see `train`.
    """
    decoder = open_decoder(plan.model, dtype=plan.dtype, system=plan.system)
    examples = _examples(plan, decoder)
    model = decoder.model
    loss = _loss(plan, model)
    facts = in_json(plan.settings() | {"encoding": decoder.encoding})
    model = model.requires_grad_(True) if plan.full else adapted(plan, model)
    how: dict[str, Any] = {"progress": progress, "device": plan.device, "keep": facts}
    if loss is None:
        trained = _by_trl(plan, model, decoder, examples, how)
    else:
        trained = train(model, examples, loss, plan.schedule, plan.output, collate=examples.collate, **how)
    decoder.processor.save_pretrained(plan.output)
    plan.write(plan.output / "plan.yaml")
    if plan.merge and not (plan.output / "merged").is_dir():
        _write_merged(model, decoder.processor, plan.output / "merged")
    return trained


def adapted(plan: TuningPlan, model: Any) -> Any:
    """The model with the adapters of a plan."""
    found = with_adapters(
        model, plan.rank, alpha=plan.alpha, dropout=plan.dropout, targets=plan.targets, seed=plan.seed
    )  # fmt: skip
    for config in found.peft_config.values():
        config.base_model_name_or_path = str(plan.model.absolute())
    return found


def open_tuned(
    folder: str | Path, base: str | Path | None = None, *, dtype: str = "float32", device: str = "cpu"
) -> Decoder:
    """A tuned model, from the output of `tune` or another folder of transformers; adapters are merged into their base.

    base: the folder of the model below the adapters, if it has moved since. Raises as `open_decoder` and
    `load_adapters` do.
    """
    folder = Path(folder)
    if not (folder / "adapter_config.json").is_file():
        return open_decoder(folder, dtype=dtype, device=device)
    try:
        below = base or json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        raise TrainingError(f"{folder / 'adapter_config.json'}: expected the base of adapters, got none") from None
    if not below or not Path(below).exists():
        raise FileNotFoundError(f"{folder}: expected the model below its adapters at {below}, got no such thing")
    opened = open_decoder(below, dtype=dtype)
    model = merged(load_adapters(opened.model, folder)).to(device).eval()
    return Decoder(model, opened.processor, system=opened.system)


def _examples(plan: TuningPlan, decoder: Decoder) -> PairExamples:
    try:
        chat = decoder.chat
    except ValueError as error:
        raise ValueError(f"{plan.model}: {error}") from None
    pairs, wrong = read_pairs(plan.pairs, refusal=plan.refusal, both=plan.both)
    limits = [limit for limit in (decoder.context, plan.max_tokens) if limit is not None]
    context = min(limits, default=None)
    try:
        examples = PairExamples(pairs, chat, context=context, both=plan.both)
        _tell(plan.pairs, wrong + examples.wrong, examples.too_long, context)
        if plan.share is not None:
            examples.share_out(plan.share)
    except ValueError as error:
        raise ValueError(f"{plan.pairs}: {error}") from None
    return examples


def _tell(path: Path, wrong: list[str], too_long: int, context: int | None) -> None:
    if too_long:
        what = "1 pair of more than {} tokens is" if too_long == 1 else f"{too_long} pairs of more than {{}} tokens are"
        warnings.warn(f"{path}: {what.format(context)} left out", NetworkWarning, stacklevel=4)
    if wrong:
        what = "1 line or pair is" if len(wrong) == 1 else f"{len(wrong)} lines or pairs are"
        more = "; and others" if len(wrong) > _NAMED else ""
        said = f"{path}: {what} left out: {'; '.join(wrong[:_NAMED])}{more}"
        warnings.warn(said, NetworkWarning, stacklevel=4)


def _loss(plan: TuningPlan, model: Any) -> Any:
    if plan.method == "dpo":
        return partial(
            losses.preference, reference=losses.frozen_copy(model) if plan.full else None,
            beta_preferred=plan.beta_preferred, beta_dispreferred=plan.beta_dispreferred,
        )  # fmt: skip
    if plan.method == "unlearning":
        return partial(losses.unlearning, weight=plan.unlearning_weight)
    return losses.supervised if plan.method == "ssft" else None


def _by_trl(plan: TuningPlan, model: Any, decoder: Decoder, examples: PairExamples, how: dict[str, Any]) -> Trained:
    """The trainers of trl, which take texts alone."""
    trained: Trained
    chat: Any = import_module(".chat", __package__)
    if any(pair.images for pair in examples.pairs):
        raise ValueError(f"{plan.pairs}: expected prompts without pictures for trl's trainers, got some with; use ssft")
    given, how = (plan.schedule, plan.output), how | {"system": decoder.system}
    if plan.method == "sft":
        lessons = [SimpleNamespace(prompt=one.prompt, answer=one.preferred, whole=True) for one in examples.pairs]
        trained = chat.supervise(model, decoder.processor, lessons, *given, **how)
        return trained
    reference = open_decoder(plan.model, dtype=plan.dtype).model
    beta = plan.beta_preferred
    trained = chat.prefer(model, reference, decoder.processor, examples.pairs, *given, beta=beta, **how)
    return trained


def _write_merged(model: Any, processor: Any, folder: Path) -> None:
    """A whole model in a folder, whole or not at all."""
    temporary = folder.with_name(f".{folder.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_weights(merged(model), temporary)
    processor.save_pretrained(temporary)
    temporary.replace(folder)
