"""Learn what the trusted data of a network cover."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from ...monitor import Monitor
from ...networks import DEFAULT_TAPS, Network
from .. import arguments
from ..network_spec import open_network
from ..opening import add_picture_arguments, pictures
from ..progress import progress_bar
from ..sources import Source, open_source
from .inspect import print_profile


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="model.onnx, zoo:NAME, torchvision:NAME, file.py:factory")
    parser.add_argument("data", metavar="DATA", help="folder, picture, .npy, .npz, IDX file or NAME:train")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the profile to write")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a PyTorch state dict, .safetensors")

    what = parser.add_argument_group("what is learned")
    what.add_argument(
        "--criterion",
        type=arguments.criterion,
        action=arguments.Collect,
        metavar="[TAPS=]CRITERION",
        help="e.g. 'single_range', '@relu:unit=multi_range(sections=32)'; may be given again",
    )
    what.add_argument(
        "--taps",
        type=arguments.words,
        default=DEFAULT_TAPS,
        help="auto, first, stages, or tensors by name, glob or @kind",
    )
    what.add_argument(
        "--neurons",
        type=arguments.words,
        default=("channel",),
        help="unit, channel, channel-max, gridK, pixel; or several",
    )
    what.add_argument(
        "--classes",
        type=arguments.classes,
        default="auto",
        help="how many; auto: as the output has; none; pixel: class scores of every place, as segmentation has",
    )
    what.add_argument("--trusted-confidence", type=float, default=0.9, metavar="P", help="softmax that earns trust")
    what.add_argument("--minimum-per-class", type=arguments.positive, default=5, metavar="N")

    how = parser.add_argument_group("how the data are read")
    how.add_argument("--rows", type=arguments.rows, default=slice(None), metavar="START:STOP", help="a part of DATA")
    how.add_argument("--no-labels", action="store_true", help="class folders and label files mean nothing")
    how.add_argument("--batch-size", type=arguments.positive, default=64, metavar="N")
    add_picture_arguments(how)

    parser.add_argument("--resume", action="store_true", help="go on where Ctrl-C stopped")
    parser.add_argument("--json", action="store_true", help="the summary as JSON")


def run(options: argparse.Namespace) -> int:
    source = open_source(options.data)[options.rows]
    if not len(source):
        raise ValueError(f"--rows: expected a part of {options.data}, got no samples")
    if options.no_labels:
        source = replace(source, labels=None)
    if not options.output.parent.is_dir():
        raise FileNotFoundError(f"{options.output}: expected a folder to write to, got no such folder")
    partial = options.output.with_name(options.output.name + ".partial")
    if partial.exists() and not options.resume:
        raise ValueError(f"{partial} holds an interrupted run; go on with --resume, or delete it to begin anew")
    network = open_network(
        options.network,
        source,
        pictures(options),
        taps=options.taps,
        neurons=options.neurons,
        weights=options.weights,
        classes=options.classes,
    )
    with closing(network):
        source = _with_labels_for(network, source)
        monitor = Monitor(network, _criteria(options.criterion))
        try:
            with progress_bar("profiling", len(source), quiet=options.quiet) as progress:
                monitor.profile(
                    source.batches(network.preprocessing, options.batch_size),
                    trusted_confidence=options.trusted_confidence,
                    minimum_per_class=options.minimum_per_class,
                    progress=progress,
                    checkpoint=partial,
                )
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"the same command with --resume goes on from {partial}") from None
        monitor.save(options.output)
        facts = monitor.describe()
    if options.json:
        Console().print_json(json.dumps(facts))
    else:
        print_profile(options.output, facts)
    return 0


def _criteria(given: list[tuple[str | None, Any]] | None) -> dict[str, list[Any]] | None:
    if given is None:
        return None
    criteria: dict[str, list[Any]] = {}
    for selector, criterion in given:
        criteria.setdefault(selector or ("@output" if criterion.name == "softmax" else "*"), []).append(criterion)
    return criteria


def _with_labels_for(network: Network, source: Source) -> Source:
    """The source with labels that the network can be held against, without those that it cannot."""
    if source.labels is None:
        return source
    if network.classes is None:
        of_places = getattr(network, "map_classes", None) is not None and source.labels.ndim == 3
        return source if of_places else replace(source, labels=None)
    if source.labels.max() >= network.classes or (source.classes and len(source.classes) != network.classes):
        got = len(source.classes) if source.classes else int(source.labels.max()) + 1
        raise ValueError(
            f"expected labels of {network.classes} classes, as the network has, got {got}; class folders named"
            " 0, 1, 2… give the numbers themselves, --no-labels ignores them"
        )
    return source
