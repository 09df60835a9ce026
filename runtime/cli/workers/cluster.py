"""What `--engine ray` does: a profile learned on a cluster, of data that Ray reads."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ....coverage import Criterion
from ....monitor.facts.network import NetworkFacts
from ....networks.pictures.reading import decode_picture
from ...cluster.engine import profile
from ...cluster.reading import read
from ...inputs.detectors import decoder_of
from ...inputs.networks import open_network, reopen_network
from ...inputs.sources import Source, channels_first
from ..commands.inspect import print_profile
from ..opening import pictures
from ..printing import answer
from ..progress import progress_bar


def profile_on_ray(
    options: argparse.Namespace, criteria: Mapping[str, list[Criterion]] | None, taps: tuple[str, ...]
) -> int:
    """Learn from what Ray reads of DATA, and write the profile. Raises ValueError for flags that do not go with it."""
    _refuse(options)
    dataset, column = read(options.data, options.frame_column)
    source = _first_of(dataset.take(1), column, options.data)
    decode = decoder_of(options.detections)
    with closing(
        open_network(
            options.network, source, pictures(options), taps=taps, neurons=options.neurons, weights=options.weights,
            classes=options.classes, scores_output=options.scores_output, scores=options.scores,
            layouts=options.layouts, detections=decode,
        )
    ) as network:  # fmt: skip
        facts = NetworkFacts.of(network, network.taps)
    again = partial(reopen_network, options.network, Path(options.output), facts, options.weights, decode)
    count = dataset.count() if options.frames is None else options.frames
    with progress_bar("profiling on Ray", count, quiet=options.quiet) as progress:
        monitor = profile(
            dataset, again, None if criteria is None else dict(criteria), column=column, label=options.label_column,
            frames=count, batch_size=options.batch_size, trusted_confidence=options.trusted_confidence,
            minimum_per_class=options.minimum_per_class, workers=options.workers, progress=progress,
        )  # fmt: skip
    with closing(monitor.network):
        monitor.save(options.output)
        told = monitor.describe()
    answer(told, lambda: print_profile(options.output, told), as_json=options.json)
    return 0


def _refuse(options: argparse.Namespace) -> None:
    given = {
        "--rows": options.rows != slice(None),
        "--on-error skip": options.on_error != "stop",
        "--classes-order": options.classes_order,
        "--class-map": options.class_map,
        "--state": options.state,
        "--input-shape": options.input_shape,
        "--extend": options.extend,
        "--resume": options.resume,
        "--shard": options.shard,
    }
    if named := [name for name, value in given.items() if value]:
        raise ValueError(f"expected --engine ray without {', '.join(named)}, got both; --shard takes these")


def _first_of(rows: list[dict[str, Any]], column: str, data: str) -> Source:
    """A source of the first frame alone, which tells what frames are like."""
    if not rows:
        raise ValueError(f"{data}: expected frames, got none")
    if column not in rows[0]:
        raise ValueError(f"{data}: expected a column {column!r} of frames, got {', '.join(rows[0])}")
    value = rows[0][column]
    if isinstance(value, bytes):
        picture = decode_picture(value, data)
        return Source(lambda index: picture, [data])
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return Source(lambda index: array, [data], ready=True)
    return Source(lambda index: channels_first(array), [data])
