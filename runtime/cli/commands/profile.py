"""Learn what the trusted data of a network cover."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace

from ....coverage import Criterion, parse_criterion
from ....monitor import Monitor
from ....monitor.criteria import ATTENTION, home_of
from ....networks import DEFAULT_TAPS, Network
from ...inputs.networks import open_network
from ...inputs.samples import Source, open_source
from ..opening import pictures
from ..printing import answer
from ..progress import progress_bar
from .inspect import print_profile


def run(options: argparse.Namespace) -> int:
    criteria = _criteria(options.criterion)
    source = open_source(options.data, options.rows)
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
        taps=_taps(criteria) if options.taps is None else options.taps,
        neurons=options.neurons,
        weights=options.weights,
        classes=options.classes,
    )
    with closing(network):
        source = _with_labels_for(network, source)
        monitor = Monitor(network, criteria)
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
    answer(facts, lambda: print_profile(options.output, facts), as_json=options.json)
    return 0


def _criteria(given: list[tuple[str | None, str]] | None) -> dict[str, list[Criterion]] | None:
    if given is None:
        return None
    criteria: dict[str, list[Criterion]] = {}
    for selector, text in given:
        try:
            criterion = parse_criterion(text)
        except ValueError as error:
            raise ValueError(f"argument --criterion: {error}") from None
        criteria.setdefault(selector or home_of(criterion), []).append(criterion)
    return criteria


def _taps(criteria: dict[str, list[Criterion]] | None) -> tuple[str, ...]:
    """The taps of a network where no flag names them: attention heads where a criterion goes on them."""
    heads = [selector for selector in criteria or () if selector.startswith(ATTENTION.partition(":")[0])]
    others = [selector for selector in criteria or ("*",) if selector not in (*heads, "@output")]
    return (*DEFAULT_TAPS, *heads) if others or not heads else tuple(heads)


def _with_labels_for(network: Network, source: Source) -> Source:
    """The source with labels that the network can be held against, without those that it cannot."""
    if source.labels is None:
        return source
    if network.classes is None:
        of_places = network.map_classes is not None and source.labels.ndim == 3
        return source if of_places else replace(source, labels=None)
    if source.labels.max() >= network.classes or (source.classes and len(source.classes) != network.classes):
        got = len(source.classes) if source.classes else int(source.labels.max()) + 1
        raise ValueError(
            f"expected labels of {network.classes} classes, as the network has, got {got}; class folders named"
            " 0, 1, 2… give the numbers themselves, --no-labels ignores them"
        )
    return source
