"""What PyTorch's exporters write, against what torch computes: transformers, half precision, torchvision's networks."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from onnx import helper, numpy_helper  # noqa: E402
from torch import nn  # noqa: E402

from outrider.networks import OnnxNetwork, import_torchvision  # noqa: E402

HEADS, WIDTH, TOKENS = 4, 16, 5


def exported(module, example, *, dynamo, opset=None, dynamic=False):
    file = io.BytesIO()
    options = {}
    if dynamic:
        options = {"dynamic_shapes": ({0: "n"},)} if dynamo else {"dynamic_axes": {"x": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (example,), file, input_names=["x"], dynamo=dynamo, opset_version=opset, verbose=False,
            **options,
        )  # fmt: skip
    return file.getvalue()


def bare(data, batch, names=None):
    edited = onnx.load_from_string(data)
    for name in names or ():
        edited.graph.output.append(helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(edited.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(names, {session.get_inputs()[0].name: batch})


class Attention(nn.Module):
    """Self-attention whose heads are kept before they are mixed."""

    def __init__(self, explicit=False):
        super().__init__()
        torch.manual_seed(0)
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.explicit = explicit

    def heads(self, x):
        q, k, v = self.project(x).unflatten(-1, (3, HEADS, WIDTH // HEADS)).permute(2, 0, 3, 1, 4)
        if self.explicit:
            return torch.softmax(q @ k.transpose(-2, -1) / (WIDTH // HEADS) ** 0.5, -1) @ v
        return nn.functional.scaled_dot_product_attention(q, k, v)

    def forward(self, x):
        return self.mix(self.heads(x).transpose(1, 2).flatten(2)).mean(1)


@pytest.mark.parametrize(("dynamo", "opset", "explicit"), [(False, 17, False), (False, 17, True), (True, 23, False)])
def test_attention_heads_are_tapped_before_they_are_mixed(dynamo, opset, explicit):
    module = Attention(explicit)
    batch = torch.randn(2, TOKENS, WIDTH, generator=torch.Generator().manual_seed(1))
    data = exported(module, batch, dynamo=dynamo, opset=opset)
    heads = module.heads(batch).detach().numpy()
    expected = {
        "head": np.sqrt(np.square(heads).mean((2, 3))),
        "channel": heads.mean(2).reshape(2, -1),
        "channel-max": heads.max(2).reshape(2, -1),
        "unit": heads.reshape(2, -1),
    }
    network = OnnxNetwork(data, taps="@attention", neurons=tuple(expected), classes=None)
    assert [(tap.kind, tap.shape, tap.layout) for tap in network.taps] == [
        ("attention", (HEADS, TOKENS, WIDTH // HEADS), "NHLC")
    ] * 4
    observation = network.observe(batch.numpy())
    np.testing.assert_array_equal(observation.output, bare(data, batch.numpy())[0])
    for tap, found in zip(network.taps, observation.activations, strict=True):
        np.testing.assert_allclose(found, expected[tap.neurons], rtol=1e-4, atol=1e-5)
    only = OnnxNetwork(data, taps="@attention:head", classes=None)
    assert only.taps[0].size == HEADS


@pytest.mark.parametrize("merged", ["batch", "channels"])
def test_heads_may_share_an_axis_with_the_batch_or_the_channels(merged):
    """Batched products over batch * heads, and the operator Attention on tokens whose channels hold all heads."""
    rng = np.random.default_rng(0)
    d = WIDTH // HEADS
    nodes, constants, opset = [], [], 17
    if merged == "batch":
        for name in "qkv":
            constants.append(numpy_helper.from_array(rng.normal(size=(WIDTH, WIDTH)).astype(np.float32), f"w{name}"))
            nodes += [
                helper.make_node("MatMul", ["x", f"w{name}"], [f"p{name}"]),
                helper.make_node("Reshape", [f"p{name}", "apart"], [f"a{name}"]),
                helper.make_node("Transpose", [f"a{name}"], [f"t{name}"], perm=[0, 2, 1, 3]),
                helper.make_node("Reshape", [f"t{name}", "merged"], [name]),
            ]
        constants.append(numpy_helper.from_array(np.array([0, TOKENS, HEADS, d]), "apart"))
        constants.append(numpy_helper.from_array(np.array([-1, TOKENS, d]), "merged"))
        nodes += [
            helper.make_node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["q", "kt"], ["s"]),
            helper.make_node("Softmax", ["s"], ["p"], axis=-1),
            helper.make_node("MatMul", ["p", "v"], ["heads"]),
        ]
    else:
        opset = 23
        nodes.append(helper.make_node("Attention", ["x", "x", "x"], ["heads"], q_num_heads=HEADS, kv_num_heads=HEADS))
    nodes.append(helper.make_node("Neg", ["heads"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", TOKENS, WIDTH))],
        [helper.make_empty_tensor_value_info("y")],
        constants,
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()
    batch = rng.normal(size=(3, TOKENS, WIDTH)).astype(np.float32)
    (value,) = bare(data, batch, ["heads"])
    heads = value.reshape(3, HEADS, TOKENS, d)
    if merged == "channels":
        heads = value.reshape(3, TOKENS, HEADS, d).transpose(0, 2, 1, 3)
    network = OnnxNetwork(data, taps=("@attention:head", "@attention:channel", "@attention:unit"), classes=None)
    by_name = dict(zip((tap.neurons for tap in network.taps), network.observe(batch).activations, strict=True))
    np.testing.assert_allclose(by_name["head"], np.sqrt(np.square(heads).mean((2, 3))), rtol=1e-4)
    np.testing.assert_allclose(by_name["channel"], heads.mean(2).reshape(3, -1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(by_name["unit"], value.reshape(3, -1))


@pytest.mark.parametrize(("dynamo", "opset"), [(False, 17), (True, 20)])
def test_a_vision_transformer_has_its_gelus_and_heads_tapped(dynamo, opset):
    torch.manual_seed(0)
    module = import_torchvision().models.VisionTransformer(16, 4, 2, 2, 8, 16, num_classes=3)
    nn.init.normal_(module.heads.head.weight)
    batch = torch.randn(2, 3, 16, 16)
    data = exported(module, batch, dynamo=dynamo, opset=opset)
    gelus = []
    for part in module.modules():
        if isinstance(part, nn.GELU):
            part.register_forward_hook(lambda _m, _i, value: gelus.append(value.detach().numpy()))
    with torch.no_grad():
        module(batch)
    network = OnnxNetwork(data, taps=("auto", "@attention:head"))
    assert [(tap.kind, tap.shape, tap.layout) for tap in network.taps] == [
        ("attention", (2, 17, 4), "NHLC"), ("gelu", (17, 16), "NLC"),
        ("attention", (2, 17, 4), "NHLC"), ("gelu", (17, 16), "NLC"),
        ("output", (3,), "NC"),
    ]  # fmt: skip
    observation = network.observe(batch.numpy())
    np.testing.assert_array_equal(observation.output, bare(data, batch.numpy())[0])
    for found, value in zip(observation.activations[1:4:2], gelus, strict=True):
        np.testing.assert_allclose(found, value.mean(1), rtol=1e-3, atol=1e-5)


class Swishes(nn.Module):
    """Activations that are one node in some files and several in others, and a gate that squeezes channels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.third = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3)
        self.squeeze = nn.Conv2d(8, 8, 1)
        self.kept = []

    def forward(self, x):
        a = nn.functional.silu(self.first(x))
        b = nn.functional.hardswish(self.second(a * torch.sigmoid(self.squeeze(a.mean((2, 3), keepdim=True)))))
        c = nn.functional.gelu(self.third(b), approximate="tanh")
        d = nn.functional.mish(c + nn.functional.relu6(b[:, :, 1:-1, 1:-1]))
        self.kept = [a, b, c, d]
        return d.mean((2, 3))


