"""ONNX files through protobuf alone: the messages that are read, and parts that are written behind a model's own.

Only the fields in use are declared, so the package onnx is not needed; what is not declared is kept as it is.
Field numbers: onnx/onnx.proto.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..packages import install_hint

_SCHEMA = {
    "Model": "ir_version 1 int64, producer_name 2 string, graph 7 Graph, opset_import 8 Opset*,"
    " metadata_props 14 Entry*, functions 25 Function*",
    "Opset": "domain 1 string, version 2 int64",
    "Function": "name 1 string, node 7 Node*, domain 10 string",
    "Graph": "node 1 Node*, name 2 string, initializer 5 Tensor*, input 11 Value*, output 12 Value*,"
    " value_info 13 Value*, sparse_initializer 15 SparseTensor*",
    "SparseTensor": "values 1 Tensor, indices 2 Tensor",
    "Node": "input 1 string*, output 2 string*, name 3 string, op_type 4 string, attribute 5 Attribute*,"
    " domain 7 string, metadata_props 9 Entry*",
    "Attribute": "name 1 string, f 2 float, i 3 int64, s 4 bytes, t 5 Tensor, g 6 Graph, floats 7 float*,"
    " ints 8 int64*, tensors 10 Tensor*, graphs 11 Graph*, type 20 int32, sparse_tensor 22 SparseTensor,"
    " sparse_tensors 23 SparseTensor*",
    "Value": "name 1 string, type 2 Type",
    "Type": "tensor_type 1 TensorType",
    "TensorType": "elem_type 1 int32, shape 2 Shape",
    "Shape": "dim 1 Dimension*",
    "Dimension": "dim_value 1 int64, dim_param 2 string",
    "Tensor": "dims 1 int64*, data_type 2 int32, float_data 4 float*, int32_data 5 int32*, string_data 6 bytes*,"
    " int64_data 7 int64*, name 8 string, raw_data 9 bytes, double_data 10 double*, uint64_data 11 uint64*,"
    " external_data 13 Entry*, data_location 14 int32",
    "Entry": "key 1 string, value 2 string",
}
"""The fields of each message: name, number and type, with a star where it is repeated."""
NUMBERS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
"""The fields of a tensor that hold numbers one by one."""

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
"""TensorProto.DataType -> numpy dtype, for those that numpy has."""
_CODES = {name: code for code, name in DTYPES.items()}
_FIELDS = {
    "float32": "float_data", "float64": "double_data", "int64": "int64_data", "uint32": "uint64_data",
    "uint64": "uint64_data",
}  # fmt: skip
_ATTRIBUTE_TYPES = {"f": 1, "i": 2, "s": 3, "t": 4, "g": 5, "floats": 6, "ints": 7}


def parse_model(data: bytes) -> Any:
    """The bytes of an ONNX file as a message. Raises ValueError for anything else."""
    try:
        from google.protobuf.message import DecodeError
    except ImportError:
        raise ImportError(f"ONNX models need protobuf: {install_hint('onnx')}") from None
    model = messages()["Model"]()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ValueError(f"expected an ONNX model, got {len(data)} bytes of something else: {error}") from None
    if not model.graph.node or not model.graph.output:
        raise ValueError(f"expected an ONNX model, got {len(data)} bytes without a graph")
    return model


def array_of(tensor: Any) -> np.ndarray | None:
    """The values of a small constant, or None where they lie in another file or have a dtype that numpy lacks."""
    dtype = DTYPES.get(tensor.data_type)
    if dtype is None or tensor.external_data:
        return None
    if tensor.raw_data:
        values = np.frombuffer(tensor.raw_data, np.dtype(dtype).newbyteorder("<"))
    elif dtype == "float16":
        values = np.array(tensor.int32_data, np.uint16).view(np.float16)
    else:
        values = np.array(getattr(tensor, _FIELDS.get(dtype, "int32_data")), dtype)
    return values.astype(dtype).reshape(tuple(tensor.dims))


def subgraphs(node: Any) -> Iterator[Any]:
    """The graphs in the attributes of a node: the branches of If, the bodies of Loop and Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_nodes(*owners: Any) -> Iterator[Any]:
    """The nodes of graphs and functions, and those in the subgraphs of each behind it; protobuf bounds the depth."""
    for owner in owners:
        for node in owner.node:
            yield node
            yield from all_nodes(*subgraphs(node))


def title(node: Any) -> str:
    """A node as errors name it: ``node 'conv1' (Conv)``, by its first output where it has no name."""
    return f"node {(node.name or next(iter(node.output), ''))!r} ({node.op_type})"


