"""torchvision next to a torch that its compiled part may not fit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
find_spec = pytest.importorskip("importlib.util").find_spec
if find_spec("torchvision") is None:
    pytest.skip("needs torchvision", allow_module_level=True)

from outrider.networks import TorchNetwork, torchvision_classifier  # noqa: E402
from outrider.networks.pytorch.torchvision_import import import_torchvision  # noqa: E402


def test_it_is_imported_once():
    assert import_torchvision() is import_torchvision() is sys.modules["torchvision"]


def test_the_remedy_is_left_where_the_compiled_part_loads(tmp_path):
    code = (
        "import torch\n"
        "from outrider.networks.pytorch import torchvision_import\n"
        "torchvision_import._compiled_part_loads = lambda folder: True\n"
        "try: torchvision_import.import_torchvision()\n"
        "except RuntimeError: pass\n"
        "print(torchvision_import._declared)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


@pytest.mark.parametrize(
    ("name", "size", "taps", "neurons"),
    [
        ("resnet18", 32, 17, 3904),
        ("mobilenet_v3_small", 32, 33, None),
        ("vit_b_32", 32, 12, 12 * 3072),
        ("swin_t", 32, 12, None),
        ("googlenet", 64, 57, None),
    ],
)
def test_classifiers_of_every_family(name, size, taps, neurons):
    options = {"image_size": size} if name.startswith("vit") else {}
    if name == "googlenet":
        options = {"init_weights": False, "aux_logits": False}
    network = TorchNetwork(torchvision_classifier(name, **options), (3, size, size), taps="auto")
    assert len(network.taps) == taps + 1
    assert neurons in (None, sum(tap.size for tap in network.taps[:-1]))
    batch = np.random.default_rng(0).random((2, 3, size, size), np.float32)
    observation = network.observe(batch)
    np.testing.assert_array_equal(observation.output, network.run(batch))
    assert [values.shape for values in observation.activations] == [(2, tap.size) for tap in network.taps]
