"""Two networks side by side: the same frames through both, tap by tap, and the monitor of one moved to the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...monitor import Monitor, transfer
from ...networks import Binding, Network, Tap
from ...networks.selectors import ACTIVATIONS, GATES, OUTPUT
from ..inputs.joint import JointSource
from ..inputs.networks import is_onnx, onnx_file, open_network
from ..inputs.sources import Source
from .printing import finite

Frames = Callable[[], Iterable[Any]]
"""Makes batches of frames as often as it is called."""


@dataclass(frozen=True)
class Comparison:
    """What `bind` found, held against a tolerance.

    verdicts_differ: frames on which the two monitors do not agree whether to alarm, None without monitors.
    """

    binding: Binding
    tolerance: float
    verdicts_differ: int | None = None

    @property
    def agree(self) -> bool:
        """Whether every tap of the first network is bound, and neither they nor the outputs differ by more."""
        largest = self.binding.largest
        return largest is not None and largest <= self.tolerance and not self.binding.missing()

    def to_dict(self) -> dict[str, Any]:
        """The comparison in JSON types; a difference without end is null."""
        binding = self.binding
        return {
            "agree": self.agree,
            "tolerance": self.tolerance,
            "frames": binding.frames,
            "taps": [
                {"a": row.a.id, "b": row.b.id, "how": row.how, "difference": finite(row.difference)}
                for row in binding.rows
            ],
            "unbound": [{"side": u.side, "tap": u.tap.id, "reason": u.reason} for u in binding.unbound],
            "output": finite(binding.output),
            "predictions_differ": binding.predictions_differ,
            "verdicts_differ": self.verdicts_differ,
        }


def move(monitor: Monitor, b: Network, found: Comparison, frames: Frames) -> tuple[Monitor, Comparison]:
    """The monitor on the second network, and the comparison with the verdicts of both on the same frames.

    Raises ValueError where the networks do not agree, MismatchError where a tap differs in kind.
    """
    if not found.agree:
        raise ValueError(f"expected networks that agree within {found.tolerance:g}, got others; nothing was moved")
    moved = transfer(monitor, b, found.binding)
    differ = None
    if monitor.calibration is not None:
        monitor.network.reset()
        b.reset()
        differ = sum(int((monitor.check(x)[1].alarm != moved.check(x)[1].alarm).sum()) for x in frames())
    return moved, Comparison(found.binding, found.tolerance, differ)


def open_alike(
    spec: str,
    a: Network,
    source: Source | JointSource,
    pictures: Mapping[str, Any],
    selectors: Sequence[str],
    **options: Any,
) -> Network:
    """Open the second network, tapped by the selectors of the first or, without these names, in the ways of its taps.

    source, pictures, options: as `open_network` takes them.
    """
    try:
        return open_network(spec, source, pictures, taps=tuple(selectors), **options)
    except ValueError:
        ways = dict.fromkeys(tap.neurons for tap in a.taps if tap.kind != OUTPUT)
        options["neurons"] = tuple(ways) or "unit"
        return open_network(spec, source, pictures, taps="auto", **options)


def selectors_of(taps: Iterable[Tap]) -> list[str]:
    """Selectors that mean the same in another file: `auto` for activations, and all others by path or name."""
    ways: dict[str, None] = {}
    for tap in taps:
        if tap.kind in ACTIVATIONS | GATES:
            ways[f"auto:{tap.neurons}"] = None
        elif tap.kind == OUTPUT:
            ways |= {f"@{OUTPUT}:{tap.neurons}": None} if tap.layout != "NC" else {}
        else:
            ways[f"{(*tap.paths, tap.name)[0]}:{tap.neurons}"] = None
    return list(ways)


def shape_of(specs: Sequence[str], states: Collection[str] = ()) -> Any:
    """The shape of one frame that the first ONNX model among the specs states; of several inputs a mapping by name.

    states: inputs that are no part of a frame. Raises ValueError when there is none, or it leaves sizes open.
    """
    from ...networks import OnnxNetwork

    spec = next(filter(is_onnx, specs), None)
    if spec is None:
        raise ValueError("expected --input-shape C,H,W or --frames DATA: no ONNX model says what the networks take")
    with closing(OnnxNetwork(onnx_file(spec), taps="*")) as network:
        shapes = {one.name: one.shape for one in network.inputs if one.name not in states}
    for name, open_shape in shapes.items():
        if None in open_shape:
            of = f" of {name}" if len(shapes) > 1 else ""
            raise ValueError(f"expected --input-shape, as {spec} leaves sizes{of} open: {open_shape}")
    if len(shapes) > 1 or states:
        return shapes
    shape = tuple(size for size in next(iter(shapes.values())) if size is not None)
    if not all(map(is_onnx, specs)) and len(shape) == 3 and shape[0] not in (1, 3) and shape[2] in (1, 3):
        return shape[2], *shape[:2]  # PyTorch takes the channels first
    return shape


def empty_source(shape: Any) -> Source | JointSource:
    """One frame of zeros, which says what networks take. shape: of it, of several inputs a mapping by name."""
    if not isinstance(shape, Mapping):
        return _zeros(shape)
    return JointSource({name: _zeros(one) for name, one in shape.items()}, ["zeros"])


def _zeros(shape: Sequence[int]) -> Source:
    zeros = np.zeros(tuple(shape), np.float32)
    return Source(lambda _index: zeros, ["zeros"], ready=True, raw=lambda _index: zeros.astype(np.int64))