@pytest.mark.parametrize(("dynamo", "opset"), [(False, 13), (True, 18)])
def test_activations_are_found_in_every_export(dynamo, opset):
    module = Swishes()
    batch = torch.randn(2, 3, 12, 12)
    data = exported(module, batch, dynamo=dynamo, opset=opset, dynamic=True)
    module(batch)
    network = OnnxNetwork(data, taps=("@silu", "@hardswish", "@gelu", "@mish"))
    assert [tap.kind for tap in network.taps] == ["silu", "hardswish", "gelu", "mish", "output"]
    assert [tap.kind for tap in OnnxNetwork(data, taps="auto").taps] == [
        "silu", "hardswish", "gelu", "clip", "mish", "output"
    ] or [tap.kind for tap in OnnxNetwork(data, taps="auto").taps] == [
        "silu", "hardswish", "clip", "gelu", "mish", "output"
    ]  # fmt: skip
    observation = network.observe(batch.numpy())
    np.testing.assert_array_equal(observation.output, bare(data, batch.numpy())[0])
    for found, value in zip(observation.activations, module.kept, strict=False):
        np.testing.assert_allclose(found, value.detach().mean((2, 3)).numpy(), rtol=1e-3, atol=1e-5)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.out = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.a(x))
        return self.out(torch.relu(self.b(x) + x).mean((2, 3)))


