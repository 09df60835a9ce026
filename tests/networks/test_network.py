"""The defaults of a network, and the public names of the room."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from outrider import networks
from outrider.networks import Network, Preprocessing
from outrider.networks.inputs import Input
from outrider.networks.network import fits, without_batch


def test_a_network_knows_its_shape_unless_it_says_otherwise():
    class Known(Network):
        def observe(self, batch):
            return batch

        run = close = observe

    assert Known().shaped
    assert Known().learn_shape(np.zeros((1, 2))) is None


def test_a_network_is_closed_at_the_end_of_a_with_statement():
    class Closing(Network):
        closed = False

        def close(self):
            self.closed = True

    with Closing() as network:
        assert not network.closed
    assert network.closed


@pytest.mark.parametrize(
    ("takes", "given"), [("float32", "float32"), ("uint8", "uint8"), ("float16", "float16"), ("bfloat16", "float32")]
)
def test_the_preprocessing_gives_what_the_network_takes(takes, given):
    class Taking(Network):
        dtype = takes

    network = Taking()
    assert network.preprocessing is None
    network.preprocessing = told = Preprocessing(scale=1)
    assert network.preprocessing(np.full((1, 2, 2), 200, np.uint8)).dtype == given
    assert network.preprocessing == told
    network.preprocessing = None
    assert network.preprocessing is None


@pytest.mark.parametrize(
    ("shape", "expected", "fitting"),
    [((3, 8), (3, None), True), ((3, 8), (3, 9), False), ((3,), (3, None), False), ((None,), (3,), False)],
)
def test_none_fits_any_size(shape, expected, fitting):
    assert fits(shape, expected) == fitting


@pytest.mark.parametrize("name", networks.__all__)
def test_every_public_name_is_there(name):
    if name in ("HELD_OUT", "LeNet", "SmallResNet", "TorchNetwork", "torchvision_classifier") or "trained" in name:
        pytest.importorskip("torch")
    assert name in dir(networks)
    assert getattr(networks, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'outrider\.networks' has no attribute 'Torch'"):
        networks.Torch  # noqa: B018


@pytest.mark.parametrize("use", ["", "networks.OnnxNetwork, networks.Taps, networks.load_dataset"])
def test_no_engine_is_imported_before_it_is_needed(use):
    engines = "{'torch', 'onnxruntime', 'google'} & {*sys.modules}"
    code = f"import sys\nfrom outrider import networks\n{use}\nprint({engines})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_outputs_lose_their_batch_axis_whatever_they_are_in():
    class Pair(NamedTuple):
        a: object
        b: object

    one, two = np.ones((1, 3)), np.ones((2, 3))
    found = without_batch({"x": [one, two], "y": Pair(one, (one, 5))})
    assert found["x"][0].shape == (3,)
    assert found["x"][1].shape == (2, 3)
    assert type(found["y"]) is Pair
    assert found["y"].b[0].shape == (3,)
    assert found["y"].b[1] == 5


def test_a_network_of_one_input_says_it_as_an_input():
    class One(Network):
        input_shape, dtype = (3, None, None), "uint8"

        def observe(self, batch):
            return batch

        run = close = observe

    assert One().inputs == (Input("input", (3, None, None), "uint8"),)
    assert (One().scores, One().memory, One().reset()) == ("logits", None, None)
    assert One().unbatched((np.ones((1, 3)), np.ones((2, 3))))[0].shape == (3,)
