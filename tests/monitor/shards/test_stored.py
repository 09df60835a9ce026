"""A part in a file: a wrong one is refused before anything of it is used."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.coverage import Gaussian, SingleRange
from outrider.monitor import ProfileError
from outrider.monitor.files import packed, unpacked
from outrider.monitor.shards import Part

from ..conftest import frames
from .workers import learned

FEW = {"hidden": [SingleRange(), Gaussian()]}


@pytest.fixture(scope="module")
def data():
    """The bytes of a part whose sums are two nodes: of one logical shard, and of two."""
    return bytes(learned(frames(64 * 8), "1/3", {"hidden": [SingleRange(), Gaussian()]}))


def changed(data, change):
    """The file with facts or arrays changed, and a digest that fits."""
    contents = unpacked(data, "part")
    facts, arrays = json.loads(json.dumps(contents.facts)), dict(contents.arrays)
    change(facts, arrays)
    return packed(facts, arrays)


def test_what_is_summed_stands_node_by_node(data):
    contents = unpacked(data, "part")
    assert contents.facts["kind"] == "part"
    assert contents.facts["summed"] == [1]
    nodes = {name.rpartition(".1.")[0] for name in contents.arrays if name.startswith("node.")}
    assert nodes == {"node.1.1", "node.0.4"}
    assert contents.arrays["node.1.1.1.count"].sum() == 128
    assert not [name for name in contents.arrays if name.startswith("column.1.")]


@pytest.mark.parametrize(
    "change",
    [
        lambda facts, arrays: facts["shard"].update(worker=3),
        lambda facts, arrays: facts["shard"].update(frames=-1),
        lambda facts, arrays: facts["shard"].update(digest="0" * 32),
        lambda facts, arrays: facts["shard"].update(opened=[3, "0"]),
        lambda facts, arrays: facts["shard"].pop("of"),
        lambda facts, arrays: facts.update(summed=[0, 1]),
        lambda facts, arrays: facts.update(summed=[]),
        lambda facts, arrays: facts.update(complete=True),
        lambda facts, arrays: arrays.update({"node.0.5.1.count": arrays["node.0.4.1.count"]}),
        lambda facts, arrays: arrays.update({"node.0.4.1.more": arrays["node.0.4.1.count"]}),
        lambda facts, arrays: arrays.update({"node.0.4.1.count": arrays["node.0.4.1.count"] + 1}),
        lambda facts, arrays: arrays.update({"node.0.4.1.mean": arrays["node.0.4.1.mean"] * np.nan}),
        lambda facts, arrays: arrays.update({"node.0.4.1.mean": arrays["node.0.4.1.mean"][:1]}),
        lambda facts, arrays: arrays.pop("node.0.4.1.mean"),
        lambda facts, arrays: [arrays.pop(name) for name in list(arrays) if name.startswith("node.0.4.")],
        lambda facts, arrays: arrays.update(seen=arrays["seen"][:2]),
        lambda facts, arrays: arrays.update(seen=arrays["seen"].astype(np.int64)),
        lambda facts, arrays: arrays.update(confusion=np.zeros((2, 2), np.int64)),
        lambda facts, arrays: arrays.pop("confusion"),
        lambda facts, arrays: arrays.update(strange=np.zeros(3)),
    ],
)
def test_what_cannot_have_been_learned_is_refused(data, change):
    with pytest.raises(ProfileError, match="part: expected a profile of format 2, got a damaged one"):
        Part.of(changed(data, change))


def test_what_is_left_alone_is_read(data):
    assert bytes(Part.of(changed(data, lambda facts, arrays: None))) == data


@pytest.mark.parametrize("cut", [0, 5, 200, -1])
def test_a_part_that_was_cut_short_is_refused(data, cut):
    with pytest.raises(ProfileError):
        Part.of(data[:cut])


def test_a_part_without_frames_is_read():
    part = learned(frames(150), "0/5", FEW)
    assert len(part.rows) == 0
    again = Part.of(bytes(part))
    assert again.complete
    assert bytes(again) == bytes(part)
