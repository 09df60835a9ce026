"""What is written down of a run."""

from __future__ import annotations

from weakref import ref

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks.pytorch.reading.tracer import Tracer, tensors_in  # noqa: E402


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        return {"x": self.inner(self.inner(x)) * 2}


class Inner(nn.Module):
    def forward(self, x):
        return functional.relu(x - 0.5).add_(1)


def traced(module, x):
    tracer = Tracer({part: name for name, part in module.named_modules()})
    return tracer.run(lambda: module(x)), tracer


def test_calls_come_in_the_order_in_which_they_end_with_their_callers():
    x = torch.rand(2, 3)
    output, tracer = traced(Twice(), x)
    calls = tracer.calls
    told = [(type(c.of).__name__ if c.is_module else c.of.__name__, c.path, c.within) for c in calls]
    inner = [
        ("sub", "inner", ("", "inner")),
        ("relu", "inner", ("", "inner")),
        ("add_", "inner", ("", "inner")),
        ("Inner", "inner", ("",)),
    ]
    assert told == [*inner, *inner, ("mul", "", ("",)), ("Twice", "", ())]
    assert calls[-1].outputs[0].key == tracer.key_of(output["x"])
    assert calls[-1].returned is dict
    assert calls[0].inputs[0].key == tracer.key_of(x)
    assert calls[1].inputs[0].key == calls[0].outputs[0].key
    assert calls[1].outputs[0].overwritten
    assert not calls[2].outputs[0].overwritten
    assert calls[2].outputs[0].number == calls[1].outputs[0].number
    torch.testing.assert_close(calls[1].outputs[0].points, (x - 0.5).relu().flatten())


def test_a_run_is_over_while_another_goes_on():
    module, x = nn.Sequential(nn.ReLU()), torch.ones(1)
    first, second = (Tracer({part: name for name, part in module.named_modules()}) for _ in range(2))

    def inside():
        second._hooks.on()  # as another thread does it, whose run ends later
        return module(x)

    first.run(inside)
    module(x)
    second._hooks.off()
    assert [call.path for call in first.calls] == ["0", "0", ""]
    assert second.calls == []
    assert not module._forward_hooks


def test_what_a_module_raises_goes_through_and_what_it_catches_does_not_confuse():
    class Careful(nn.Module):
        def __init__(self):
            super().__init__()
            self.broken = Broken()

        def forward(self, x):
            try:
                return self.broken(x)
            except ArithmeticError:
                return functional.relu(x)

    class Broken(nn.Module):
        def forward(self, x):
            raise ArithmeticError("broken")

    module = Careful()
    _, tracer = traced(module, torch.ones(1))
    assert [c.path for c in tracer.calls] == ["", ""]
    with pytest.raises(ArithmeticError, match="broken"):
        traced(module.broken, torch.ones(1))
    assert not module.broken._forward_hooks


def test_tensors_are_found_wherever_they_lie():
    one, two = torch.ones(1), torch.ones(2)
    assert [len(t) for t in tensors_in({"a": [one, (two, 3)], "b": "text"})] == [1, 2]


def test_no_tensor_is_kept_and_none_taken_for_another():
    class Deep(nn.Module):
        def forward(self, x):
            for _ in range(50):
                x = functional.relu(x) + 1
                living.append(ref(x))
                x.unsqueeze(0)[0, 0] = 5
            return x

    living = []
    output, tracer = traced(Deep(), torch.ones(2, 3))
    assert [one() is not None for one in living] == 49 * [False] + [True]
    assert living[-1]() is output
    sums = [call.outputs[0] for call in tracer.calls if getattr(call.of, "__name__", "") == "add"]
    assert len({seen.number for seen in sums}) == len({id(seen.memory) for seen in sums}) == 50
    assert all(seen.overwritten for seen in sums)
