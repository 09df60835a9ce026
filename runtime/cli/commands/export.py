"""Write a model with the monitor of a calibrated profile, or the guard of attention heads, inside its graph."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ....monitor.files import checked_contents
from ...in_graph.exporting import export
from ...in_graph.heads.exporting import export_heads
from ...inputs.detectors import decoder_of
from ..printing import answer
from .inspect import print_guarded

_RENAMED = "the output outrider_deviation was called outrider_layers before; read it by its new name"
"""For one release."""
_WARNS = (
    "ONNX Runtime warns at each load that outrider_threshold will not be treated as constant value. That is meant: it"
    " is an input with a default. SessionOptions.log_severity_level = 3 silences it"
)


def run(options: argparse.Namespace) -> int:
    if checked_contents(options.profile, key=options.key, arrays=False).facts.get("kind") == "heads":
        return _export_heads(options)
    if options.decoder is not None:
        raise ValueError(f"{options.profile}: expected --decoder with a guard of attention heads, got a profile")
    decode = decoder_of(options.detections)
    facts = export(options.model, options.profile, options.output, key=options.key, detections=decode)
    answer(facts, lambda: _print(options, facts, _WARNS, _RENAMED), as_json=options.json)
    return 0


def _export_heads(options: argparse.Namespace) -> int:
    decoder = None
    if options.decoder is not None:
        from ....networks.transformers import open_decoder

        decoder = open_decoder(options.decoder)
    facts = export_heads(options.profile, options.model, options.output, decoder=decoder, key=options.key)
    answer(facts, lambda: _print(options, facts, _WARNS), as_json=options.json)
    return 0


def _print(options: argparse.Namespace, facts: dict[str, Any], *notes: str) -> None:
    print_guarded(options.output, facts)
    sys.stdout.write("".join(f"\n{note}\n" for note in notes))
