"""Say what a profile or a heads file holds, or the monitor inside a guarded model, or list the taps of a network."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ....monitor import describe_profile
from ....monitor.data.changes import Change, thresholds_in_words
from ....monitor.facts.network import input_words
from ....networks import Preprocessing
from ....networks.detections.decoder import in_words
from ....networks.inputs import Input
from ....networks.pictures.facts import PictureFacts
from ...in_graph.guarded_model import guard_facts
from ...inputs.networks import is_onnx, is_torch, offer_of
from ...printable import printable
from ..heads.describing import describe_heads, print_heads
from ..opening import input_shape
from ..printing import answer, bare_table, checked
from ..tap_list import offer_facts, print_offer

_CLASSES = 20
"""The classes that are shown one by one."""


def run(options: argparse.Namespace) -> int:
    facts, show = _facts(options)
    answer(facts, lambda: show(facts), as_json=options.json)
    return 0


def _facts(options: argparse.Namespace) -> tuple[dict[str, Any], Callable[[dict[str, Any]], None]]:
    """What there is to say, and what prints it."""
    path = Path(options.what)
    guarded = guard_facts(path) if is_onnx(options.what) else None
    if guarded is None and (is_onnx(options.what) or is_torch(options.what)):
        offer = offer_of(options.what, input_shape(options), options.weights, options.layouts)
        return offer_facts(offer, options.taps), partial(print_offer, options.what)
    if options.taps or options.input_shape or options.weights or options.layouts:
        flags = "--taps, --input-shape, --weights or --tap-layout"
        raise ValueError(f"{path}: expected a network with {flags}, got one that is monitored")
    if guarded is not None:
        return guarded, partial(print_guarded, path)
    if path.is_file() and (heads := describe_heads(path)) is not None:
        return heads, partial(print_heads, path)
    return describe_profile(path), partial(print_profile, path)


def print_guarded(path: Path, facts: dict[str, Any]) -> None:
    """Print the facts of a guarded model for a reader."""
    summary = Table.grid("what", "value", padding=(0, 3))
    summary.add_row("guarded model", Text(printable(f"{path}, {_bytes(path.stat().st_size)}")))
    exported = "an older Outrider exported it without a digest; export it anew to add one"
    summary.add_row("file", checked(True) if facts["format"] > 1 else exported)
    if facts.get("kind") == "heads":
        _print_guarded_heads(summary, facts)
        return
    summary.add_row("model", _network(facts))
    _add_pictures(summary, facts)
    summary.add_row("profile", f"SHA-256 {facts['profile'][:12]}…")
    if facts["uncovered_classes"]:
        summary.add_row("not covered", f"{len(facts['uncovered_classes'])} classes, which always alarm")
    summary.add_row("logic", _logic(facts["logic"]))
    summary.add_row("threshold", _calibration(facts))
    summary.add_row("outputs", ", ".join(facts["outputs"]))
    if facts.get("map"):
        summary.add_row("map", map_in_words(facts["map"]))
    console = Console(highlight=False)
    console.print(summary)
    columns = bare_table("column", Column("speaks above", justify="right"))
    for name, limit in zip(facts["columns"], facts["limits"], strict=True):
        columns.add_row(Text(printable(name)), f"{limit:.4g}")
    console.print()
    console.print(columns)


def map_in_words(facts: dict[str, Any]) -> str:
    """What a map of a guarded model is: its size, what it lies over, and from where on its places deviate."""
    sizes, extent = (" x ".join(map(str, facts[name])) for name in ("shape", "extent"))
    smooth = f", averaged over {facts['smooth']} x {facts['smooth']}" if facts["smooth"] > 1 else ""
    return f"{sizes} places (height x width) over {extent} pixels{smooth}; a place deviates above {facts['level']:.4g}"


def _print_guarded_heads(summary: Table, facts: dict[str, Any]) -> None:
    """Print the facts of a decoder with the guard of attention heads."""
    decoder = facts.get("decoder", {})
    summary.add_row("model", f"SHA-256 {facts['fingerprint'][:12]}…")
    if decoder:
        summary.add_row("guard of", Text(printable(f"{decoder['name']}, SHA-256 {decoder['fingerprint'][:12]}…")))
    if "profile" in facts:
        summary.add_row("profile", f"SHA-256 {facts['profile'][:12]}…")
    names = ", ".join(f"L{layer}H{head}" for layer, head in facts["chosen"])
    summary.add_row("read-out", f"{len(facts['chosen'])} of {facts['layers'] * facts['heads']} heads: {names}")
    distance = facts["compared"]
    told = "number and shape of the heads alone" if distance is None else f"heads by value, {distance:.2g} apart"
    summary.add_row("compared", f"with PyTorch: {told}")
    if "false_alarm_rate" in facts:
        summary.add_row("threshold", _calibration(facts, "held-out safe prompts"))
        summary.add_row("calibrated in", str(facts["calibrated"]))
    else:
        summary.add_row("threshold", f"{facts['thresholds'][0]:.4g}")
    summary.add_row("outputs", ", ".join(facts["outputs"]))
    Console(highlight=False).print(summary)


def _network(facts: dict[str, Any]) -> str:
    classes = "no classes" if facts["classes"] is None else f"{facts['classes']} classes"
    if facts.get("map_classes"):
        classes = f"{facts['map_classes']} classes of places"
    inputs = [
        Input(one["name"], tuple(one["shape"]), one["dtype"])
        for one in facts.get("inputs", ())
        if one["name"] not in facts.get("states", ())
    ]
    takes = printable(input_words(facts["input_shape"], inputs))
    recurrent = ", recurrent" if facts.get("states") else ""
    return f"{takes}{recurrent}, {classes}, SHA-256 {facts['fingerprint'][:12]}…"


def _add_pictures(summary: Table, facts: dict[str, Any]) -> None:
    """A row with what a picture goes through, step by step."""
    if told := facts.get("preprocessing"):
        steps = Preprocessing.from_dict(told).steps()
        summary.add_row("pictures", ", ".join(steps))


def _logic(facts: dict[str, Any]) -> str:
    settings = dict(facts)
    return settings.pop("name") + "".join(f", {name} {value}" for name, value in settings.items())


def print_profile(path: Path, facts: dict[str, Any]) -> None:
    """Print `Monitor.describe()` for a reader."""
    console = Console(highlight=False)
    network, trusted, calibration = facts["network"], facts["trusted"], facts["calibration"]
    summary = Table.grid("what", "value", padding=(0, 3))
    summary.add_row("profile", Text(printable(f"{path}, {_bytes(path.stat().st_size)}")))
    if "digest" in facts:  # not of one that was just made
        summary.add_row("file", checked(facts["digest"]))
    summary.add_row("network", f"{network['engine']}, {_network(network)}")
    _add_pictures(summary, network)
    if network.get("detections"):
        summary.add_row("detections", Text(printable(in_words(network["detections"]))))
    rule = f"right with softmax of at least {trusted['confidence']:g}" if trusted["labelled"] else "no labels: all"
    summary.add_row("trusted", f"{trusted['trusted']:,} of {trusted['frames']:,} frames ({rule})")
    if trusted["pictures"]:
        summary.add_row("learned from", f"pictures of {PictureFacts.from_dict(trusted['pictures'])}")
    names = facts["class_names"]
    if network["classes"] is not None:
        of_frame = [] if network.get("map_classes") else names
        summary.add_row("per class", _per_class(trusted["per_class"], trusted["minimum_per_class"], of_frame))
    if trusted["per_map_class"] is not None:
        summary.add_row("with class", _per_class(trusted["per_map_class"], trusted["minimum_per_class"], names))
    summary.add_row("logic", _logic(facts["logic"]))
    summary.add_row("threshold", _calibration(calibration))
    if calibration is not None:
        summary.add_row("promised", calibration["promise"])
    boxes = facts["boxes"]
    if boxes is not None:
        _add_boxes(summary, boxes, names, trusted["minimum_per_class"], calibration)
    console.print(summary)
    columns = bare_table("tap", "criterion", Column("neurons", justify="right"), Column("bytes", justify="right"))
    for column in facts["columns"]:
        parameters = dict(column["criterion"])
        name = parameters.pop("name")
        settings = ", ".join(f"{key}={value}" for key, value in parameters.items())
        columns.add_row(
            Text(printable(column["tap"])), f"{name}({settings})", f"{column['neurons']:,}", _bytes(column["bytes"])
        )
    columns.add_row("", "", "", _bytes(facts["bytes"]), style="bold")
    console.print()
    console.print(columns)
    if calibration is not None and len(set(calibration["thresholds"])) > 1:
        _print_thresholds(console, calibration, names)
    loud = [one for one in (calibration or {}).get("by_class") or () if one["too_often"]]
    if loud and network["classes"] is not None:
        _print_rates(console, loud, names)
    if (calibration or {}).get("kinds"):
        _print_kinds(console, calibration["kinds"])
    if facts["history"]:
        _print_history(console, facts["history"])


def _add_boxes(
    summary: Table, boxes: dict[str, Any], names: list[str], minimum: int, calibration: dict[str, Any] | None
) -> None:
    """Rows with what was learned of detections."""
    rule = "right by true boxes" if boxes["matched"] else "all of them"
    summary.add_row("boxes", f"{boxes['boxes']:,} in {boxes['frames']:,} frames ({rule})")
    seen = [(index, count) for index, count in enumerate(boxes["per_class"]) if count]
    shown = ", ".join(f"{_numbered(index, names)}: {count:,}" for index, count in seen[:_CLASSES])
    more = f", … ({len(seen)} in all)" if len(seen) > _CLASSES else ""
    thin = sum(count < minimum for _, count in seen)
    few = f"; {thin} below {minimum} and so not covered" if thin else ""
    summary.add_row("per class", f"{shown or 'none'}{more}{few}")
    for column in boxes["columns"]:
        summary.add_row("under boxes", Text(printable(f"{column['tap']} {_logic(column['criterion'])}")))
    if boxes["calibration"] is not None:
        drives = "drives" if calibration is not None and calibration["drives"] else "frames"
        told = boxes["calibration"] | {"drives": 0}
        told["thresholds"] = [told["thresholds"][one["class"]] for one in told["by_class"]]
        summary.add_row("of boxes", _calibration(told, f"held-out boxes of {boxes['calibration']['drives']} {drives}"))


def _print_thresholds(console: Console, calibration: dict[str, Any], names: list[str]) -> None:
    """A row for each class, where their thresholds differ."""
    table = bare_table("class", Column("threshold", justify="right"), "")
    thresholds, raised = calibration["thresholds"], calibration["raised"] or [0] * len(calibration["own"])
    for index, threshold in enumerate(thresholds[:_CLASSES]):
        shared = f"shared, raised by {raised[index]:.4g}" if raised[index] else "shared"
        whose = "its own" if calibration["own"][index] else shared
        table.add_row(Text(_numbered(index, names)), f"{threshold:.4g}", whose)
    if len(thresholds) > _CLASSES:
        table.add_row(f"… {len(thresholds):,} in all; --json has them", "", "")
    console.print()
    console.print(table)


def _print_rates(console: Console, classes: list[dict[str, Any]], names: list[str]) -> None:
    """A row for each class that alarms more often than was asked for, the highest rate first."""
    heads = "class that alarms too often", "false alarms", "held-out frames", "95 % interval"
    table = bare_table(heads[0], *(Column(head, justify="right") for head in heads[1:]))
    for one in sorted(classes, key=lambda one: -one["rate"])[:_CLASSES]:
        low, high = one["interval"]
        name = Text(_numbered(one["class"], names))
        table.add_row(name, f"{one['rate']:.4g}", f"{one['frames']:,}", f"{low:.4g} to {high:.4g}")
    if len(classes) > _CLASSES:
        table.add_row(f"… {len(classes):,} in all; --json has them", "", "", "")
    console.print()
    console.print(table)


def _print_kinds(console: Console, facts: dict[str, Any]) -> None:
    """A row for each kind that can be named: what it was learned from, and what was said of causes left out."""
    table = bare_table("kind of alarm", "learned from", "named, where its cause was left out of learning")
    for kind in facts["kinds"]:
        causes = [one["cause"] for one in facts["causes"] if one["kind"] == kind]
        said = facts["left_out"][kind] or {}
        shares = ", ".join(f"{share:.0%} {name}" for name, share in said.items() if share >= 0.005)
        table.add_row(kind, printable(", ".join(causes)), shares or "it has one cause")
    console.print()
    console.print(table)


def _print_history(console: Console, history: list[dict[str, Any]]) -> None:
    """A row for each change of the thresholds, the oldest first."""
    table = bare_table(
        Column("when (UTC)", no_wrap=True),
        Column("what", min_width=13),
        "by",
        Column("threshold", justify="right"),
        "reason",
    )
    for facts in history:
        change = Change.from_dict(facts)
        words = f"{thresholds_in_words(change.before)} -> {thresholds_in_words(change.after)}"
        rate = "" if change.rate is None else f" for {change.rate:g}"
        cells = (change.when[:16].replace("T", " "), f"{change.what}{rate}", change.by, words, change.reason)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    console.print()
    console.print(table)


def _numbered(index: int, names: list[str]) -> str:
    """``2 (stop)``, or ``2`` for a class without a name."""
    return f"{index} ({printable(names[index])})" if index < len(names) and names[index] else str(index)


def _per_class(counts: list[int], minimum: int, names: list[str]) -> str:
    shown = ", ".join(f"{_numbered(index, names)}: {count:,}" for index, count in enumerate(counts[:_CLASSES]))
    more = f", … ({len(counts)} in all)" if len(counts) > _CLASSES else ""
    thin = sum(count < minimum for count in counts)
    return shown + more + (f"; {thin} below {minimum} and so not covered" if thin else "")


def _calibration(facts: dict[str, Any] | None, what: str = "held-out frames") -> str:
    if facts is None:
        return "none yet: `outrider calibrate` sets it"
    low, high = facts["interval"]
    thresholds = sorted({f"{threshold:.4g}" for threshold in facts["thresholds"]})
    value = thresholds[0] if len(thresholds) == 1 else f"per class, {thresholds[0]} to {thresholds[-1]}"
    drives = f" of {facts['drives']} drives" if facts.get("drives") else ""
    return (
        f"{value}, for a false-alarm rate of {facts['false_alarm_rate']:g};"
        f" {facts['realised']:.4g} seen on {facts['n']} {what}{drives} (95 % interval {low:.4g} to {high:.4g})"
    )


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
