"""An ONNX file as a graph: which tensors it computes, and the same file with more outputs.

Only the fields that are read are declared, so the package onnx is not needed. Field numbers: onnx/onnx.proto.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from .tap import ACTIVATIONS, GATES

_SCHEMA = {
    "Model": {"graph": (7, "Graph")},
    "Graph": {
        "node": (1, "Node*"),
        "initializer": (5, "Tensor*"),
        "input": (11, "Value*"),
        "output": (12, "Value*"),
    },
    "Node": {
        "input": (1, "string*"),
        "output": (2, "string*"),
        "name": (3, "string"),
        "op_type": (4, "string"),
        "attribute": (5, "Attribute*"),
    },
    "Attribute": {"name": (1, "string"), "ints": (8, "int64*"), "type": (20, "int32")},
    "Value": {"name": (1, "string")},
    "Tensor": {"name": (8, "string"), "external_data": (13, "Entry*")},
    "Entry": {"key": (1, "string"), "value": (2, "string")},
}
_INTS = 7  # AttributeProto.AttributeType.INTS
_GATED = {"Sigmoid": "silu", "HardSigmoid": "hardswish"}  # x * gate(x)
_POINTWISE = ACTIVATIONS | GATES | {"add", "sub", "mul", "div", "erf", "identity", "cast", "dropout"}


class OnnxGraph:
    """What an ONNX file says of its tensors.

    kinds: the tensors that depend on the input, in the order in which they are computed, each with its lower-case
    operator; those that end an activation written in several nodes (x * Sigmoid(x)) bear its name.
    outputs: of the file. external: the files beside it that hold weights.
    Raises ValueError for bytes that are no ONNX model.
    """

    def __init__(self, data: bytes) -> None:
        from google.protobuf.message import DecodeError

        self._data = data
        model = _messages()["Model"]()
        try:
            model.ParseFromString(data)
        except DecodeError as error:
            raise ValueError(f"expected an ONNX model, got {len(data)} bytes that are none: {error}") from None
        graph = model.graph
        if not graph.node or not graph.output:
            raise ValueError(f"expected an ONNX model, got {len(data)} bytes without a graph")
        self.outputs = tuple(value.name for value in graph.output)
        self.external = tuple(
            sorted({e.value for t in graph.initializer for e in t.external_data if e.key == "location"})
        )
        self._names = {name for node in graph.node for name in (node.name, *node.input, *node.output)}
        self._names.update(value.name for value in (*graph.initializer, *graph.input, *graph.output))
        self._producers: dict[str, Any] = {}
        self._users: dict[str, list[Any]] = {}
        self.kinds: dict[str, str] = {}
        self._walk(graph)
        self._name_composites(graph)

    def is_channels_last(self, tensor: str) -> bool:
        """Whether the last axis holds the channels: pointwise work on what a dense layer or a layer norm returned."""
        node = self._producers.get(tensor)
        while node is not None:
            op = node.op_type.lower()
            if op in ("matmul", "gemm"):
                return len(node.input) > 1 and node.input[1] not in self._moving
            if op == "layernormalization":
                return True
            if op not in _POINTWISE:
                return False
            node = self._producers.get(next((name for name in node.input if name in self._moving), ""))
        return False

    def unused_name(self, stem: str) -> str:
        """A name that starts with `stem` and with which no name of the file starts."""
        while any(name.startswith(stem) for name in self._names):
            stem += "_"
        return stem

    def with_outputs(
        self, outputs: Sequence[str], nodes: Sequence[tuple[str, str, str, Mapping[str, Sequence[int]]]] = ()
    ) -> bytes:
        """The file with more outputs, and nodes (operator, input, output, attributes) that compute them.

        The bytes of the file stay as they are: protobuf merges the graph that follows them into theirs.
        """
        more = _messages()["Model"]()
        for op, source, result, attributes in nodes:
            node = more.graph.node.add(op_type=op, input=[source], output=[result], name=result)
            for name, numbers in attributes.items():
                node.attribute.add(name=name, ints=numbers, type=_INTS)
        for name in dict.fromkeys(outputs):
            if name not in self.outputs:
                more.graph.output.add(name=name)
        return self._data + more.SerializeToString()

    def _walk(self, graph: Any) -> None:
        constants = {tensor.name for tensor in graph.initializer}
        self._moving = {value.name for value in graph.input} - constants
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
            if self._moving.intersection(node.input):
                self._moving.update(node.output)
                for name in filter(None, node.output):
                    self.kinds[name] = node.op_type.lower()
                    self._producers[name] = node

    def _name_composites(self, graph: Any) -> None:
        for node in graph.node:
            if node.op_type in _GATED:
                self._name_gated(node, node.input[0], _GATED[node.op_type])
            elif node.op_type == "Tanh" and self.kinds.get(node.input[0]) == "softplus":
                softplus = self._producers[node.input[0]]
                if self._name_gated(node, softplus.input[0], "mish"):
                    self.kinds[node.input[0]] = "mish-gate"
            elif node.op_type in ("Erf", "Tanh"):
                self._name_gelu(node)

    def _name_gated(self, gate: Any, source: str, kind: str) -> bool:
        """Name the products of a gate and what it gates."""
        products = [
            user for user in self._users.get(gate.output[0], []) if user.op_type == "Mul" and source in user.input
        ]
        self.kinds.update((product.output[0], kind) for product in products)
        return bool(products)

    def _name_gelu(self, node: Any) -> None:
        """Name the end of x * (1 + erf(...)) / 2, in whichever order the factors come."""
        shifted = self._only_user(node.output[0], "Add")
        if shifted is None or self._moving.issuperset(shifted.input):
            return
        end, factors = shifted.output[0], 0
        while (product := self._only_user(end, "Mul")) is not None:
            factors += self._moving.issuperset(product.input)
            if factors > 1:
                break
            end = product.output[0]
        if factors and end != shifted.output[0]:
            self.kinds[end] = "gelu"

    def _only_user(self, tensor: str, op: str) -> Any:
        users = self._users.get(tensor, [])
        return users[0] if len(users) == 1 and users[0].op_type == op and tensor not in self.outputs else None


@functools.cache
def _messages() -> dict[str, Any]:
    """The message classes of `_SCHEMA`, in a pool of their own: the package onnx may be loaded beside us."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="outrider/onnx.proto", package="outrider", syntax="proto2")
    for message, fields in _SCHEMA.items():
        declared = file.message_type.add(name=message)
        for name, (number, spelled) in fields.items():
            kind = spelled.rstrip("*")
            label = field_types.LABEL_OPTIONAL if kind == spelled else field_types.LABEL_REPEATED
            field = declared.field.add(name=name, number=number, label=label)
            if kind in _SCHEMA:
                field.type, field.type_name = field_types.TYPE_MESSAGE, f".outrider.{kind}"
            else:
                field.type = getattr(field_types, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"outrider.{name}")) for name in _SCHEMA}
