"""`training.json`: there and back, what differs, and digests of examples."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from outrider.networks.tuning.record import (
    TrainingError,
    examples_digest,
    in_json,
    name_of,
    read_record,
    require_same,
    versions,
    write_record,
)


def test_a_record_comes_back_and_a_damaged_one_is_refused(tmp_path):
    assert read_record(tmp_path) is None
    record = {"settings": {"a": 1}, "finished": True, "losses": [0.1, 1e-30]}
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert [path.name for path in tmp_path.iterdir()] == ["training.json"]
    for text in ("{", "[]", "{}", "3"):
        (tmp_path / "training.json").write_text(text)
        with pytest.raises(TrainingError, match="expected what a training wrote"):
            read_record(tmp_path)


def test_what_differs_is_named_and_nothing_else():
    wanted = {"schedule": {"rate": 0.1, "steps": 3}, "loss": "a", "model": "f" * 64}
    require_same(Path("f"), wanted, {**wanted})
    found = {"schedule": {"rate": 0.2, "steps": 3}, "loss": "a", "model": "e" * 64, "keep": 1}
    with pytest.raises(TrainingError) as caught:
        require_same(Path("f"), wanted, found)
    said = str(caught.value)
    assert 'settings: schedule.rate 0.2, asked for 0.1; model "eeeeeeeeeee…, asked for "fffffffffff…;' in said
    assert "keep 1, asked for null." in said
    assert "steps" not in said


def test_a_loss_is_told_by_its_name_and_plain_arguments():
    def loss():
        pass

    class Callable:
        def __call__(self):
            pass

    assert name_of(loss).endswith("loss")
    assert name_of(partial(loss, b=2.0, a="x", model=torch.ones(1))).endswith('loss {"a": "x", "b": 2.0}')
    assert name_of(Callable()).endswith("Callable")


def test_examples_are_told_apart_by_their_values():
    def digest(change=None, number=40):
        examples = [
            {"x": torch.full((2,), index), "y": [np.float32(index), "a", None, True]} for index in range(number)
        ]
        examples[0] |= change or {}
        return examples_digest(examples)

    assert digest() == digest()
    changes = (
        {"x": torch.tensor([0, 1])}, {"x": torch.zeros(2)}, {"x": torch.zeros(2, dtype=torch.bfloat16) + 1},
        {"y": [np.float32(0), "b", None, True]}, {"z": 1}, {"x": object()},
    )  # fmt: skip
    assert len({digest(), digest(number=41), *map(digest, changes)}) == 8
    assert digest({"x": object()}) == digest({"x": object()})  # by its type alone


def test_facts_are_as_json_has_them():
    assert in_json({1: (2, [3.5, float("nan")]), "p": Path("a")}) == {"1": [2, [3.5, None]], "p": "a"}
    with pytest.raises(TypeError, match="expected facts to keep in JSON types, got Tensor"):
        in_json({"a": torch.ones(1)})


def test_versions_name_what_is_installed():
    assert versions()["torch"] == torch.__version__
    assert all(isinstance(version, str) for version in versions().values())
