"""Learn what the trusted data of a network cover."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

from ....coverage import Criterion, parse_criterion
from ....monitor import Monitor
from ....monitor.criteria import ATTENTION, home_of
from ....monitor.files import read_network
from ....networks import DEFAULT_TAPS, Network
from ...budget.candidates import budget_of
from ...budget.choice import TapChoice
from ...budget.designs import SCORES
from ...budget.within import taps_within
from ...inputs.class_numbers import numbered_as, with_labels_for
from ...inputs.detectors import decoder_of
from ...inputs.joint import JointSource, open_frames
from ...inputs.learned_pictures import comparing, remembering
from ...inputs.networks import inputs_of, open_network, reopen_network
from ...inputs.sources import Source
from ...printable import printable
from ..opening import input_shape, pictures, states
from ..printing import answer
from ..progress import progress_bar
from ..reading import advised, reading_facts, with_policy, write_reading
from ..workers.shards import profile_shard
from .inspect import print_profile


def run(options: argparse.Namespace) -> int:
    if options.extend is not None:
        _refuse_what_is_learned(options)
    criteria = _criteria(options.criterion)
    taps = _taps(criteria) if options.taps is None else options.taps
    budget = None if options.taps is None else budget_of(options.taps)
    if budget is not None:
        _refuse_beside_budget(options)
    if options.engine == "ray":
        from ..workers.cluster import profile_on_ray

        return profile_on_ray(options, criteria, taps)
    refuse_without_cluster(options)
    carried = states(options)
    source = with_policy(
        open_frames(options.data, options.rows, inputs_of(options.network, options.weights, carried)), options.on_error
    )
    if options.no_labels:
        source = replace(source, labels=None)
    partial = options.output.with_name(options.output.name + ".partial")
    if partial.exists() and not options.resume:
        raise ValueError(f"{partial} holds an interrupted run; go on with --resume, or delete it to begin anew")
    choice = None
    if budget is not None and partial.exists():
        taps = tuple(read_network(partial).options()["taps"]) or (SCORES,)
    elif budget is not None:
        choice = _choice(options, source, criteria, budget)
        taps = choice.taps
    decode = decoder_of(options.detections)
    old = None if options.extend is None else read_network(options.extend)
    network = (
        reopen_network(options.network, options.extend, old, options.weights, decode)
        if old
        else open_network(
            options.network,
            source,
            pictures(options),
            taps=taps,
            neurons=options.neurons,
            weights=options.weights,
            classes=options.classes,
            scores_output=options.scores_output,
            scores=options.scores,
            states=carried,
            shapes=_state_shapes(options, carried),
            layouts=options.layouts,
            detections=decode,
        )
    )
    with closing(network):
        monitor = Monitor(network, criteria) if old is None else Monitor.load(options.extend, network)
        known = () if old is None else monitor.learned.class_names
        source = numbered_as(
            source, network, order=options.classes_order or (), class_map=options.class_map, known=known
        )
        source = with_labels_for(network, source)
        preprocessing, seen = remembering(network)
        try:
            if options.shard is not None:
                names = _class_names(network, source)
                return profile_shard(options, monitor, source, partial, preprocessing, seen, names)
            with advised(partial), progress_bar("profiling", len(source), quiet=options.quiet) as progress:
                if old is not None:
                    preprocessing, seen = comparing(monitor), monitor.learned.trusted.pictures
                batches = source.batches(preprocessing, options.batch_size, network.inputs, network.reset)
                if old is not None:
                    monitor.extend(batches, progress=progress)
                else:
                    monitor.profile(
                        batches,
                        trusted_confidence=options.trusted_confidence,
                        minimum_per_class=options.minimum_per_class,
                        class_names=_class_names(network, source),
                        progress=progress,
                        checkpoint=partial,
                    )
        except KeyboardInterrupt:
            if old is not None:
                raise
            raise KeyboardInterrupt(f"the same command with --resume goes on from {partial}") from None
        monitor.learned.trusted.pictures = seen if seen is not None and seen.depths else None
        monitor.save(options.output)
        facts = monitor.describe() | {"data": reading_facts([source])}
        facts |= {} if choice is None else {"budget": choice.to_dict()}

    def show() -> None:
        if choice is not None:
            sys.stdout.writelines(f"{printable(line)}\n" for line in (*str(choice).splitlines(), ""))
        print_profile(options.output, facts)
        write_reading(facts["data"])

    answer(facts, show, as_json=options.json)
    return 0


def _choice(
    options: argparse.Namespace, source: Source | JointSource, criteria: dict[str, list[Criterion]] | None,
    budget: float,
) -> TapChoice:  # fmt: skip
    """The taps for a budget, chosen on a sample of the data."""
    told = {"scores_output": options.scores_output, "scores": options.scores, "classes": options.classes}
    with progress_bar("choosing taps", None, quiet=options.quiet) as progress:
        return taps_within(
            options.network, source, budget, preprocessing=pictures(options), criteria=criteria, progress=progress,
            layouts=options.layouts, **told,
        )  # fmt: skip


def _refuse_beside_budget(options: argparse.Namespace) -> None:
    """Raise ValueError where a flag stands beside a budget with which no taps are chosen."""
    given = {
        "--shard": options.shard is not None,
        "--engine ray": options.engine == "ray",
        "--neurons": options.neurons != ("channel",),
        "--detections": options.detections is not None,
        "--state": options.state,
    }
    if named := [name for name, value in given.items() if value]:
        raise ValueError(
            f"expected --taps {options.taps[0]} without {', '.join(named)}, got both; choose the taps in a run of their"
            " own, and give their names here"
        )


def refuse_without_cluster(options: argparse.Namespace) -> None:
    """Raise ValueError where a flag of a cluster is given without one."""
    given = {
        "--workers": options.workers,
        "--frames": options.frames,
        "--frame-column": options.frame_column,
        "--label-column": options.label_column,
    }
    if named := [name for name, value in given.items() if value is not None]:
        raise ValueError(f"expected {', '.join(named)} with --engine ray, got it without")


def _refuse_what_is_learned(options: argparse.Namespace) -> None:
    """Raise ValueError where a flag says what is learned, of which an older profile tells all."""
    given = {
        "--criterion": options.criterion,
        "--taps": options.taps,
        "--neurons": options.neurons != ("channel",),
        "--tap-layout": options.layouts,
        "--classes": options.classes != "auto",
        "--scores-output": options.scores_output is not None,
        "--scores": options.scores != "auto",
        "--state": options.state,
        "--input-shape": options.input_shape,
        "--trusted-confidence": options.trusted_confidence != 0.9,
        "--minimum-per-class": options.minimum_per_class != 5,
        "--resume": options.resume,
        "--shard": options.shard,
        "a flag on how pictures are read": pictures(options),
    }
    named = [name for name, value in given.items() if value]
    if named:
        raise ValueError(
            f"expected --extend without {', '.join(named)}, got both; the profile that is extended says what is learned"
        )


def _class_names(network: Network, source: Source | JointSource) -> tuple[str, ...]:
    """The names of all classes of the network, where the source tells them."""
    names = source.classes or ()
    return names if network.map_classes is None and len(names) == network.classes else ()


def _state_shapes(options: argparse.Namespace, carried: Mapping[str, int | str] | None) -> dict[str, tuple[int, ...]]:
    shapes = input_shape(options) or {}
    if not isinstance(shapes, dict) or not set(shapes) <= set(carried or ()):
        raise ValueError("expected --input-shape of inputs that --state names, got another; the data tell the others")
    return shapes


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
