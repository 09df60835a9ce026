"""Samples in batches, and what becomes of those that cannot be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from outrider.networks import Preprocessing
from outrider.networks.inputs import Input
from outrider.runtime.inputs.joint import JointSource
from outrider.runtime.inputs.sources import Source, drives_of, spans, starts_in

BROKEN = {2: ValueError("torn"), 3: OSError(5, "a bad sector"), 7: ValueError("torn too")}


def source(n=9, broken=BROKEN, **options):
    def read(index):
        if index in broken:
            raise broken[index]
        return np.full(2, index, np.float32)

    return Source(read, [f"s{index}" for index in range(n)], ready=True, **options)


def test_all_before_a_broken_sample_is_given_and_then_its_error_is_raised():
    batches = source().batches(None, 5)
    np.testing.assert_array_equal(next(batches)[:, 0], [0, 1])
    with pytest.raises(ValueError, match="torn"):
        next(batches)


def test_broken_samples_are_left_out_of_their_batch_and_named():
    labels = np.arange(10, 19)
    tolerant = source(labels=labels, problems={})
    batches = list(tolerant.batches(None, 4))
    assert [batch[:, 0].tolist() for batch, _ in batches] == [[0, 1], [4, 5, 6], [8]]
    assert [part.tolist() for _, part in batches] == [[10, 11], [14, 15, 16], [18]]
    assert tolerant.problems == {"s2": "torn", "s3": "[Errno 5] a bad sector", "s7": "torn too"}
    assert [rows for rows, _ in tolerant.rows(None, 4)] == [[0, 1], [4, 5, 6], [8]]


def test_a_part_shares_its_problems_and_names_the_first_that_can_be_read():
    tolerant = source(problems={})
    part = tolerant[2:6]
    assert part.first() == 2
    assert part.names[2] == "s4"
    assert set(tolerant.problems) == {"s2", "s3"}
    assert source()[2:].first() == 0
    with pytest.raises(ValueError, match=r"s2: expected a sample that can be read, got none of 2"):
        tolerant[2:4].first()


def test_a_sample_of_another_shape_is_a_problem_too():
    def read(index):
        return np.zeros(3 if index == 1 else 2, np.float32)

    odd = Source(read, ["a", "b", "c"], ready=True, problems={})
    assert [batch.shape for batch in odd.batches(None, 8)] == [(2, 2)]
    assert odd.problems["b"].startswith("b: expected shape (2,) like the first sample, got (3,)")
    with pytest.raises(ValueError, match="b: expected shape"):
        list(replace(odd, problems=None).batches(None, 8))


def test_errors_of_another_kind_are_never_passed_over():
    with pytest.raises(RuntimeError):
        list(source(broken={1: RuntimeError("a bug")}, problems={}).batches(None, 4))


def test_frames_of_several_inputs_fail_together():
    joint = JointSource(
        {"a": source(broken={1: ValueError("torn")}), "b": source(broken={})}, source().names, problems={}
    )
    (batch,) = joint[:4].batches(None, 8, [Input("a", (2,)), Input("b", (2,))])
    assert batch["a"][:, 0].tolist() == batch["b"][:, 0].tolist() == [0, 2, 3]
    assert joint.problems == {"s1": "torn"}
    assert joint.first() == 0


def test_a_picture_that_the_preprocessing_refuses_is_named():
    pictures = [np.full((1, 2, 2), largest, np.uint16) for largest in (4095, 4096)]
    source = Source(pictures.__getitem__, ["a.png", "b.png"])
    told = Preprocessing(scale=1, white=4095)
    assert source.sample(0, told).max() == 255
    with pytest.raises(ValueError, match=r"b\.png: expected a picture of numbers from 0 to 4095"):
        source.sample(1, told)


def test_no_batch_goes_beyond_a_drive():
    assert list(spans(7, (3,), 2)) == [range(2), range(2, 3), range(3, 5), range(5, 7)]
    assert starts_in((3, 5), range(3, 7)) == (2,)


def test_the_drive_of_each_sample():
    def drives(names, classes=(), **known):
        return drives_of(Source(list, names, **known), classes).tolist()

    assert drives(["a[0]", "a[1]", "b[0]"], starts=(2,)) == [0, 0, 1]
    assert drives(["x"] * 3, starts=(2,), drives=np.array([4, 7, 4])) == [4, 7, 4]
    files = ["d/go/1/a.png", "d/go/1/b.png", "d/go/2/a.png", "d/stop/1/a.png"]
    assert drives(files, ["go", "stop"]) == ["d/go/1", "d/go/1", "d/go/2", "d/stop/1"]
    assert drives(["d/1/a.png", "d/2/a.png"]) == ["d/1", "d/2"]
    with pytest.raises(ValueError, match=r"d/go/a\.png: expected a folder for each drive within those of the classes"):
        drives(["d/go/a.png", "d/stop/b.png", "d/stop/c.png"], ["go", "stop", "yield"])
    part = Source(list, ["x"] * 4, drives=np.arange(4))[1:3]
    assert drives_of(part).tolist() == [1, 2]
