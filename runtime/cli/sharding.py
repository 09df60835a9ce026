"""What `--shard` does: one worker's part of a profile, told in words and in JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ...monitor import Monitor
from ...monitor.shards import Part
from ...networks import Preprocessing
from ...networks.pictures.facts import PictureFacts
from ..inputs.joint import JointSource
from ..inputs.sharded import SourceFrames, listing_of
from ..inputs.sources import Source
from .printing import answer
from .progress import progress_bar
from .reading import advised, reading_facts, write_reading


def profile_shard(
    options: argparse.Namespace, monitor: Monitor, source: Source | JointSource, partial: Path,
    preprocessing: Preprocessing | None, seen: PictureFacts | None, class_names: tuple[str, ...],
) -> int:  # fmt: skip
    """Learn a shard of a source and write the part."""
    total = len(source)
    with advised(partial), progress_bar(f"profiling {options.shard}", None, quiet=options.quiet) as progress:
        part = monitor.profile_part(
            SourceFrames(source, preprocessing, monitor.network),
            options.shard,
            batch_size=options.batch_size,
            trusted_confidence=options.trusted_confidence,
            minimum_per_class=options.minimum_per_class,
            class_names=class_names,
            listing=listing_of(source, options.data),
            pictures=seen,
            progress=progress,
            checkpoint=partial,
        )
    part.save(options.output)
    partial.unlink(missing_ok=True)
    facts = part_facts(part) | {"data": reading_facts([source])}
    facts["data"]["frames"] = part.profile.trusted.frames

    def show() -> None:
        trusted = part.profile.trusted
        sys.stdout.write(
            f"{options.output}: {part}, of {total:,} frames: {trusted.accepted:,} of {trusted.frames:,} trusted\n"
        )
        write_reading(facts["data"])

    answer(facts, show, as_json=options.json)
    return 0


def part_facts(part: Part) -> dict[str, Any]:
    """What a part holds, in JSON types."""
    trusted, rows = part.profile.trusted, part.rows
    return {
        "shard": [part.shard.worker, part.shard.of],
        "rows": [rows.start, rows.stop],
        "of_frames": part.plan.frames,
        "logical_shards": [part.leaves.start, part.leaves.stop],
        "seen": trusted.frames,
        "accepted": trusted.accepted,
        "digest": part.digest,
    }
