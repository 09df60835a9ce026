"""The operators of a model that ONNX Runtime does not have, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from ..proto import all_nodes, parse_model, title

_TILL = re.compile(r"support for domain (\S+) is till opset (\d+)")
_STANDARD = "ai.onnx"


def unsupported(data: bytes, engine_error: str, schemas: list[Any], version: str) -> str | None:
    """A sentence on the first operator set or operator that is missing, None where none is.

    data: a model that did not load. engine_error: what the engine said. schemas: of the engine in this version, each
    with its name, domain and since_version.
    """
    model = parse_model(data)
    first: dict[tuple[str, str], int] = {}
    newest: dict[str, int] = {}
    for schema in schemas:
        key = _domain(schema.domain), schema.name
        first[key] = min(first.get(key, schema.since_version), schema.since_version)
        newest[key[0]] = max(newest.get(key[0], 1), schema.since_version)
    asked = {_domain(entry.domain): entry.version for entry in model.opset_import}
    stated = {domain: int(last) for domain, last in _TILL.findall(engine_error)}
    for domain, number in asked.items():
        last = newest.get(domain)
        last = None if last is None else min(last, stated.get(domain, last))
        if last is not None and number > last:
            todo = f"export the model with opset_version={last}" if domain == _STANDARD else f"ask for version {last}"
            return (
                f"version {number} of the operators of {domain}, of which onnxruntime {version} has them up to {last};"
                f" {todo}, or upgrade onnxruntime"
            )
    local = {(_domain(function.domain), function.name) for function in model.functions}
    for node in all_nodes(model.graph, *model.functions):
        key = _domain(node.domain), node.op_type
        if key in local:
            continue
        if key[0] not in newest:
            return (
                f"{title(node)} is of the domain {key[0]!r}, of which onnxruntime {version} has no operators; operators"
                " of one's own cannot be registered here: export the model with standard ones"
            )
        if key not in first:
            return (
                f"{title(node)} is no operator of {key[0]} in onnxruntime {version}; upgrade onnxruntime if it is new"
            )
        if first[key] > asked.get(key[0], 1):
            return (
                f"{title(node)} came with version {first[key]} of {key[0]}, and the model asks for"
                f" {asked.get(key[0], 1)}; export it with opset_version={first[key]}"
            )
    return None


def _domain(name: str) -> str:
    return name or _STANDARD