class Fragment:
    """Nodes, constants, inputs, outputs and metadata that are written behind a model's own.

    The bytes of the model stay as they are: protobuf merges the message that follows them into theirs. Names start
    with `prefix`, with which no name of the model may start. Nodes stand after all of the model's, each after what
    it reads, so that the whole stays sorted. opset: of the standard operators, where a form depends on it. convolved:
    the tensors of the model that convolutions compute, where a form depends on that; see `convolved_tensors`.
    """

    def __init__(self, prefix: str, opset: int, convolved: frozenset[str] = frozenset()) -> None:
        self.prefix = prefix
        self.opset = opset
        self.convolved = convolved
        self._model = messages()["Model"]()
        self._nodes = self._model.graph.node
        self._constants: dict[Any, str] = {}
        self._count = 0

    def node(
        self, op: str, *inputs: str, domain: str = "", output: str | None = None, unread: int = 0, **attributes: Any
    ) -> str:
        """Add a node and return the name of its first output. unread: how many more it has that nobody reads."""
        return self.several(op, *inputs, outputs=1 + unread, domain=domain, output=output, **attributes)[0]

    def several(
        self, op: str, *inputs: str, outputs: int, domain: str = "", output: str | None = None, **attributes: Any
    ) -> list[str]:
        """Add a node of several outputs and return their names."""
        name = output or self._name(op.lower())
        names = [name, *(self._name(op.lower()) for _ in range(outputs - 1))]
        node = self._nodes.add(op_type=op, input=inputs, output=names, name=name, domain=domain)
        for key, value in attributes.items():
            field, held = _attribute(value)
            node.attribute.add(name=key, type=_ATTRIBUTE_TYPES[field], **{field: held})
        return names

    def loop(self, state: str, dtype: str, goes_on: str, step: Callable[[str], tuple[str, str]]) -> str:
        """Add rounds that change a tensor while a condition holds, and return the name of what it is in the end.

        goes_on: name of a bool without axes, whether there is a first round. step: adds the nodes of a round, from the
        name of the tensor before it to that of the tensor after it, and to that of a bool, whether another round
        follows. It may read whatever stands before the loop.
        """
        body, before = messages()["Graph"](name=self._name("round")), self._name("state")
        outer, self._nodes = self._nodes, body.node
        after, again = step(before)
        self._nodes = outer
        rounds, going = self._name("rounds"), self._name("going")
        body.input.extend([_value(rounds, "int64", ()), _value(going, "bool", ()), _value(before, dtype, None)])
        body.output.extend([_value(again, "bool", ()), _value(after, dtype, None)])
        return self.node("Loop", "", goes_on, state, body=body)

    def constant(self, values: Any, dtype: Any = None) -> str:
        """Add a constant and return its name; equal ones are one."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest())
        if key not in self._constants:
            self._constants[key] = self._name("constant")
            self._model.graph.initializer.append(_tensor(array, self._constants[key]))
        return self._constants[key]

    def initializer(self, name: str, values: np.ndarray) -> None:
        """Add a constant of this name: that of an input makes it the input's default."""
        self._model.graph.initializer.append(_tensor(values, name))

    def default(self, name: str, values: np.ndarray) -> str:
        """Add an input with a default (an initializer that may be overridden; IR version 4 or newer)."""
        self.initializer(name, values)
        self._model.graph.input.append(_value(name, str(values.dtype), values.shape))
        return name

    def output(self, name: str, dtype: str | None = None, shape: tuple[int | str, ...] | None = None) -> None:
        """Make a tensor an output of the model; `shape` holds sizes and names of sizes, batch first."""
        self._model.graph.output.append(_value(name, dtype, shape))

    def metadata(self, key: str, value: str) -> None:
        """Add an entry to the model's metadata."""
        self._model.metadata_props.add(key=key, value=value)

    def to_bytes(self) -> bytes:
        """What goes behind the bytes of a model."""
        return self._model.SerializeToString()

    def _name(self, stem: str) -> str:
        self._count += 1
        return f"{self.prefix}{stem}_{self._count}"


def _attribute(value: Any) -> tuple[str, Any]:
    if isinstance(value, np.ndarray):
        return "t", _tensor(value, "")
    if isinstance(value, (list, tuple)):
        return ("floats" if any(isinstance(item, float) for item in value) else "ints"), value
    if isinstance(value, str):
        return "s", value.encode()
    if isinstance(value, messages()["Graph"]):
        return "g", value
    return ("f", value) if isinstance(value, float) else ("i", int(value))


def _tensor(array: np.ndarray, name: str) -> Any:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return messages()["Tensor"](name=name, dims=array.shape, data_type=_CODES[str(array.dtype)], raw_data=little)


def _value(name: str, dtype: str | None, shape: tuple[int | str, ...] | None) -> Any:
    value = messages()["Value"](name=name)
    if dtype is not None:
        value.type.tensor_type.elem_type = _CODES[dtype]
    if shape is not None:
        value.type.tensor_type.shape.SetInParent()
        for size in shape:
            value.type.tensor_type.shape.dim.add(**{"dim_param" if isinstance(size, str) else "dim_value": size})
    return value


@functools.cache
def messages() -> dict[str, Any]:
    """The message classes of `_SCHEMA`, in a pool of their own: the package onnx may be loaded beside us."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="outrider/onnx.proto", package="outrider", syntax="proto2")
    for message, fields in _SCHEMA.items():
        declared = file.message_type.add(name=message)
        for name, number, spelled in map(str.split, fields.split(",")):
            kind = spelled.rstrip("*")
            label = field_types.LABEL_OPTIONAL if kind == spelled else field_types.LABEL_REPEATED
            field = declared.field.add(name=name, number=int(number), label=label)
            if kind in _SCHEMA:
                field.type, field.type_name = field_types.TYPE_MESSAGE, f".outrider.{kind}"
            else:
                field.type = getattr(field_types, f"TYPE_{kind.upper()}")
            field.options.packed = name in NUMBERS
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"outrider.{name}")) for name in _SCHEMA}
