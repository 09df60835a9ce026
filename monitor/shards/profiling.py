"""One worker's pass over its shard of the trusted frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...networks import Network
from ...networks.pictures.facts import PictureFacts
from ..data.batches import batches_of
from ..errors import ProfileError
from ..logic import Logic
from ..profile import Profile
from .frames import Frames
from .part import Part, refuse_memory, resumed
from .plan import Shard, Sharding

_CHECKPOINT_SECONDS = 30.0


def as_shard(shard: Any) -> Shard:
    """A shard of ``"3/64"`` or (3, 64). Raises ValueError for a number out of range, TypeError for anything else."""
    if isinstance(shard, str):
        return Shard.parse(shard)
    if isinstance(shard, (tuple, list)) and len(shard) == 2 and all(isinstance(one, int) for one in shard):
        return Shard(*shard).checked()
    raise TypeError(f"expected a shard as 'K/N' or (K, N), got {shard!r:.40}")


def learn_shape(network: Network, data: Frames) -> None:
    """Let a network that was not told the shape of its input learn it of the first frame of all."""
    if not network.shaped:
        next(batches_of(data.batches(range(1), 1), network), None)


def learned_part(
    network: Network, data: Frames, shard: Shard, batch_size: int, fresh: Callable[[], tuple[Profile, Logic]], *,
    listing: str = "", pictures: PictureFacts | None = None, progress: Callable[[int], None] | None = None,
    checkpoint: Path | None = None,
) -> Part:  # fmt: skip
    """What a worker learns; see `Monitor.profile_part`. fresh: makes the profile that has seen nothing, once the
    network knows its shape. pictures: takes in what pictures are like, as the data are read.
    """
    if not len(data):
        raise ProfileError("expected trusted frames, got none")
    refuse_memory(network)
    network.reset()
    learn_shape(network, data)
    part = Part.fresh(*fresh(), Sharding(len(data), batch_size), shard, listing)
    if checkpoint is not None and checkpoint.exists():
        part = resumed(Part.load(checkpoint), checkpoint, part)
    trusted = part.profile.trusted
    if pictures is not None:
        if trusted.pictures is not None:
            pictures.merge(trusted.pictures)
        trusted.pictures = pictures
    if checkpoint is None:
        part.learn(network, data, progress=progress)
    else:
        saving = _Saving(partial(part.save, checkpoint))
        part.learn(network, data, progress=progress, keep=saving.save, kept_often=saving.when_due)
    return part


class _Saving:
    """Saves when told, and now and then."""

    def __init__(self, save: Callable[[], None]) -> None:
        self.save, self._last = save, time.monotonic()

    def when_due(self) -> None:
        if time.monotonic() - self._last > _CHECKPOINT_SECONDS:
            self.save()
            self._last = time.monotonic()


def named(names: Sequence[str], root: str = "") -> str:
    """A digest of the names of all frames, without the folder that they are in: `Part.listing`."""
    from hashlib import blake2b

    digest = blake2b(digest_size=16)
    for name in names:
        digest.update(name.removeprefix(root).encode() + b"\0")
    return digest.hexdigest()
