"""Hold two networks against each other, tap by tap: exit status 0 when they agree, 1 when not."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Column
from rich.text import Text

from ....monitor import Monitor
from ....monitor.facts.network import NetworkFacts
from ....monitor.files import read_network
from ....networks import DEFAULT_TAPS, Network, bind, random_frames
from ...inputs.joint import JointSource, open_frames
from ...inputs.networks import inputs_of, is_onnx, open_network, picture_defaults, reopen_network
from ...inputs.sources import Source
from ..comparing import Comparison, Frames, empty_source, move, open_alike, selectors_of, shape_of
from ..opening import input_shape, pictures, states
from ..printing import answer, bare_table
from ..reading import reading_facts, write_reading

_RESTS = (
    "written. Its threshold was set on the scores of the first network. For the second, the false-alarm rate holds as "
    "far as the scores of the two agree, which was seen on these frames only. `outrider calibrate` on held-out data "
    "sets it anew."
)


def run(options: argparse.Namespace) -> int:
    if options.output is not None and options.profile is None:
        raise ValueError("expected --profile with the profile to move to the other network, got --output alone")
    with ExitStack() as stack:
        a, b, frames, source = _open(options, stack)
        monitor = None if options.profile is None else Monitor.load(options.profile, a)
        found = Comparison(bind(a, b, frames()), options.tolerance)
        if monitor is not None and found.agree:
            moved, found = move(monitor, b, found, frames)
            if options.output is not None:
                moved.save(options.output)
    read = None if options.frames == "random" else reading_facts([source])

    def show() -> None:
        _print(found, options)
        if read is not None:
            write_reading(read)

    answer(found.to_dict() | ({} if read is None else {"data": read}), show, as_json=options.json)
    return int(not found.agree)


def _open(options: argparse.Namespace, stack: ExitStack) -> tuple[Network, Network, Frames, Source | JointSource]:
    """Both networks, tapped alike and closed with the stack, what both are run on, and where it comes from."""
    specs = options.a, options.b
    fields, carried = pictures(options), states(options)
    facts = None
    if options.profile is not None:
        facts = read_network(options.profile)
        fields |= facts.preprocessing or {}
        carried = carried or facts.states
    if options.frames == "random":
        source = empty_source(input_shape(options) or _known_shape(facts) or shape_of(specs, carried or ()))
    else:
        names = [one.name for one in facts.frame] if facts else inputs_of(options.a, options.weights, carried)
        source = open_frames(options.frames, options.rows, names)
        if not source.ready:
            fields = {
                **picture_defaults(next(filter(is_onnx, specs), options.a), source, fields, carried or ()),
                **fields,
            }
    given: dict[str, Any] = {"weights": options.weights, "neurons": options.neurons, "exact": True}
    given["states"] = carried
    given["layouts"] = options.layouts
    given |= {"scores_output": options.scores_output, "scores": options.scores}
    if facts is None:
        selectors = DEFAULT_TAPS if options.taps is None else options.taps
        a = open_network(options.a, source, _for_engine(options.a, fields), taps=selectors, **given)
    else:
        selectors = selectors_of(facts.taps)
        given["classes"] = "pixel" if facts.map_classes else facts.classes
        a = reopen_network(options.a, options.profile, facts, options.weights)
    stack.enter_context(closing(a))
    b = open_alike(options.b, a, source, _for_engine(options.b, fields), selectors, **given)
    stack.enter_context(closing(b))
    if options.frames == "random":
        return a, b, lambda: [random_frames(a, options.count)], source
    batches = partial(source.batches, a.preprocessing, options.batch_size, a.inputs, partial(_reset, a, b))
    return a, b, lambda: (batch[0] if isinstance(batch, tuple) else batch for batch in batches()), source


def _reset(*networks: Network) -> None:
    for network in networks:
        network.reset()


def _known_shape(facts: NetworkFacts | None) -> Any:
    """The shape of a frame, of several inputs a mapping by name; None where a profile leaves a size open."""
    if facts is None:
        return None
    shapes = {one.name: one.shape for one in facts.frame} or facts.input_shape
    listed = shapes.values() if isinstance(shapes, dict) else [shapes]
    return None if any(None in shape for shape in listed) else shapes


def _for_engine(spec: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The same pictures, with the channels first for PyTorch, whatever an ONNX model says of itself."""
    return fields if is_onnx(spec) or "layout" not in fields else {**fields, "layout": "NCHW"}


def _print(found: Comparison, options: argparse.Namespace) -> None:
    console = Console(highlight=False)
    binding = found.binding
    taps = (Column(network, overflow="fold") for network in (options.a, options.b))
    found_by = Column("bound by", no_wrap=True), Column("difference", no_wrap=True, justify="right")
    table = bare_table(*taps, *found_by)
    for row in binding.rows:
        table.add_row(Text(row.a.id), Text(row.b.id), row.how, _shown(row.difference, found.tolerance))
    table.add_row("outputs", "outputs", "", _shown(binding.output, found.tolerance), style="bold")
    console.print(table)
    for unbound in binding.unbound if options.profile is None else binding.missing():
        owner = options.a if unbound.side == "a" else options.b
        console.print(f"not bound: {unbound.tap.id} of {owner}: {unbound.reason}", markup=False)
    counts = [f"{binding.frames} {'random ' * (options.frames == 'random')}frames"]
    if binding.predictions_differ is not None:
        counts.append(f"{binding.predictions_differ} predictions differ")
    if found.verdicts_differ is not None:
        counts.append(f"{found.verdicts_differ} verdicts differ")
    verdict = "all agree" if found.agree else "they do not agree"
    console.print(f"{', '.join(counts)}; {verdict} within {found.tolerance:g}", markup=False)
    if options.output is not None:
        said = _RESTS if found.agree else "not written, as the networks do not agree"
        console.print(f"{options.output}: {said}", markup=False)


def _shown(difference: float | None, tolerance: float) -> Text:
    value = 0.0 if difference is None else difference
    return Text(f"{value:.2g}", "green" if value <= tolerance else "bold red")
