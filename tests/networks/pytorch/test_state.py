"""What a module holds besides its weights: found again, restored, and as text."""

from __future__ import annotations

import functools
import threading
from collections import deque

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks.pytorch.state import KeptState, constants_of, text_of  # noqa: E402


class Memory:
    def __init__(self):
        self.seen = [1]


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(2, 2)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("nothing", None, persistent=False)
        self.count, self.ratio, self.rows = 0, float("nan"), [torch.ones(2)]
        self.table = {"a": np.arange(3)}
        self.memory, self.lock, self.queue = Memory(), threading.Lock(), deque([1], maxlen=2)
        self.made = self.dense.weight * 2  # a tensor with a history cannot be copied
        self.parent = [self]


def kept(module):
    return KeptState({part: name for name, part in module.named_modules()})


CHANGES = {
    "buffer in place": lambda m: m.mean.add_(1),
    "buffer anew": lambda m: setattr(m, "mean", torch.ones(3)),
    "empty buffer": lambda m: m._buffers.__setitem__("nothing", torch.ones(1)),
    "number": lambda m: setattr(m, "count", 1),
    "list": lambda m: m.rows.append(torch.ones(1)),
    "tensor in a list": lambda m: m.rows[0].mul_(2),
    "array": lambda m: m.table["a"].__setitem__(0, 9),
    "object": lambda m: m.memory.seen.append(2),
    "queue": lambda m: m.queue.append(3),
    "new attribute": lambda m: setattr(m, "hidden", torch.ones(2)),
    "lost attribute": lambda m: delattr(m, "count"),
    "attribute of a part": lambda m: setattr(m.dense, "note", "x"),
    "tensor with a history": lambda m: setattr(m, "made", m.made + 1),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_is_named_and_restored(change):
    module = Holder()
    state, mean, rows = kept(module), module.mean, module.rows
    assert state.changed() == {}
    with torch.no_grad():
        change(module)
    assert len(state.changed()) == 1
    assert len(state.restore()) == 1
    assert state.changed() == {}
    assert module.mean is mean or torch.equal(module.mean, mean)
    assert module.rows is rows
    assert (module.count, module.memory.seen, list(module.queue)) == (0, [1], [1])
    assert not hasattr(module, "hidden")
    np.testing.assert_array_equal(module.table["a"], [0, 1, 2])


def test_places_are_named_as_a_user_finds_them():
    module = nn.Sequential(Holder())
    state = kept(module)
    module[0].count = 5
    module[0].mean += 1
    assert sorted(state.changed().values()) == ["'count' of '0'", "'mean' of '0'"]


def test_weights_do_not_count_and_are_not_copied():
    module = Holder()
    state = kept(module)
    with torch.no_grad():
        module.dense.weight.add_(1)
    assert state.changed() == {}
    assert all(value is not module.dense.weight for value in state._copies.values())


def test_hooks_that_a_run_adds_are_taken_off_again():
    module = Holder()
    module.register_forward_hook(print)
    state = kept(module)
    module.dense.register_forward_hook(print)
    state.restore()
    assert (len(module._forward_hooks), len(module.dense._forward_hooks)) == (1, 0)


def test_what_notes_hooks_is_taken_off_with_them():
    module = nn.ReLU()
    state = kept(module)
    module.register_forward_hook(lambda *_: None)
    module._output_capturing_hooks_installed = True  # as transformers does, once in the life of a model
    assert not state.changed()
    state.restore()
    assert not module._forward_hooks
    assert not hasattr(module, "_output_capturing_hooks_installed")


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (True, 1), ("a", "b"), ([1, 2], [2, 1]), ({"a": 1}, {"a": 2}), (double, print), (1.0, -1.0),
        (functools.partial(double, 1), functools.partial(double, 2)), (np.zeros(2), np.zeros(3)), (None, "None"),
    ],
)  # fmt: skip
def test_constants_that_differ_have_other_texts(one, other):
    assert text_of(one) == text_of(one) is not None
    assert text_of(one) != text_of(other)


def test_objects_and_what_holds_them_have_no_text():
    assert text_of(Memory()) is None
    assert text_of([1, Memory()]) is None
    assert text_of({"b": 1, "a": 2}) == text_of({"a": 2, "b": 1})
    assert text_of({"x", "y"}) == text_of({"y", "x"})


def test_constants_leave_out_what_moves():
    module = Holder()
    names = {part: name for name, part in module.named_modules()}
    found = dict(constants_of(names, ()))
    assert {".mean", ".count", "dense.in_features"} <= set(found)
    assert ".count" not in dict(constants_of(names, {(module, False, "count")}))
