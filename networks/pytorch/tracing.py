"""Activations called as functions, which no hook sees: found by tracing the module with torch.fx."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx, nn

from ..selectors import ACTIVATIONS, GATES, OUTPUT, choose, split_selector
from ..tap import Candidate, Tap
from .hooks import Observer, Trial, kind_of

_OBSERVERS = "_outrider"


def plan(
    module: nn.Module,
    plain: Trial,
    zeros: Tensor,
    scores: Sequence[Candidate],
    taps: str | Sequence[str],
    neurons: str | Sequence[str],
) -> tuple[Callable[[Tensor], Any], Trial, list[Tap]]:
    """The function that runs the module, its trial run, and the taps chosen, without the class scores.

    It is the module itself unless a tap lies on a function that only the traced module can show.
    """
    selectors = [taps] if isinstance(taps, str) else list(taps)

    def chosen(trial: Trial) -> list[Tap]:
        return [tap for tap in choose([*trial.candidates, *scores], selectors, neurons) if tap.kind != OUTPUT]

    names = {c.name for c in (*plain.candidates, *scores)}
    if all(split_selector(selector)[0] in names for selector in selectors):
        return module, plain, chosen(plain)
    try:
        traced = _traced(module)
    except Exception as error:  # noqa: BLE001 - tracing runs the module's own code on stand-ins: anything may come
        try:
            return module, plain, chosen(plain)
        except ValueError as unmatched:
            reason = f"activations called as functions were not found, as torch.fx cannot trace the module: {error}"
            raise ValueError(f"{unmatched}; {reason}") from None
    if traced is not None:
        inner = ((name, part) for name, part in traced.named_modules() if name)
        named = ((part.name, part) if isinstance(part, Observer) else (name, part) for name, part in inner)
        seen = Trial(named, traced.forward, zeros)
        taken = chosen(seen)
        parts = set(seen.sites(taken))
        if any(isinstance(seen.parts[part], Observer) for part in parts):
            _drop_observers(traced, keep=parts)
            return traced.forward, seen, taken
    return module, plain, chosen(plain)


class _Tracer(fx.Tracer):
    """A tracer that remembers the results of the modules that it looks into, innermost first."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[fx.Node, str, str]] = []

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        value = super().call_module(m, forward, args, kwargs)
        name = self.path_of_module(m)
        if isinstance(value, fx.Proxy) and not self.is_leaf_module(m, name):
            self.blocks.append((value.node, name, kind_of(m)))
        return value


def _traced(module: nn.Module) -> fx.GraphModule | None:
    """The module as a graph that shares its weights, with an observer behind every block and functional activation.

    None when it calls no activation as a function. Raises whatever tracing raises.
    """
    tracer = _Tracer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = tracer.trace(module)
    paths = {name for name, _ in module.named_modules()}
    functions = [
        (node, node.name if node.name not in paths else f"{node.name}#function", kind)
        for node in graph.nodes
        if (kind := _function_kind(node)) in ACTIVATIONS | GATES
    ]
    if not functions:
        return None
    traced = fx.GraphModule(module, graph)
    for index, (node, name, kind) in enumerate(reversed([*functions, *tracer.blocks])):
        target = f"{_OBSERVERS}.{index}"
        traced.add_submodule(target, Observer(name, kind).eval())
        source = node if (node, name, kind) in tracer.blocks else node.args[0]
        with graph.inserting_after(node):
            graph.call_module(target, (source, node))
    traced.recompile()
    return traced


def _function_kind(node: fx.Node) -> str:
    """``leakyrelu`` for a node that calls leaky_relu or leaky_relu_, as a function or a method."""
    if node.op not in ("call_function", "call_method"):
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.replace("_", "")


def _drop_observers(traced: fx.GraphModule, keep: set[str]) -> None:
    for node in list(traced.graph.nodes):
        is_observer = node.op == "call_module" and node.target.startswith(f"{_OBSERVERS}.")
        if is_observer and traced.get_submodule(node.target).name not in keep:
            traced.graph.erase_node(node)
    traced.recompile()
