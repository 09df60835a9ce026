"""Write a model with the monitor of a calibrated profile inside its graph."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ...in_graph.exporting import export
from ..printing import answer
from .inspect import print_guarded

_RENAMED = "the output outrider_deviation was called outrider_layers before; read it by its new name"
"""For one release."""


def run(options: argparse.Namespace) -> int:
    facts = export(options.model, options.profile, options.output)
    answer(facts, lambda: _print(options, facts), as_json=options.json)
    return 0


def _print(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    print_guarded(options.output, facts)
    sys.stdout.write(f"\n{_RENAMED}\n")
