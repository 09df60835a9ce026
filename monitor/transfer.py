"""A monitor moved to another network that computes the same: learned in PyTorch, deployed on ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..networks import Binding, Network, Tap
from .errors import MismatchError
from .facts.network import NetworkFacts
from .monitor import Monitor


def transfer(monitor: Monitor, network: Network, taps: Binding | Mapping[str, str]) -> Monitor:
    """A monitor with the signatures, calibration and logic of another, on a network whose taps show the same.

    taps: what `bind` found, its first network that of the monitor; or {id of a tap there: id of a tap here}. That the
    taps do show the same is the caller's to know, from the differences of the binding: the threshold was set on the
    scores of the first network, and its false-alarm rate holds here as far as the scores agree; `calibrate` on
    held-out data sets it anew.
    Raises MismatchError naming what differs: classes, the kind of their scores, the decoder of detections, input
    shape, a tap's neurons, their number or dtype, and taps that are not bound; NotReadyError for a monitor without a
    profile. The preprocessing comes along; an OutriderWarning says where the network had another.
    """
    profile = monitor.learned
    if isinstance(taps, Binding):
        taps = {row.a.id: row.b.id for row in taps.rows}
    here = {tap.id: tap for tap in network.taps}
    differences, moved = [], []
    for tap in profile.facts.taps:
        counterpart = here.get(taps.get(tap.id, ""))
        if counterpart is None:
            differences.append(f"tap {tap.id}: expected a tap bound to it, got {taps.get(tap.id, 'none')}")
        else:
            moved.append(counterpart)
            differences += _differences(tap, counterpart)
    facts = NetworkFacts.of(network, moved)
    for name, mine, theirs in (
        ("classes", profile.facts.classes, facts.classes),
        ("classes of the map", profile.facts.map_classes, facts.map_classes),
        ("class scores", monitor.network.scores, network.scores),
        ("input shape", profile.facts.input_shape, facts.input_shape),
        ("shapes of the inputs", *([one.shape for one in some.inputs[1:]] for some in (profile.facts, facts))),
        ("states", *(list(some.states or ()) for some in (profile.facts, facts))),
    ):
        if mine != theirs:
            differences.append(f"{name}: expected {mine}, got {theirs}")
    differences += profile.facts.other_decoder(facts)
    ids = [tap.id for tap in moved]
    differences += [
        f"tap {name}: expected it to be bound once, got it twice"
        for name in sorted({i for i in ids if ids.count(i) > 1})
    ]
    if differences:
        raise MismatchError(
            "expected a network with the same taps under other names, got\n  " + "\n  ".join(differences)
        )
    profile.facts.prepare(network)
    learned = profile.facts
    facts = replace(facts, preprocessing=learned.preprocessing or facts.preprocessing, detections=learned.detections)
    return Monitor.of(network, replace(profile, facts=facts), monitor.logic, monitor.calibration)


def _differences(mine: Tap, theirs: Tap) -> list[str]:
    """A line per fact in which a tap does not fit the one it is bound to."""
    facts = [
        ("neurons", mine.neurons, theirs.neurons),
        ("number", mine.size, theirs.size),
        ("dtype", mine.dtype, theirs.dtype),
        ("rows a frame", mine.rows, theirs.rows),
    ]
    if mine.neurons == theirs.neurons == "unit":
        facts.append(("shape", mine.shape, theirs.shape))
    return [
        f"tap {mine.id} bound to {theirs.id}: expected {name} {expected}, got {got}"
        for name, expected, got in facts
        if expected != got
    ]
