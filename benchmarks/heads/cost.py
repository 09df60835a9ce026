"""What a guard of heads costs: `python -m benchmarks.heads.cost --prompts FOLDER`.

Everything is paired in one process, on one thread: the candidates take turns, and a figure is the median of the paired
ratios. Prompts of 40, 150 and 600 tokens are made of one harmless sentence. `check` is `HeadGuard.check` of a text,
with its tokens made anew, against encoding and one bare forward of the model. The published way runs three prefills:
plain, masked, and that of `generate`. Then 56 harmless prompts are answered by the bare model and by the guarded one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np
import torch

from outrider.monitor import needed_samples
from outrider.monitor.heads import HeadGuard
from outrider.networks.cost import paired, ratio
from outrider.networks.transformers import Decoder
from outrider.runtime.generate import GuardedAnswer, guarded_generate

from ..results import keep
from ..tables import show
from . import tables
from .features import BATCH
from .model import arguments, opened
from .prompts import Split, instructions
from .scoring import RATE

LENGTHS = (40, 150, 600)
ANSWER = 32
EQUAL, EQUAL_TOKENS = 56, 16  # harmless prompts answered twice, and the tokens of each answer
LEARNED, CALIBRATED = 10, 40  # prompts of each kind that the guards here learn from, and safe ones for their threshold
EXACT = (8, 22)  # layers that `exact` restarts at
ROUNDS = {40: 15, 150: 9, 600: 5}
SENTENCE = "Please explain how photosynthesis works in plants and algae, and why it matters. "
SEARCH = "last_query of every head, beyond the prefill"
BARS = {
    "read_out check / prefill": "1.01",
    "last_query guard and answer / bare answer": "1.05",
    SEARCH: "3",
    **{f"exact at layer {layer} of 30, beyond the prefill": f"{(30 - layer) / 30 + 0.2:.2f}" for layer in EXACT},
}


def text_of(decoder: Decoder, tokens: int) -> str:
    """The longest text of the sentence that, with the chat template, has at most so many tokens."""
    words = SENTENCE.split()
    text = words[0]
    for place in count(1):
        longer = f"{text} {words[place % len(words)]}"
        if decoder.encode([longer])["input_ids"].shape[1] > tokens:
            return text
        text = longer
    raise AssertionError("the sentence has no end")


def guards(decoder: Decoder, split: Split) -> dict[str, HeadGuard]:
    """A guard of eight read-outs and one of one deflection, learned and calibrated on few prompts."""
    found = {}
    for name, heads in (("read_out", 8), ("last_query", 1)):
        guard = HeadGuard(decoder, name, heads, batch=BATCH)
        guard.search(split.unsafe[:LEARNED], split.safe[:LEARNED], permutations=0)
        guard.calibrate(split.threshold[:CALIBRATED], RATE)
        guard.batch = 1
        found[name] = guard
    return found


def opened_up(guard: HeadGuard, texts: Sequence[str], safe: Sequence[str]) -> None:
    """Calibrate anew so that none of the timed texts is flagged, however long it is: each answer is 32 tokens."""
    chosen = [*texts, *safe[: needed_samples(RATE) - len(texts)]]
    guard.calibrate(chosen, RATE)  # of as few as these the threshold is the greatest score


def ratios(decoder: Decoder, guarding: dict[str, HeadGuard], text: str, rounds: int) -> dict[str, Any]:
    """Every ratio at one length of prompt, and the median seconds of a bare prefill."""
    inputs = decoder.encode([text])
    plain = {layer: decoder.prefill(inputs, keep=layer) for layer in EXACT}
    head = guarding["last_query"].chosen[0]
    calls: dict[str, Callable[[], object]] = {
        "prefill": lambda: bare(decoder, decoder.encode([text])),
        "prefill again": lambda: bare(decoder, decoder.encode([text])),
        "kept": lambda: decoder.prefill(inputs),
        "read_out": lambda: guarding["read_out"].check([text]),
        "last_query": lambda: guarding["last_query"].check([text]),
        "search": lambda: decoder.last_query(plain[EXACT[0]]),
        "full": lambda: decoder.full(plain[EXACT[0]], head),
        "published": lambda: published(decoder, inputs, head),
        **{f"exact {layer}": lambda layer=layer: decoder.exact(plain[layer], (layer, 2)) for layer in EXACT},
    }
    times = paired(calls, rounds, warm_up=1)
    found = {
        "prefill again / prefill": ratio(times, "prefill again", "prefill"),
        "decoder.prefill / prefill": ratio(times, "kept", "prefill"),
        "read_out check / prefill": ratio(times, "read_out", "prefill"),
        "last_query check / prefill": ratio(times, "last_query", "prefill"),
        SEARCH: ratio(times, "search", "prefill"),
        **{
            f"exact at layer {layer} of {decoder.layers}, beyond the prefill": ratio(times, f"exact {layer}", "prefill")
            for layer in EXACT
        },
        "full, beyond the prefill": ratio(times, "full", "prefill"),
        "the published way: three prefills": ratio(times, "published", "prefill"),
    }
    answers = paired(
        {
            "bare": lambda: answer(decoder, decoder.encode([text]), ANSWER),
            **{
                name: lambda guard=guard: guarded(guard, decoder.encode([text]), ANSWER)
                for name, guard in guarding.items()
            },
        },
        (rounds + 1) // 2,
        warm_up=1,
    )
    found |= {f"{name} guard and answer / bare answer": ratio(answers, name, "bare") for name in guarding}
    return {
        "tokens": int(inputs["input_ids"].shape[1]),
        "prefill": float(np.median(times["prefill"])),
        "answer": float(np.median(answers["bare"])),
        "ratios": found,
    }


@torch.no_grad()
def bare(decoder: Decoder, inputs: dict[str, torch.Tensor]) -> object:
    """One forward of the model as `generate` runs it on a prompt."""
    return decoder.model(**inputs, use_cache=True, logits_to_keep=1)


def published(decoder: Decoder, inputs: dict[str, torch.Tensor], head: tuple[int, int]) -> object:
    """A plain pass, a masked one, and the pass that `generate` begins with."""
    prefill = decoder.prefill(inputs)
    decoder.full(prefill, head)
    return bare(decoder, inputs)


def answer(decoder: Decoder, inputs: dict[str, torch.Tensor], tokens: int) -> torch.Tensor:
    """So many tokens of the greedy answer."""
    return decoder.model.generate(**inputs, min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False)


def guarded(guard: HeadGuard, inputs: dict[str, torch.Tensor], tokens: int) -> GuardedAnswer:
    """The same through the guard. A prompt that it flags is refused."""
    return guarded_generate(
        guard.decoder.model, inputs, guard, min_new_tokens=tokens, max_new_tokens=tokens, do_sample=False
    )


def unflagged(guarding: dict[str, HeadGuard], texts: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many harmless prompts a guard lets through, and how many of their answers are those of the bare model."""
    found = {name: {"prompts": len(texts), "flagged": 0, "unflagged": 0, "equal": 0} for name in guarding}
    order = sorted(texts, key=len)
    for start in range(0, len(order), BATCH):
        for name, guard in guarding.items():
            inputs = guard.decoder.encode(order[start : start + BATCH])
            expected = answer(guard.decoder, inputs, EQUAL_TOKENS)
            got = guarded(guard, inputs, EQUAL_TOKENS)
            for row, is_refused in enumerate(got.refused):
                found[name]["flagged" if is_refused else "unflagged"] += 1
                found[name]["equal"] += not is_refused and bool(torch.equal(got.sequences[row], expected[row]))
    return found


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()
    decoder, split = opened(options.model), instructions(options.prompts)
    guarding = guards(decoder, split)
    equal = unflagged(guarding, split.test_safe[:EQUAL])
    texts = [text_of(decoder, tokens) for tokens in LENGTHS]
    for guard in guarding.values():
        opened_up(guard, texts, split.threshold)
    figures = {
        "model": decoder.name,
        "heads": {name: [list(head) for head in guard.chosen] for name, guard in guarding.items()},
        "answer": EQUAL_TOKENS,
        "equal": equal,
        "lengths": {
            str(tokens): ratios(decoder, guarding, text, ROUNDS[tokens])
            for tokens, text in zip(LENGTHS, texts, strict=True)
        },
        "bars": BARS,
        "seconds": time.perf_counter() - began,
    }
    show(tables.cost(figures))
    if options.keep:
        keep("heads-cost", figures)


if __name__ == "__main__":
    main()
