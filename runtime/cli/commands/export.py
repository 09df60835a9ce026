"""Write a model with the monitor of a calibrated profile inside its graph."""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from ...in_graph.exporting import export
from .inspect import print_guarded

_RENAMED = "the output outrider_deviation was called outrider_layers before; read it by its new name"
"""For one release."""


def run(options: argparse.Namespace) -> int:
    facts = export(options.model, options.profile, options.output)
    if options.json:
        Console().print_json(json.dumps(facts))
    else:
        print_guarded(options.output, facts)
        Console(highlight=False).print(f"\n{_RENAMED}", soft_wrap=True)
    return 0