@pytest.mark.parametrize("tap", ["@flatten", "@globalaveragepool", "@gemm", "*"])
def test_half_precision_stays_the_same_behind_other_layers_too_or_says_so(tap):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    class Wide(Small):
        def forward(self, x):
            x = nn.functional.adaptive_avg_pool2d(torch.relu(self.a(x)), 1).flatten(1)
            return self.out(torch.relu(self.out(x) @ self.out.weight))

    plain = onnx.load_from_string(exported(Wide(), torch.zeros(2, 3, 8, 8), dynamo=False, opset=17))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = convert_float_to_float16(plain).SerializeToString()
    batch = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float16)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = OnnxNetwork(data, taps=tap)
    same = np.array_equal(network.observe(batch).output, bare(data, batch)[0])
    assert same or any("the outputs differ from those of the bare model" in str(said.message) for said in caught)


@pytest.mark.parametrize("way", ["torchscript", "dynamo", "converted", "converted, float32 outside"])
def test_half_precision(way):
    if way.startswith("converted"):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        plain = onnx.load_from_string(exported(Small(), torch.zeros(2, 3, 8, 8), dynamo=False, opset=17))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            half = convert_float_to_float16(plain, keep_io_types=way != "converted")
        data = half.SerializeToString()
    else:
        data = exported(Small().half(), torch.zeros(2, 3, 8, 8).half(), dynamo=way == "dynamo", opset=18)
    dtype = np.float32 if way == "converted, float32 outside" else np.float16
    batch = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(dtype)
    network = OnnxNetwork(data, taps="auto", neurons=("unit", "channel", "channel-max", "grid3"))
    assert [(tap.kind, tap.dtype) for tap in network.taps[:-1]] == [("relu", "float16")] * 8
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, bare(data, batch)[0])
    assert observation.logits.dtype == np.float32
    for tap, found in zip(network.taps[:-1], observation.activations, strict=False):
        assert found.dtype == np.float32
        value = torch.from_numpy(bare(data, batch, [tap.name])[0].astype(np.float32))
        expected = {
            "unit": value,
            "channel": value.mean((2, 3)),
            "channel-max": value.amax((2, 3)),
            "grid3": nn.functional.adaptive_avg_pool2d(value, 3),
        }[tap.neurons]
        np.testing.assert_allclose(found, expected.flatten(1), rtol=2e-3, atol=1e-3)
