"""What one pass of a model gives of each prompt, computed once and kept in the user's cache folder.

The file's name holds the model's fingerprint and that of its chat template, so that another model or another way to
make tokens never reads it. Prompts are known there by their SHA-256 alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from outrider.monitor.heads import deflection_angle
from outrider.networks import cache_folder
from outrider.networks.transformers import Decoder, Prefill

BATCH = 8
# First tokens of a refusal: their log-probability as the first token of the answer.
REFUSALS = ("Sorry", "I", "Unfortunately", "As")
# Words of refusal in the vocabulary, for HiddenDetect.
REFUSAL_WORDS = ("sorry", " sorry", "Sorry", " cannot", " unable", "Unfortunately", " unfortunately", " refuse")


@dataclass(frozen=True)
class Measured:
    """Arrays with a row for each prompt.

    length: real tokens, (n,). heads: each head's output at the last prompt token, (n, layers, heads, head_dim).
    states: input of each layer there, (n, layers, width). mlp: output of each MLP there, (n, layers, width).
    refusal: log-probability of each of `REFUSALS` as the first answer token, (n, 4). words: cosine of each layer's
    output, read in the vocabulary, to `REFUSAL_WORDS`, (n, layers). angles: deflection by the `last_query` mask of
    each head in degrees, (n, layers * heads); NaN where it was not asked for. All are float32.
    """

    texts: tuple[str, ...]
    length: np.ndarray
    heads: np.ndarray
    states: np.ndarray
    mlp: np.ndarray
    refusal: np.ndarray
    words: np.ndarray
    angles: np.ndarray

    def of(self, texts: Sequence[str]) -> Measured:
        """The rows of some prompts, in their order. Raises KeyError for a prompt that has no row."""
        place = {text: i for i, text in enumerate(self.texts)}
        rows = np.array([place[text] for text in texts], dtype=int)
        return replace(self, texts=tuple(texts), **{name: getattr(self, name)[rows] for name in ARRAYS})

    def __len__(self) -> int:
        return len(self.texts)


ARRAYS = tuple(field.name for field in fields(Measured) if field.name != "texts")


def measured(decoder: Decoder, texts: Sequence[str], *, angles: bool = True, folder: Path | None = None) -> Measured:
    """The features of prompts, from the cache where they are there.

    angles: whether the deflection of every head is wanted, which takes two to three prefills more. folder: that of the
    cache, by default `benchmarks/heads` in the user's cache folder.
    """
    folder = cache_folder() / "benchmarks" / "heads" if folder is None else folder
    path = folder / f"{decoder.fingerprint[:16]}-{decoder.encoding[:8]}-{decoder.dtype}.npz"
    keys = [key(text) for text in texts]
    known = _load(path)
    missing = [
        text
        for text, name in dict(zip(texts, keys, strict=True)).items()
        if name not in known or (angles and np.isnan(known[name]["angles"]).any())
    ]
    if missing:
        for done, (text, row) in enumerate(_rows(decoder, missing, angles=angles), 1):
            known[key(text)] = row
            if done % 100 == 0 or done == len(missing):
                print(f"{done:,} of {len(missing):,} prompts measured", file=sys.stderr, flush=True)
            if done % 200 == 0:
                _save(path, known)
        _save(path, known)
    return Measured(tuple(texts), *(np.stack([known[name][array] for name in keys]) for array in ARRAYS))


def key(text: str) -> str:
    """The SHA-256 of a prompt, in hexadecimal digits."""
    return sha256(text.encode()).hexdigest()


def _rows(decoder: Decoder, texts: Sequence[str], *, angles: bool) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Measured prompt by prompt, in batches of prompts of about one length."""
    order = sorted(texts, key=len)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        _, found = of_pass(decoder, decoder.encode(batch), angles=angles)
        for i, text in enumerate(batch):
            yield text, {name: np.asarray(value[i]) for name, value in found.items()}


def of_pass(decoder: Decoder, inputs: Mapping[str, Any], *, angles: bool) -> tuple[Prefill, dict[str, np.ndarray]]:
    """A plain pass over a batch of inputs, and the arrays of `Measured` of it, by name."""
    tokenizer = getattr(decoder.processor, "tokenizer", decoder.processor)
    first = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in REFUSALS]
    vocabulary = sorted({tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in REFUSAL_WORDS})
    with _mlp_outputs(decoder) as seen:
        prefill = decoder.prefill(inputs)
    logits = torch.from_numpy(prefill.logits).log_softmax(-1)
    if angles:
        bent = deflection_angle(prefill.final[:, None], decoder.last_query(prefill)).astype(np.float32)
    else:
        bent = np.full((len(logits), decoder.layers * decoder.heads), np.nan, np.float32)
    return prefill, {
        "length": prefill.lengths.astype(np.float32),
        "heads": prefill.heads,
        "states": prefill.states,
        "mlp": np.stack([seen[name] for name in sorted(seen)], 1),
        "refusal": logits[:, first].numpy(),
        "words": _in_vocabulary(decoder, prefill.states, prefill.final, vocabulary),
        "angles": bent,
    }


@contextmanager
def _mlp_outputs(decoder: Decoder) -> Iterator[dict[int, np.ndarray]]:
    """Each layer's MLP output at the last position, (batch, width), filled in by the next forward."""
    blocks = [layer.mlp for layer in decoder.backbone.layers]
    seen: dict[int, np.ndarray] = {}

    def hook(place: int) -> Any:
        def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
            seen[place] = output[:, -1].detach().float().numpy()

        return keep

    handles = [block.register_forward_hook(hook(i)) for i, block in enumerate(blocks)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def _in_vocabulary(decoder: Decoder, states: np.ndarray, final: np.ndarray, words: Sequence[int]) -> np.ndarray:
    """The cosine of each layer's output, read by the model's own last norm and head, to the sum of `words`."""
    norm, head = decoder.backbone.norm, decoder.model.get_output_embeddings()
    dtype = head.weight.dtype
    columns = []
    for layer in range(1, decoder.layers + 1):
        last = layer == decoder.layers
        state = torch.from_numpy(final if last else states[:, layer]).to(dtype)
        logits = head(state if last else norm(state)).float()
        columns.append(logits[:, list(words)].sum(-1) / (logits.norm(dim=-1) * len(words) ** 0.5))
    return torch.stack(columns, 1).numpy()


def _load(path: Path) -> dict[str, dict[str, np.ndarray]]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in ("keys", *ARRAYS)}
    return {str(k): {name: arrays[name][i] for name in ARRAYS} for i, k in enumerate(arrays["keys"])}


def _save(path: Path, known: dict[str, dict[str, np.ndarray]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new.npz")
    columns = {name: np.stack([row[name] for row in known.values()]) for name in ARRAYS}
    np.savez(new, keys=np.array(list(known)), **columns)
    new.replace(path)
