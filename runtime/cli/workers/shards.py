"""What `--shard` does: one worker's part of a profile, told in words and in JSON."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ....monitor import Monitor
from ....monitor.shards import Part
from ....networks import Preprocessing
from ....networks.pictures.facts import PictureFacts
from ...inputs.joint import JointSource
from ...inputs.sharded import SourceFrames, listing_of
from ...inputs.sources import Source
from ..printing import answer
from ..progress import progress_bar
from ..reading import advised, reading_facts, write_reading


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


def refuse_of_all(options: argparse.Namespace) -> None:
    """Raise ValueError where a flag says how a threshold is set, which needs the scores of all shards."""
    given = {
        "--false-alarm-rate": options.false_alarm_rate,
        "--fps": options.fps,
        "--per-class": options.per_class,
        "--keep-scales": options.keep_scales,
        "--warning-rate": options.warning_rate,
        "--accept-rate": options.accept_rate,
        "--box-rate": options.box_rate,
        "--group-confidence": options.group_confidence,
        "--kinds": options.kinds,
        "--reason": options.reason,
    }
    if named := [name for name, value in given.items() if value]:
        raise ValueError(f"expected --shard without {', '.join(named)}: give it with --scores, once all are there")
    if options.output is None:
        raise ValueError("expected --shard with -o FILE for what the worker saw, got none")


def score_shard(
    options: argparse.Namespace, monitor: Monitor, source: Source | JointSource, preprocessing: Preprocessing | None,
    drives: Any,
) -> int:  # fmt: skip
    """See a shard of held-out frames and write what the judge says of them."""
    with advised(), progress_bar(f"calibrating {options.shard}", None, quiet=options.quiet) as progress:
        part = monitor.score_part(
            SourceFrames(source, preprocessing, monitor.network),
            options.shard,
            batch_size=options.batch_size,
            drives=drives,
            listing=listing_of(source, options.data),
            progress=progress,
        )
    part.save(options.output)
    rows, seen = part.rows, len(part.held_out.digests)
    facts: dict[str, Any] = {
        "shard": [part.shard.worker, part.shard.of],
        "rows": [rows.start, rows.stop],
        "of_frames": part.plan.frames,
        "seen": seen,
        "digest": part.seen,
        "data": reading_facts([source]) | {"frames": seen},
    }

    def show() -> None:
        sys.stdout.write(f"{options.output}: {part}, of {len(source):,} frames\n")
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
