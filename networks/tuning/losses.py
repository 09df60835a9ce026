"""Losses that make a language model safer, after Jain et al. (NeurIPS 2024, arXiv 2407.10264, section 4).

A batch is a mapping with ``preferred`` and, but for `supervised`, ``dispreferred``: each the inputs of a model padded
on the right, with ``labels`` (n, tokens) int64 of the same tokens, -100 where no loss is taken. Each loss gives a
scalar and the means it is made of, as `train` takes them. Bind keywords with `functools.partial`.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, logsigmoid

IGNORED = -100


def mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of each row's labelled tokens, (n,) float32.

    logits: (n, tokens, vocabulary), of which those at a token predict the next. labels: (n, tokens), -100 where no loss
    is taken; the first token has none before it, so its label counts for nothing. A row without labels gives 0.
    Raises ValueError for shapes that do not fit.
    """
    if logits.ndim != 3 or labels.shape != logits.shape[:2]:
        raise ValueError(
            f"expected logits (n, tokens, vocabulary) and labels (n, tokens), got {tuple(logits.shape)} and"
            f" {tuple(labels.shape)}"
        )
    wanted = labels[:, 1:]
    each = cross_entropy(logits[:, :-1].float().transpose(1, 2), wanted, ignore_index=IGNORED, reduction="none")
    return each.sum(1) / (wanted != IGNORED).sum(1).clamp(min=1)


def answer_loss(model: Any, inputs: Mapping[str, Any]) -> Tensor:
    """The mean loss of each row's labels by a model of transformers, (n,). Logits of the prompt are not computed."""
    labels = inputs["labels"]
    given: dict[str, Any] = {name: value for name, value in inputs.items() if name != "labels"}
    kept = labels.shape[1]
    if _keeps_logits(model):
        labelled = (labels != IGNORED).any(0).nonzero()
        first = int(labelled[0]) if len(labelled) else kept - 1
        kept = given["logits_to_keep"] = labels.shape[1] - max(first - 1, 0)
    logits = model(**given, use_cache=False).logits
    return mean_cross_entropy(logits, labels[:, -kept:])


def supervised(model: Any, batch: Mapping[str, Any]) -> tuple[Tensor, dict[str, float]]:
    """SSFT: cross-entropy on preferred answers. The share of unsafe prompts is that of the examples, 20 % there."""
    preferred = answer_loss(model, batch.get("preferred", batch)).mean()
    return preferred, {"preferred": preferred.item()}


def preference(
    model: Any,
    batch: Mapping[str, Any],
    *,
    reference: Any = None,
    beta_preferred: float = 0.1,
    beta_dispreferred: float = 0.01,
) -> tuple[Tensor, dict[str, float]]:
    """DPO in the paper's form, with means over tokens for sums.

    -log sigmoid(beta_preferred (ref_pref - pref) - beta_dispreferred (ref_disp - disp)), each the mean loss of an
    answer by the reference or by the model. reference: a frozen copy (see `frozen_copy`); None for the model itself
    without its adapters. Raises ValueError for a model without adapters then.
    """
    preferred = answer_loss(model, batch["preferred"])
    dispreferred = answer_loss(model, batch["dispreferred"])
    with _reference(model, reference) as frozen:
        before = answer_loss(frozen, batch["preferred"]), answer_loss(frozen, batch["dispreferred"])
    margin = beta_preferred * (before[0] - preferred) - beta_dispreferred * (before[1] - dispreferred)
    parts = {"preferred": preferred, "dispreferred": dispreferred, "margin": margin}
    return -logsigmoid(margin).mean(), {name: value.mean().item() for name, value in parts.items()}


def unlearning(model: Any, batch: Mapping[str, Any], *, weight: float = 0.1) -> tuple[Tensor, dict[str, float]]:
    """Unlearning: the loss of preferred answers less `weight` of that of dispreferred ones. It has no lower bound."""
    preferred = answer_loss(model, batch["preferred"]).mean()
    dispreferred = answer_loss(model, batch["dispreferred"]).mean()
    return preferred - weight * dispreferred, {"preferred": preferred.item(), "dispreferred": dispreferred.item()}


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy that training does not reach: the reference of `preference` for a model tuned in full."""
    return copy.deepcopy(model).requires_grad_(False).eval()


@contextmanager
def _reference(model: Any, reference: Any) -> Iterator[Any]:
    """The frozen model, without gradients and dropout, on the device of the model."""
    if reference is None and not hasattr(model, "disable_adapter"):
        raise ValueError("expected a frozen reference for a model without adapters, got none; see frozen_copy")
    frozen = model if reference is None else reference
    device = next(model.parameters()).device
    if next(frozen.parameters()).device != device:
        frozen.to(device)
    training = [module for module in frozen.modules() if module.training]
    try:
        for module in training:
            module.training = False
        with torch.no_grad(), model.disable_adapter() if reference is None else nullcontext():
            yield frozen
    finally:
        for module in training:
            module.training = True


def _keeps_logits(model: Any) -> bool:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters
