"""One tiny module for each situation: what public bug reports ask of whoever watches a network."""

from __future__ import annotations

import math
from collections import namedtuple

import torch
from torch import nn

F = nn.functional
Pair = namedtuple("Pair", "scores features")  # noqa: PYI024 - any named tuple


class Base(nn.Module):
    """A convolution, an activation that a class says in `act`, and scores."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def act(self, x):
        return F.relu(x)

    def scores(self, x):
        return self.head(x.mean((2, 3)))

    def forward(self, x):
        return self.scores(self.act(self.again(self.act(self.conv(x)))))


class RootHook(Base):
    """A hook on the module itself changes what it returns."""

    def __init__(self):
        super().__init__()
        self.register_forward_hook(lambda _module, _inputs, output: 2 * output)
        self.register_forward_pre_hook(lambda _module, inputs: (inputs[0] + 1,))


class Branches(Base):
    """It asks for the class and the sizes of what it gets, and for those of its parts."""

    def forward(self, x):
        if type(x) is not torch.Tensor or not isinstance(x, torch.Tensor):
            raise TypeError(f"expected a tensor, got {type(x).__name__}")
        h = self.act(self.conv(x)) if isinstance(self.conv, nn.Conv2d) and x.dim() == 4 else x
        return self.scores(h * x.shape[1] if x.is_contiguous() else h)


class Temperature(Base):
    """An attribute that the application changes later."""

    T = 1.0

    def forward(self, x):
        return super().forward(x) / self.T


class Counting(Base):
    """State on self, without a buffer."""

    frames = 0
    last = None

    def forward(self, x):
        self.frames += len(x)
        h = self.act(self.conv(x))
        self.last = h.detach()
        return self.scores(h)


class Smoothing(Base):
    """A buffer that follows the frames."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        h = self.act(self.conv(x))
        with torch.no_grad():
            self.mean.mul_(0.5).add_(0.5 * h.mean((0, 2, 3)))
        return self.head(h.mean((2, 3)) - self.mean)


class Noisy(Base):
    """Noise at every run."""

    def forward(self, x):
        return super().forward(x + torch.randn(x.shape[0], 1, 1, 1))


class Switch(Base):
    """Dropout that a method of the application turns on in eval mode."""

    drop = False

    def forward(self, x):
        h = F.dropout(self.act(self.conv(x)), 0.5, self.drop)
        return self.scores(h)


class Apart(Base):
    """The input is taken apart: sizes, unpacking, indices, a view."""

    def forward(self, x):
        n, c, h, w = x.shape
        r, g, b = x.unbind(1)
        x = torch.stack([g, b, r], 1).reshape(n, c, h, w)
        x[:, 0, : h // 2] = x[:, 1, h // 2 :]
        return super().forward(x)


class InPlace(Base):
    """Activations overwrite what they read, and what another tap saw."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        h = self.relu(self.conv(x))
        h = F.relu_(self.again(h) - 0.1)
        h += 1
        return self.scores(h.relu_())


class Reused(Base):
    """One activation, called three times."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x):
        h = self.relu(self.conv(x))
        h = self.relu(self.again(h) + h)
        return self.scores(self.relu(h - 0.2))


class Named(Base):
    """Scores among others: a mapping."""

    def forward(self, x):
        h = self.act(self.conv(x))
        return {"features": h, "logits": self.scores(h)}


class Tupled(Base):
    """A named tuple."""

    def forward(self, x):
        h = self.act(self.conv(x))
        return Pair(self.scores(h), h)


class OldNorm(Base):
    """weight_norm as hooks that write the weight before each run."""

    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.conv = torch.nn.utils.weight_norm(self.conv)


class NewNorm(Base):
    """weight_norm as a parametrisation, which computes the weight when it is read."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.utils.parametrizations.weight_norm(self.conv)


class Methods(Base):
    """Activations as methods and functions of torch."""

    def forward(self, x):
        h = torch.relu(self.conv(x))
        h = self.again(h).relu()
        return self.scores(h.tanh())


class HardSwish(Base):
    """MobileNetV3 by hand: the ReLU6 only gates."""

    def act(self, x):
        return x * F.relu6(x + 3) / 6


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU6()

    def forward(self, x):
        return x * self.relu(x + 3) / 6


class HardSwishModules(Base):
    """The same, with a module for the gate."""

    def __init__(self):
        super().__init__()
        self.gate = Gate()

    def act(self, x):
        return self.gate(x)


class MyReLU(nn.ReLU):
    """A subclass of an activation."""


class Clipped(nn.ReLU6):
    def forward(self, x):
        return super().forward(x)


class GeluOfOnesOwn(nn.Module):
    """As models of transformers write it."""

    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))


class Classes(Base):
    """Activations of one's own classes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = MyReLU(), Clipped(), GeluOfOnesOwn()

    def forward(self, x):
        return self.scores(self.c(self.again(self.b(self.again(self.a(self.conv(x)))))))


class Depends(Base):
    """What runs depends on the data."""

    def forward(self, x):
        h = self.conv(x)
        return self.scores(F.gelu(h) if float(x.abs().mean()) > 1000 else F.relu(h))


class Residual(nn.Module):
    """A residual TCN of 16 channels and 128 steps."""

    def __init__(self, functional):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(16, 16, 3, padding=d, dilation=d) for d in (1, 2, 4, 8))
        self.norm = nn.BatchNorm1d(16)
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(0 if functional else 4))
        self.head = nn.Linear(16, 5)

    def act(self, x, i):
        return self.relus[i](x) if len(self.relus) else F.relu(x)

    def forward(self, x):
        for i in (0, 2):
            h = self.act(self.norm(self.convs[i](x)), i)
            x = self.act(x + self.convs[i + 1](h), i + 1)
        return self.head(x[:, :, -1])
