"""What a statistic measures of many prompts, each run once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MismatchError
from .deflection import all_heads
from .statistic import Head, Statistic
from .store import FeatureStore

if TYPE_CHECKING:
    from ...networks.transformers import Decoder, Prefill

Progress = Callable[[int, int], None]
"""Called with the prompts done and the prompts in all."""


@dataclass(frozen=True)
class Features:
    """What was measured of n prompts, in their order.

    heads: the m heads. values: (n, m, size) float32 or float64, NaN for a prompt that could not be judged.
    lengths: (n,) int64 tokens, 0 for such a prompt. digests: SHA-256 of each prompt's text and pictures, empty where
    one cannot be read. reasons: why a prompt could not be judged, empty where it was. source: model, dtype, encoding
    and statistic.
    Indices or a mask choose prompts: ``features[:50]``.
    """

    heads: tuple[Head, ...]
    values: np.ndarray
    lengths: np.ndarray
    digests: tuple[str, ...]
    reasons: tuple[str, ...]
    source: dict[str, str]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def judged(self) -> np.ndarray:
        """(n,) bool: whether the prompt was run and all its values are finite."""
        run = np.array([not reason for reason in self.reasons], bool)
        return run & np.isfinite(self.values).all(axis=(1, 2))

    @property
    def repeated(self) -> np.ndarray:
        """(n,) bool: whether the same prompt stands further up."""
        first = {digest: i for i, digest in reversed(list(enumerate(self.digests)))}
        return np.array([bool(digest) and first[digest] < i for i, digest in enumerate(self.digests)], bool)

    def __getitem__(self, chosen: Any) -> Features:
        indices = np.atleast_1d(np.arange(len(self))[chosen])
        return replace(
            self,
            values=self.values[indices],
            lengths=self.lengths[indices],
            digests=tuple(self.digests[i] for i in indices),
            reasons=tuple(self.reasons[i] for i in indices),
        )

    def of(self, heads: Sequence[Head]) -> np.ndarray:
        """The values of some heads, (n, len(heads), size). Raises ValueError for one that was not measured."""
        places = {head: i for i, head in enumerate(self.heads)}
        missing = [head for head in heads if head not in places]
        if missing:
            raise ValueError(f"expected features of head {missing[0]}, got those of {len(self.heads)} other heads")
        return self.values[:, [places[head] for head in heads]]


def source_of(decoder: Decoder, statistic: Statistic) -> dict[str, str]:
    """What features depend on besides the prompt."""
    return {
        "fingerprint": decoder.fingerprint,
        "dtype": decoder.dtype,
        "encoding": decoder.encoding,
        "measured": statistic.measured,
    }


def measure(
    decoder: Decoder, prompts: Iterable[Any], statistic: Statistic, heads: Sequence[Head] | None = None, *,
    batch: int = 1, progress: Progress | None = None, store: FeatureStore | None = None,
    source: dict[str, str] | None = None,
) -> Features:  # fmt: skip
    """Run every prompt once and measure these heads, or all of them.

    batch: prompts run at once, of similar length and padded on the left. In half precision their values depend on it a
    little, so measure as the guard will serve. store: kept features; those it holds are not run again, and it is
    written every so often. source: what `source_of` says, where that is known. A prompt that cannot be judged has its
    reason, and the rest goes on. Raises MismatchError for a store of another model, dtype, encoding or statistic.
    """
    if batch < 1:
        raise ValueError(f"expected a batch of at least 1 prompt, got {batch}")
    things = listed(prompts)
    heads = tuple(all_heads(decoder) if heads is None else heads)
    source = source_of(decoder, statistic) if source is None else source
    digests = [prompt_digest(thing) for thing in things]
    found: dict[int, tuple[np.ndarray, int]] = {}
    reasons = [""] * len(things)
    if store is not None:
        store.open(source, heads)
        found = {i: kept for i, digest in enumerate(digests) if digest and (kept := store.get(digest)) is not None}
    missing = sorted((i for i in range(len(things)) if i not in found), key=lambda i: (_size(things[i]), i))
    done = len(found)
    if progress:
        progress(done, len(things))
    try:
        for start in range(0, len(missing), batch):
            some = missing[start : start + batch]
            for i, outcome in zip(some, _run(decoder, statistic, [things[i] for i in some], heads), strict=True):
                if isinstance(outcome, str):
                    reasons[i] = outcome
                    continue
                found[i] = outcome
                if store is not None and digests[i]:
                    store.put(digests[i], *outcome)
            done += len(some)
            if progress:
                progress(done, len(things))
    finally:
        if store is not None:
            store.flush()
    return _joined(heads, found, digests, reasons, source, decoder.head_dim if statistic.measured == "read_out" else 1)


def listed(prompts: Iterable[Any]) -> list[Any]:
    """Prompts as a list. Raises TypeError for a single one, whose letters or keys would be taken for prompts."""
    if isinstance(prompts, (str, bytes, Mapping)) or hasattr(prompts, "text"):
        raise TypeError(f"expected a list of prompts, got one {type(prompts).__name__}; put it in a list")
    return list(prompts)


def check_source(features: Features, decoder: Decoder, statistic: Statistic) -> None:
    """Raise MismatchError, naming what differs, unless these features are of this model and statistic."""
    for name, expected in source_of(decoder, statistic).items():
        if features.source[name] != expected:
            raise MismatchError(f"expected features of {name} {expected}, got {features.source[name]}")


def prompt_digest(thing: Any) -> str:
    """SHA-256 of the text and pictures of a prompt, in hexadecimal; empty for what cannot be read."""
    text, images = _parts(thing)
    if text is None:
        return ""
    digest = hashlib.sha256(len(data := text.encode("utf-8", "surrogatepass")).to_bytes(8, "little") + data)
    for image in images:
        try:
            digest.update(hashlib.sha256(_bytes(image)).digest())
        except (OSError, ValueError, TypeError):
            return ""
    return digest.hexdigest()


def _parts(thing: Any) -> tuple[str | None, Sequence[Any]]:
    if isinstance(thing, str):
        return thing, ()
    if isinstance(thing, Mapping):
        text, images = thing.get("prompt"), thing.get("images")
        if images is None:
            images = () if thing.get("image") is None else (thing["image"],)
    else:
        text, images = getattr(thing, "text", None), getattr(thing, "images", ())
    if not isinstance(text, str) or not isinstance(images, Sequence) or isinstance(images, str):
        return None, ()
    return text, images


def _bytes(image: Any) -> bytes:
    if isinstance(image, (str, os.PathLike)):
        return b"file" + Path(image).read_bytes()
    array = np.asarray(image)
    if array.dtype == object:
        raise TypeError("no picture")
    mode = getattr(image, "mode", "")
    colours = bytes(image.getpalette("RGBA")) if mode in ("P", "PA") else b""
    return f"{mode} {array.dtype} {array.shape} {len(colours)}".encode() + colours + array.tobytes()


def _size(thing: Any) -> tuple[bool, int]:
    """What prompts are sorted by, so that those of a batch are of one kind and of similar length."""
    text, images = _parts(thing)
    return bool(images), len(text or "")


def prefills(decoder: Decoder, things: Sequence[Any], keep: int | None) -> Iterator[tuple[list[int], Prefill | str]]:
    """One pass over prompts, or one each where they make no batch: whose it is, and the pass or why there is none.

    They make none where one cannot be judged, or where their pictures have several shapes.
    """
    try:
        inputs = decoder.encode(list(things))
    except ValueError as error:
        from ...networks.transformers import PromptError

        if len(things) == 1:
            if not isinstance(error, PromptError):
                raise
            yield [0], str(error) or "it cannot be read"
            return
        for i, thing in enumerate(things):
            for _, outcome in prefills(decoder, [thing], keep):
                yield [i], outcome
        return
    yield list(range(len(things))), decoder.prefill(inputs) if keep is None else decoder.prefill(inputs, keep=keep)


def _run(
    decoder: Decoder, statistic: Statistic, things: list[Any], heads: Sequence[Head]
) -> list[tuple[np.ndarray, int] | str]:
    """The values (heads, size) and length of each prompt, or why it could not be judged."""
    found: list[tuple[np.ndarray, int] | str] = []
    for whose, outcome in prefills(decoder, things, statistic.keep(heads)):
        if isinstance(outcome, str):
            found.append(outcome)
            continue
        with np.errstate(invalid="ignore"):
            values = statistic.measure(decoder, outcome, heads)
        lengths = np.asarray(outcome.lengths)
        found += [(np.array(values[i]), int(lengths[i])) for i in range(len(whose))]
    return found


def _joined(
    heads: tuple[Head, ...], found: dict[int, tuple[np.ndarray, int]], digests: list[str], reasons: list[str],
    source: dict[str, str], size: int,
) -> Features:  # fmt: skip
    n = len(digests)
    example = next(iter(found.values()))[0] if found else np.empty((len(heads), size), np.float32)
    values = np.full((n, *example.shape), np.nan, example.dtype)
    lengths = np.zeros(n, np.int64)
    for i, (value, length) in found.items():
        values[i], lengths[i] = value, length
    return Features(heads, values, lengths, tuple(digests), tuple(reasons), source)
