"""`outrider inspect` of a network: the names to ask for with --taps."""

from __future__ import annotations

import json

import pytest

from ...rows_models import regions, views
from .outcomes import error_of

FACTORY = """
import torch

def make():
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
"""


@pytest.fixture
def factory(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "net.py").write_text(FACTORY)
    return "net.py:make"


def test_the_taps_of_a_model_as_json(outrider, model):
    result = outrider("inspect", model, "--json")
    facts = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert (facts["engine"], facts["input_shape"], facts["problems"]) == ("onnx", [1, 8, 8], {})
    taps = {tap["name"]: tap for tap in facts["taps"]}
    assert list(taps) == ["conv", "relu", "flat", "logits"]
    assert taps["relu"] == {
        "name": "relu", "kind": "relu", "shape": [6, 8, 8], "rows": 1, "layout": "NCHW", "dtype": "float32",
        "neurons": {"channel": 6, "unit": 384}, "chosen_by": ["auto", "first", "stages", "widest"],
        "modules": [], "moved": None, "obstacle": None,
    }  # fmt: skip
    assert taps["conv"]["moved"] == {"to": "relu", "why": "ONNX Runtime fuses the conv with the relu that reads it"}
    assert taps["logits"]["neurons"] == {"unit": 10}
    assert not any(taps[name]["chosen_by"] for name in ("conv", "flat", "logits"))


def test_rows_are_told_where_a_frame_has_not_one(outrider, tmp_path):
    (tmp_path / "views.onnx").write_bytes(views())
    (tmp_path / "regions.onnx").write_bytes(regions())
    found = []
    for path in ("views.onnx", "regions.onnx"):
        taps = {tap["name"]: tap["rows"] for tap in json.loads(outrider("inspect", path, "--json").out)["taps"]}
        found.append((taps["r"], taps["d"]))
    assert found == [(4, 4), (1, None)]
    assert "4 of 8x6x6 NCHW" in outrider("inspect", "views.onnx").out
    assert "? of 6 NC" in outrider("inspect", "regions.onnx").out


def test_every_name_listed_can_be_asked_for(outrider, model):
    taps = json.loads(outrider("inspect", model, "--json").out)["taps"]
    names = [tap["name"] for tap in taps if tap["kind"] != "output" and tap["moved"] is None]
    command = ("profile", model, "digits:train", "--rows", ":200", "-o", "new.outrider", "--criterion", "single_range")
    facts = json.loads(outrider(*command, "--taps", ",".join(names), "--json").out)
    assert [column["tap"].split(":")[0] for column in facts["columns"] if column["tap"] != "logits:unit"] == names


def test_a_table_for_a_reader(outrider, model):
    lines = outrider("inspect", model).out.splitlines()
    assert lines[0] == f"{model}: onnx, input 1x8x8"
    assert lines[1] == "4 taps; a profile takes auto,first:unit,last:channel-max unless --taps says otherwise"
    rows = {line.split()[0]: line for line in lines[3:]}
    assert "6x8x8 NCHW  float32  6 channels, 384 units  auto, first, stages, widest" in rows["relu"]
    assert rows["conv"].rstrip().endswith("tapped at relu")


def test_taps_lists_what_selectors_mean(outrider, model):
    def names(*selectors):
        return [tap["name"] for tap in json.loads(outrider("inspect", model, "--json", *selectors).out)["taps"]]

    assert names("--taps", "stages") == ["relu"]
    assert names("--taps", "@conv,flat") == ["conv", "flat"]
    assert "did you mean 'relu'?" in error_of(outrider("inspect", model, "--taps", "rellu"))


def test_a_module_needs_its_input_shape(outrider, factory):
    assert "expected --input-shape C,H,W" in error_of(outrider("inspect", factory))
    facts = json.loads(outrider("inspect", factory, "--input-shape", "1,8,8", "--json").out)
    assert [(tap["name"], tap["chosen_by"]) for tap in facts["taps"]] == [
        ("0", []), ("1", ["auto", "first", "stages", "widest"]), ("2", []), ("3", []), ("output", []),
    ]  # fmt: skip


def test_obstacles_and_what_cannot_be_said_are_told(outrider, tmp_path):
    torch = pytest.importorskip("torch")
    assert torch
    (tmp_path / "net.py").write_text(
        "import torch\n\nclass Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.gru = torch.nn.GRU(8, 4)\n"
        "        self.dense = torch.nn.Linear(4, 2)\n"
        "    def forward(self, x):\n        return self.dense(self.gru(x)[0])\n"
    )
    result = outrider("inspect", "net.py:Net", "--input-shape", "8,8")
    assert result.code == 0
    assert "cannot be tapped: expected a module that returns a tensor, got tuple" in result.out
    assert "--taps auto: expected activations to tap, got none; name tensors among: dense" in result.out
