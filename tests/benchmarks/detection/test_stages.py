from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from benchmarks.detection.stages import choices
from benchmarks.detection.tables import DEFAULT
from outrider.networks import LeNet, SmallResNet, TorchNetwork


def test_a_choice_that_comes_to_the_same_taps_has_no_row(capsys):
    made = SimpleNamespace(name="other", network=partial(TorchNetwork, LeNet(size=8).eval(), (1, 8, 8)))
    rows, taps = choices(made)
    assert rows[0].name == DEFAULT
    same = {name for name, ids in taps.items() if ids in [taps[row.name] for row in rows if row.name != name]}
    assert set(taps) - same == {row.name for row in rows}
    assert same
    assert capsys.readouterr().out.count("the same as") == len(same)


def test_mobilenet_has_bitmaps_too():
    made = SimpleNamespace(name="mobilenet", network=partial(TorchNetwork, SmallResNet().eval(), (3, 32, 32)))
    rows, taps = choices(made)
    ways = "auto", "stages", "auto, sample7", "auto, sample4"
    assert [row.name for row in rows][-4:] == [f"bitmap, z of log, {way}" for way in ways]
    assert all(row.criterion.name == "bitmap" for row in rows[-4:])
    assert [tap.neurons for tap in rows[-1].make().network.taps[:-1]] == ["sample4"] * 7
    assert len(taps["default, taps stages"]) < len(taps["default, taps auto"])
