"""A decoder in plain numpy: heads that react to two words, so that the guard's tests need no model."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from outrider.monitor.heads import HeadGuard
from outrider.networks.transformers import PromptError

LAYERS, HEADS, SIZE, WIDTH = 3, 4, 6, 16
TELLING = (1, 2)
"""The head that reacts to unsafe prompts most; layer 0 head 1 reacts less."""


class FakePrefill:
    """The arrays of a Prefill, and from which layer on it can be restarted."""

    def __init__(self, heads, final, lengths, keep, prompts):
        self.heads = heads
        self.final = final
        self.lengths = lengths
        self.keep = keep
        self.prompts = prompts


class FakeDecoder:
    """Outputs are noise drawn from the prompt's own text. "harm" moves head TELLING, and what masking it does."""

    layers, heads, groups, head_dim, width, context = LAYERS, HEADS, HEADS, SIZE, WIDTH, 40
    engine, dtype, encoding, name = "fake", "float32", "e" * 64, "a fake, 3 layers x 4 heads"

    def __init__(self, fingerprint="f" * 64):
        self.fingerprint = fingerprint
        self.passes = 0
        self.second = 0

    def encode(self, prompts):
        texts = [prompt if isinstance(prompt, str) else prompt["prompt"] for prompt in prompts]
        for text in texts:
            if not text.strip():
                raise PromptError("expected a prompt with words, got an empty one")
            if len(text.split()) > self.context:
                raise PromptError(f"expected a prompt of at most {self.context} tokens, got {len(text.split())}")
        return {"texts": texts}

    def prefill(self, inputs, keep=None):
        texts = inputs["texts"]
        self.passes += len(texts)
        heads = np.stack([self._heads(text) for text in texts])
        final = np.stack([_noise(text, (WIDTH,), "final") for text in texts])
        return FakePrefill(heads, final, np.array([len(text.split()) for text in texts]), keep, texts)

    def _heads(self, text):
        heads = _noise(text, (LAYERS, HEADS, SIZE), "heads")
        heads[TELLING] += 3 * ("harm" in text)
        heads[0, 1] += 1.5 * ("harm" in text)
        if "broken" in text:
            heads[2, 3, 0] = np.nan
        return heads

    def full(self, prefill, head):
        self.second += len(prefill.prompts)
        return self._masked(prefill, head)

    def exact(self, prefill, head):
        if prefill.keep is None or prefill.keep > head[0]:
            raise ValueError("expected a prefill that kept this layer or a lower one")
        self.second += len(prefill.prompts)
        return self._masked(prefill, head)

    def last_query(self, prefill, heads=None):
        wanted = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)] if heads is None else heads
        return np.stack([self._masked(prefill, head) for head in wanted], axis=1)

    def _masked(self, prefill, head):
        turned = []
        for text, final in zip(prefill.prompts, prefill.final, strict=True):
            far = 0.1 + 0.3 * (tuple(head) == TELLING and "harm" in text)
            turned.append(final + far * _noise(text, (WIDTH,), f"masked {tuple(head)}"))
        return np.stack(turned)


def _noise(text, shape, what):
    seed = int.from_bytes(hashlib.sha256(f"{what}: {text}".encode()).digest()[:8], "little")
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def unsafe(n, start=0):
    return [f"harm number {i}" for i in range(start, start + n)]


def safe(n, start=0):
    return [f"help number {i}" for i in range(start, start + n)]


@pytest.fixture
def decoder():
    return FakeDecoder()


@pytest.fixture
def guard(decoder):
    """A read-out of two heads, calibrated at 10 %."""
    guard = HeadGuard(decoder, heads=2)
    guard.search(unsafe(20), safe(20), permutations=0)
    guard.calibrate(safe(60, 100), 0.1)
    return guard
