"""Hooks that are there only while a module is watched."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks.pytorch.attaching import Attachment, Hook  # noqa: E402

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called")


class Noting(Hook):
    def __init__(self, notes, word):
        self.notes, self.word = notes, word

    def __call__(self, part, inputs, output=None):
        self.notes.append((self.word, output is None))


def attached(part, notes):
    attachment = Attachment()
    attachment.add(part, Noting(notes, "after"), Noting(notes, "before"))
    return attachment


def test_a_module_has_its_own_dictionaries_back():
    part, notes = nn.ReLU(), []
    part.register_forward_hook(lambda *_: notes.append("own"))
    before = {name: (id(vars(part)[name]), dict(vars(part)[name])) for name in HOOKS}
    attachment = attached(part, notes)
    for _ in range(2):
        attachment.on()
        part(torch.ones(1))
        attachment.off()
        assert {name: (id(vars(part)[name]), dict(vars(part)[name])) for name in HOOKS} == before
    part(torch.ones(1))
    assert notes == 2 * [("before", True), "own", ("after", False)] + ["own"]


@pytest.mark.parametrize("own", [False, True])
def test_hooks_added_meanwhile_are_not_lost(own):
    part, notes = nn.ReLU(), []
    first = part.register_forward_hook(lambda *_: notes.append("own")) if own else None
    attachment = attached(part, notes)
    attachment.on()
    added = part.register_forward_hook(lambda *_: notes.append("added"))
    attachment.off()
    assert [hook_id for hook_id in part._forward_hooks if hook_id != added.id] == ([first.id] if own else [])
    part(torch.ones(1))
    assert notes == (["own"] if own else []) + ["added"]
    attachment.on()
    attachment.off()
    assert len(part._forward_hooks) == 1 + own
    added.remove()
    assert len(part._forward_hooks) == own


def test_a_module_that_raises_is_heard_of_too():
    class Broken(nn.Module):
        def forward(self, x):
            raise ArithmeticError("broken")

    part, notes = Broken(), []
    attachment = attached(part, notes)
    attachment.on()
    with pytest.raises(ArithmeticError):
        part(torch.ones(1))
    attachment.off()
    assert notes == [("before", True), ("after", True)]


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_a_copy_made_meanwhile_tells_nobody(how):
    part, notes = nn.ReLU(), []
    part.register_forward_hook(print)
    attachment = attached(part, notes)
    attachment.on()
    if how == "deepcopy":
        twin = copy.deepcopy(part)
    else:
        file = io.BytesIO()
        torch.save(part, file)
        assert b"outrider" not in file.getvalue()
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    assert {name: (type(vars(twin)[name]), len(vars(twin)[name])) for name in HOOKS} == {
        name: (OrderedDict, name == "_forward_hooks") for name in HOOKS
    }
    twin(torch.ones(1))
    assert notes == []
    part(torch.ones(1))
    attachment.off()
    assert len(notes) == 2


def test_a_hook_that_is_taken_off_meanwhile_does_not_come_back():
    part, notes = nn.ReLU(), []
    own = part.register_forward_hook(lambda *_: notes.append("own"))
    attachment = attached(part, notes)
    attachment.on()
    own.remove()
    attachment.off()
    assert not part._forward_hooks
    part.register_forward_hook(lambda *_: notes.append("cleared"))
    attachment.on()
    part._forward_hooks.clear()
    attachment.off()
    part(torch.ones(1))
    assert notes == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("own", [False, True])
def test_two_attachments_on_one_module_come_off_in_any_order(order, own):
    part, notes = nn.ReLU(), ([], [])
    if own:
        part.register_forward_hook(lambda *_: None)
    before = {name: (id(vars(part)[name]), dict(vars(part)[name])) for name in HOOKS}
    both = [attached(part, noted) for noted in notes]
    for _ in range(3):
        both[0].on()
        both[1].on()
        added = part.register_forward_hook(lambda *_: None)
        for index in order:
            heard = [("before", True), ("after", False)]
            notes[index].clear()
            part(torch.ones(1))
            assert notes[index] == heard
            both[index].off()
        assert part._forward_hooks.pop(added.id)
        assert {name: (id(vars(part)[name]), dict(vars(part)[name])) for name in HOOKS} == before
    for noted in notes:
        noted.clear()
    part(torch.ones(1))
    assert notes == ([], [])
