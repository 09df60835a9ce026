"""How frames are handed to a module."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks import TorchNetwork  # noqa: E402
from outrider.networks.inputs import Input  # noqa: E402
from outrider.networks.pytorch.arguments import shapes_in, ways_to_call  # noqa: E402

from .modules import built, chain, images  # noqa: E402


class Fusion(nn.Module):
    """A camera and a state vector."""

    def __init__(self):
        super().__init__()
        self.conv, self.dense, self.act = nn.Conv2d(3, 4, 3), nn.Linear(2, 4), nn.ReLU()
        self.head = nn.Linear(4, 3)

    def forward(self, camera, speed, scale=1.0):
        return self.head(self.act(self.conv(camera).mean((2, 3)) + self.dense(speed)) * scale)


class OneMapping(Fusion):
    def forward(self, batch):
        return super().forward(batch["camera"], batch["speed"])


class OneTuple(Fusion):
    def forward(self, batch):
        return super().forward(*batch)


class AnyNames(Fusion):
    def forward(self, **batch):
        return super().forward(**batch)


class NamesAlone(Fusion):
    def forward(self, *, camera, speed):
        return super().forward(camera, speed)


CAMERA, SPEED = images(5), images(5, (2,))


@pytest.mark.parametrize(
    ("kind", "shapes", "names", "how"),
    [
        (Fusion, [(3, 8, 8), (2,)], ["camera", "speed"], "positions"),
        (Fusion, {"speed": (2,), "camera": (3, 8, 8)}, ["speed", "camera"], "names"),
        (AnyNames, {"camera": (3, 8, 8), "speed": (2,)}, ["camera", "speed"], "names"),
        (NamesAlone, {"speed": (2,), "camera": (3, 8, 8)}, ["speed", "camera"], "names"),
        (OneMapping, {"camera": (3, 8, 8), "speed": (2,)}, ["camera", "speed"], "mapping"),
        (OneTuple, ((3, 8, 8), (2,)), ["input0", "input1"], "tuple"),
    ],
)
def test_several_inputs_go_where_forward_wants_them(kind, shapes, names, how):
    module = built(kind())
    network = TorchNetwork(module, shapes)
    assert [one.name for one in network.inputs] == names
    assert next(ways_to_call(module, shapes, None)).how == how
    with torch.no_grad():
        expected = Fusion.forward(module, torch.from_numpy(CAMERA), torch.from_numpy(SPEED))
    arrays = dict(zip(names, (CAMERA, SPEED) if names[0] in ("camera", "input0") else (SPEED, CAMERA), strict=True))
    for batch in (arrays, tuple(arrays.values()), {name: torch.from_numpy(a) for name, a in arrays.items()}):
        seen = network.observe(batch)
        np.testing.assert_array_equal(seen.output, expected)
        np.testing.assert_array_equal(seen.logits, expected)
        np.testing.assert_array_equal(network.run(batch), expected)


def test_the_first_batch_tells_the_inputs_too():
    network = TorchNetwork(built(Fusion()))
    network.learn_shape({"camera": CAMERA, "speed": SPEED})
    assert network.inputs == (Input("camera", (3, 8, 8)), Input("speed", (2,)))
    assert repr(network) == "TorchNetwork(Fusion, camera (3, 8, 8), speed (2,)): 2 taps"


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        ({"camera": CAMERA}, ValueError, "expected the inputs camera, speed, got camera"),
        (CAMERA, TypeError, r"expected a tuple of 2 arrays \(camera, speed\)"),
        ((CAMERA, SPEED[:3]), ValueError, "as many frames of every input, got 5, 3"),
        ((CAMERA, SPEED[:, :1]), ValueError, r"shape \(n, 2\) for input 'speed', got \(5, 1\)"),
        ((CAMERA.astype(np.uint8), SPEED), TypeError, "dtype float32 for input 'camera', got uint8"),
        ((CAMERA, SPEED.tolist()), TypeError, "torch tensor for input 'speed', got list"),
    ],
)
def test_other_batches_are_refused_by_the_name_of_the_input(batch, error, message):
    network = TorchNetwork(built(Fusion()), {"camera": (3, 8, 8), "speed": (2,)})
    with pytest.raises(error, match=message):
        network.observe(batch)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"camera": (3, 8, 8), "sped": (2,)}, "expected inputs among camera, speed, scale, got camera, sped"),
        ([(3, 8, 8), (2,), (1,), (1,)], "expected at most 3 inputs, camera, speed, scale, got 4"),
    ],
)
def test_inputs_that_forward_does_not_take_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        TorchNetwork(built(Fusion()), shapes)


class Bytes(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(12, 3)

    def forward(self, x):
        if x.dtype != torch.uint8:
            raise TypeError("expected bytes")
        return self.dense((x.float() / 255).flatten(1)).relu()


@pytest.mark.parametrize(
    ("module", "shape", "dtype", "found"),
    [
        (built(Bytes()), (3, 2, 2), None, "uint8"),
        (chain(nn.Embedding(9, 4), nn.GELU(), nn.Flatten(), nn.Linear(20, 3)), (5,), None, "int64"),
        (chain(nn.Embedding(9, 4), nn.GELU(), nn.Flatten(), nn.Linear(20, 3)), (5,), "int32", "int32"),
        (chain(nn.Linear(5, 3)).half(), (5,), "float16", "float16"),
        (chain(nn.Linear(5, 3)).half(), (5,), None, "float32"),
    ],
)
def test_the_dtype_is_one_that_the_module_takes(module, shape, dtype, found):
    network = TorchNetwork(module, shape, dtype=dtype, taps="*")
    assert network.dtype == network.inputs[0].dtype == found
    batch = (np.random.default_rng(0).random((4, *shape)) * 8).astype(found)
    with torch.no_grad():
        given = torch.from_numpy(batch)
        expected = module(given.to(module[0].weight.dtype) if given.is_floating_point() else given)
    np.testing.assert_array_equal(network.observe(batch).output, expected)
    learned = TorchNetwork(module, dtype=dtype, taps="*")
    learned.learn_shape(batch)
    assert (learned.dtype, learned.input_shape) == (found, shape)


def test_dtypes_that_are_none_are_refused():
    with pytest.raises(ValueError, match="expected dtypes such as 'float32' or 'uint8', got 'bytes'"):
        TorchNetwork(built(Bytes()), (3, 2, 2), dtype="bytes")
    with pytest.raises(ValueError, match="expected 2 dtypes, got 1"):
        TorchNetwork(built(Fusion()), [(3, 8, 8), (2,)], dtype=["float32"])
    with pytest.raises(ValueError, match="expected dtypes of the inputs camera, speed, got one of 'x'"):
        TorchNetwork(built(Fusion()), [(3, 8, 8), (2,)], dtype={"x": "uint8"})
    with pytest.raises(TypeError, match=r"got RuntimeError.* expected a batch of another dtype"):
        TorchNetwork(chain(nn.Linear(5, 3))).observe(np.zeros((2, 5), np.float64))


def test_a_module_that_has_moved_is_fed_where_it_is():
    module = chain(nn.Linear(5, 3))
    network, batch = TorchNetwork(module, (5,), taps="*"), images(2, (5,))
    module.double()
    with torch.no_grad():
        np.testing.assert_array_equal(network.observe(batch).output, module(torch.from_numpy(batch).double()))


def test_shapes_and_dtypes_of_a_batch():
    assert shapes_in(CAMERA) == ((3, 8, 8), None)
    assert shapes_in({"a": CAMERA, "b": CAMERA.astype(np.uint8)}) == ({"a": (3, 8, 8), "b": (3, 8, 8)}, {"b": "uint8"})
    assert shapes_in((CAMERA, torch.zeros(5, 1).long())) == ([(3, 8, 8), (1,)], [None, "int64"])
    assert shapes_in([CAMERA, SPEED]) == ([(3, 8, 8), (2,)], None)
    with pytest.raises(TypeError, match="expected a numpy array or a torch tensor, got list"):
        shapes_in([1, 2])
