"""Operators and operator sets that an ONNX Runtime does not have."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper, numpy_helper  # noqa: E402

from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.networks.onnx.reading.operators import unsupported  # noqa: E402


def node(op, inputs, output, name="", **attributes):
    return helper.make_node(op, inputs.split(), [output], name, **attributes)


def graph(*nodes, inputs=("x",), weights=()):
    return helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ("n", 4)) for name in inputs],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(values, name) for name, values in dict(weights).items()],
    )


def model(*nodes, opsets=(("", 17),), functions=(), **options):
    imports = [helper.make_opsetid(*entry) for entry in opsets]
    made = helper.make_model(graph(*nodes, **options), opset_imports=imports, ir_version=8, functions=functions)
    return made.SerializeToString()


RELU = node("Relu", "x", "r", "act"), node("Neg", "r", "y")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            model(*RELU, opsets=(("", 99),)),
            r"version 99 of the operators of ai\.onnx, of .* has them up to (\d+); export .* opset_version=\1, or up",
        ),
        (
            model(*RELU, opsets=(("", 17), ("com.microsoft", 9))),
            r"version 9 .* com\.microsoft, .* ask for version 1, or",
        ),
        (
            model(node("Abracadabra", "x", "y", "magic")),
            r"node 'magic' \(Abracadabra\) is no operator of ai\.onnx in onnx",
        ),
        (
            model(node("Gelu", "x", "y", "new")),
            r"node 'new' \(Gelu\) came with version 20 of ai\.onnx, .* asks for 17; export it with opset_version=20",
        ),
        (
            model(node("Foo", "x", "y", "foo", domain="my.ops"), opsets=(("", 17), ("my.ops", 1))),
            r"node 'foo' \(Foo\) is of the domain 'my\.ops', of which .* has no operators; operators of",
        ),
        (
            model(node("Nope", "x", "y", "nope", domain="com.microsoft"), opsets=(("", 17), ("com.microsoft", 1))),
            r"node 'nope' \(Nope\) is no operator of com\.microsoft",
        ),
    ],
)
def test_operators_that_are_not_there_are_named(data, message):
    with pytest.raises(ValueError, match=f"expected a model that ONNX Runtime can load, .*{message}"):
        OnnxNetwork(data)


def test_what_else_the_engine_refuses_is_handed_on():
    data = model(
        node("MatMul", "x w", "m", "product"), node("Relu", "m", "y"), weights={"w": np.ones((5, 4), np.float32)}
    )
    with pytest.raises(ValueError, match=r"expected a model that ONNX Runtime can load, got: .*product"):
        OnnxNetwork(data)


def test_all_is_there_also_in_subgraphs_and_functions_or_the_one_that_is_not_is_named():
    """Of an engine that has If and Relu alone."""
    schemas = [SimpleNamespace(name=name, domain="", since_version=1) for name in ("If", "Relu")]
    inner = {
        op: node("If", "x", "y", "fork", then_branch=graph(node(op, "x", "y", op), inputs=())) for op in ("Relu", "Neg")
    }
    opsets = [helper.make_opsetid("", 1)]
    own = {
        op: helper.make_function("own", "Act", ["a"], ["b"], [node(op, "a", "b", op)], opsets) for op in ("Relu", "Neg")
    }
    call = node("Act", "x", "y", "call", domain="own")
    for op, expected in (("Relu", None), ("Neg", "node 'Neg' (Neg) is no operator of ai.onnx in onnxruntime 0.1")):
        for data in (
            model(inner[op], opsets=(("", 1),)),
            model(call, opsets=(("", 1), ("own", 1)), functions=[own[op]]),
        ):
            found = unsupported(data, "", schemas, "0.1")
            assert found == expected or found.startswith(expected)
