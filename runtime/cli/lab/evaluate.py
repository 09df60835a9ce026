"""Measure defences on models: unsafe prompts answered against safe prompts refused, and what that costs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...lab.evaluation import (
    AskedPrompt,
    DefenceTable,
    GuardSources,
    LearningPrompts,
    ModelJudge,
    defences_picture,
    evaluate_defences,
    table_markdown,
    table_text,
)
from ...printable import counted, printable
from ..heads.opening import labelled_prompts, prompts_of
from ..printing import answer
from ..progress import progress_bar

if TYPE_CHECKING:
    from ....networks.transformers import Decoder


def run(options: argparse.Namespace) -> int:
    models = _models(options)
    prompts = _prompts(options)
    guards = _guards(options)
    judge, judge_key = None, ""
    if options.judge is not None:
        decoder = _open(options, options.judge)
        judge, judge_key = ModelJudge(decoder, options.judge.name, batch=options.batch_size), decoder.fingerprint
    try:
        with progress_bar("evaluating", None, quiet=options.quiet) as progress:
            table = evaluate_defences(
                models, prompts, options.defences, folder=options.output, judge=judge, judge_key=judge_key,
                guards=guards, tokens=options.tokens, batch=options.batch_size,
                progress=lambda done, _total: progress(done),
            )  # fmt: skip
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on from {options.output}") from None
    written = _write(options.output, table)
    answer(table.to_dict(), lambda: _print(table, written), as_json=options.json)
    return 0


def _models(options: argparse.Namespace) -> dict[str, Callable[[], Decoder]]:
    first = options.model.resolve().stem if options.model.suffix == ".gguf" else options.model.resolve().name
    models: dict[str, Callable[[], Decoder]] = {first: partial(_open, options, options.model)}
    for name, folder in options.models:
        if name in models:
            raise ValueError(f"expected a name of its own for each model, got {name!r} twice")
        if not Path(folder).is_dir():
            raise FileNotFoundError(f"{folder}: expected the folder of a model or of adapters, got no such folder")
        models[name] = partial(_open_tuned, options, Path(folder))
    return models


def _open(options: argparse.Namespace, path: Path) -> Decoder:
    from ....networks.transformers import open_decoder

    return open_decoder(path, dtype=options.dtype or "float32", device=options.device, system=options.system)


def _open_tuned(options: argparse.Namespace, folder: Path) -> Decoder:
    """A model of its own, or the first one with adapters."""
    if not (folder / "adapter_config.json").is_file():
        return _open(options, folder)
    from ....networks.transformers import Decoder
    from ....networks.tuning import load_adapters, merged

    base = _open(options, options.model)
    return Decoder(merged(load_adapters(base.model, folder)).eval(), base.processor, system=options.system)


def _prompts(options: argparse.Namespace) -> list[AskedPrompt]:
    """The prompts of both kinds, each text once; says on stderr what is left out."""
    kinds = labelled_prompts(options.prompts, options.rows)
    found: dict[str, AskedPrompt] = {}
    pictures = again = 0
    for unsafe, (prompts, _) in zip((True, False), kinds, strict=True):
        for prompt in prompts:
            text = prompt["prompt"].strip()
            pictures += "images" in prompt
            again += text in found
            if "images" not in prompt:
                found.setdefault(text, AskedPrompt(text, unsafe))
    for count, why in ((pictures, "with pictures, which no defence reads"), (again, "given before")):
        if count:
            sys.stderr.write(f"outrider: warning: left out {counted(count, 'prompt')} {why}\n")
    return list(found.values())


def _guards(options: argparse.Namespace) -> GuardSources:
    if (options.learn is None) != (options.threshold is None):
        raise ValueError("expected --learn FILE and --threshold FILE together, got one of them")
    learned = None
    if options.learn is not None:
        unsafe, safe = (
            list(dict.fromkeys(prompt["prompt"].strip() for prompt in prompts))
            for prompts, _ in labelled_prompts(options.learn, slice(None))
        )
        others = prompts_of(options.threshold, "safe", slice(None))[0]
        threshold = list(dict.fromkeys(prompt["prompt"].strip() for prompt in others))
        learned = LearningPrompts(unsafe, safe, threshold, options.false_alarm_rate)
    return GuardSources(learned, options.heads, options.layer, options.key)


def _write(folder: Path, table: DefenceTable) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    whole, page = folder / "table.json", folder / "table.md"
    whole.write_text(json.dumps(table.to_dict(), indent=1) + "\n", encoding="utf-8")
    page.write_text(table_markdown(table), encoding="utf-8")
    written = [whole, page]
    if table.cells and find_spec("matplotlib") is not None:
        picture = folder / "picture.png"
        picture.write_bytes(defences_picture(table))
        written.append(picture)
    return written


def _print(table: DefenceTable, written: list[Path]) -> None:
    sys.stdout.write(printable_lines(table_text(table)))
    sys.stdout.write(f"written: {printable(', '.join(map(str, written)))}\n")


def printable_lines(text: str) -> str:
    """The text with nothing in it that a terminal obeys, but for its lines."""
    return "\n".join(map(printable, text.split("\n")))
