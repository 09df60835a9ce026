"""A guard inside exported decoders: `python -m benchmarks.heads.exported --prompts FOLDER`.

A guard of eight heads is searched and calibrated on AdvBench and Alpaca in PyTorch. onnxruntime-genai's builder exports
the model in each precision, `export_heads` puts the guard in, and ONNX Runtime judges the test prompts: with the
threshold from PyTorch, and with one from the file's own scores over the same safe prompts.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from outrider.monitor import auroc, conformal_threshold
from outrider.monitor.heads import HeadGuard
from outrider.networks.transformers import Decoder
from outrider.runtime import export_heads, guarded_scores

from ..results import keep
from ..tables import show
from . import tables
from .features import measured
from .model import arguments, opened
from .prompts import Split, instructions
from .scoring import EIGHT, OURS, RATE, as_features

PRECISIONS = ("fp32", "int4")
PARTS = ("threshold", "test_unsafe", "test_safe")


def built(decoder: Decoder, precision: str, folder: Path) -> Path:
    """The decoder as a folder for onnxruntime-genai; the path of its model."""
    from onnxruntime_genai.models import builder

    source, target, cache = (str(folder / name) for name in ("source", precision, "cache"))
    if not Path(source).is_dir():
        decoder.model.save_pretrained(source)
        decoder.processor.save_pretrained(source)
    options = builder.parse_extra_options(None, source, target, precision, "cpu", cache, [])
    builder.create_model(None, source, target, precision, "cpu", cache, **options)
    return Path(target) / "model.onnx"


def row(scores: dict[str, np.ndarray], before: float, own: dict[str, np.ndarray]) -> dict[str, float]:
    """How scores of an exported decoder differ from PyTorch's, and what either threshold makes of them."""
    after = conformal_threshold(scores["threshold"], RATE)
    safe, unsafe = scores["test_safe"], scores["test_unsafe"]
    return {
        "shift_safe": float(np.mean(safe - own["test_safe"])),
        "shift_unsafe": float(np.mean(unsafe - own["test_unsafe"])),
        "largest": float(max(np.abs(scores[part] - own[part]).max() for part in PARTS)),
        "auroc": auroc(safe, unsafe),
        **{
            f"{name}_{when}": float((values > threshold).mean())
            for when, threshold in (("before", before), ("after", after))
            for name, values in (("caught", unsafe), ("flagged", safe))
        },
    }


def figures_of(decoder: Decoder, guard: HeadGuard, split: Split, precisions: Sequence[str]) -> dict[str, Any]:
    """A row for PyTorch and one for each precision. guard: calibrated."""
    texts = {part: getattr(split, part) for part in PARTS}
    found = measured(decoder, [text for part in texts.values() for text in part], angles=False)
    own = {part: guard.scores(as_features(guard, found.of(some))) for part, some in texts.items()}
    rows = {"PyTorch, fp32": row(own, guard.threshold, own)}
    ids = {part: [decoder.encode([text])["input_ids"][0].numpy() for text in some] for part, some in texts.items()}
    for precision in precisions:
        with tempfile.TemporaryDirectory() as folder:
            guarded = Path(folder) / precision / "guarded.onnx"
            export_heads(guard, built(decoder, precision, Path(folder)), guarded, decoder=decoder)
            scores = {part: guarded_scores(guarded, some).astype(np.float64) for part, some in ids.items()}
        rows[f"ONNX, {precision}"] = row(scores, guard.threshold, own)
    return rows


def main() -> None:
    options = arguments(__doc__).parse_args()
    began = time.perf_counter()
    decoder = opened(options.model)
    split = instructions(options.prompts)
    found = measured(decoder, [*split.unsafe, *split.safe, *split.threshold], angles=False)
    guard = OURS[EIGHT].guard(decoder)
    guard.search(*(as_features(guard, found.of(part)) for part in (split.unsafe, split.safe)), permutations=0)
    guard.calibrate(as_features(guard, found.of(split.threshold)), RATE)
    figures = {
        "model": decoder.name,
        "rows": figures_of(decoder, guard, split, PRECISIONS),
        "seconds": time.perf_counter() - began,
    }
    show(tables.exported(figures))
    if options.keep:
        keep("heads-exported", figures)


if __name__ == "__main__":
    main()
