"""Attacks on the network alone, by foolbox and torchattacks. They do not know the monitor: they are not adaptive.

Only samples that the network classifies correctly are attacked, and only those that then deceive it are unsafe.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ...networks import Network, Preprocessing
from ...networks.packages import require

if TYPE_CHECKING:
    import torch

ATTACKS = {
    "fgsm": "foolbox:LinfFastGradientAttack",
    "pgd": "foolbox:LinfPGD",
    "deepfool": "foolbox:L2DeepFoolAttack",
    "cw": "foolbox:L2CarliniWagnerAttack",
    "autoattack": "torchattacks:AutoAttack",
}
"""Short names: Goodfellow et al. 2015, Madry et al. 2018, Moosavi-Dezfooli et al. 2016, Carlini and Wagner 2017, Croce
and Hein 2020. Every other attack of the two libraries has the name LIBRARY:CLASS."""
_SETTINGS: dict[str, dict[str, Any]] = {"cw": {"binary_search_steps": 5, "steps": 200}}
"""Of the short names: what differs from the library's defaults, which are 9 and 10,000 for Carlini and Wagner's."""
EPSILON = "8/255"
COUNT = 500
_LIBRARIES = "foolbox", "torchattacks"
Rows = Iterable[tuple[list[int], np.ndarray, "np.ndarray | None"]]
"""Numbers of samples, the samples as the network takes them, and their labels or None."""


@dataclass
class AttackRun:
    """An attack on a PyTorch network, run batch by batch.

    network: of one input of floats, with classes. attack: a name of ATTACKS, or LIBRARY:CLASS. epsilon: the bound, in
    units of the range from black to white, as a number or ``8/255``; attacks that look for the smallest change have
    none. count: the most samples that are attacked. bounds: the lowest and highest values that a sample may have where
    the network has no preprocessing; with one they are black and white.
    tried: how many were attacked. rows: the numbers of the samples that deceived the network.
    Raises ImportError without the library, ValueError for a network without gradients, classes or floats.
    """

    network: Network
    attack: str
    epsilon: float | str = EPSILON
    count: int = COUNT
    bounds: tuple[float, float] | None = None
    tried: int = 0
    rows: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        refuse_without_gradients(self.network)
        library, name = named_attack(self.attack)
        self._library = require(library, f"the attack {self.attack} needs {library}", "attacks")
        home: Any = self._library.attacks if library == "foolbox" else self._library
        self._make: Any = getattr(home, name, None)
        if not inspect.isclass(self._make):
            raise ValueError(f"expected an attack of {library} such as {ATTACKS['pgd'].split(':')[1]}, got {name!r}")
        self._epsilon = number(self.epsilon)
        self._unit = unit_module(self.network, self.bounds)

    @property
    def bounded(self) -> bool:
        """Whether the attack keeps to epsilon, rather than looking for the smallest change."""
        if self._library.__name__ == "foolbox":
            return issubclass(self._make, self._library.attacks.base.FixedEpsilonAttack)
        return "eps" in inspect.signature(self._make).parameters

    @property
    def name(self) -> str:
        """Of the set that it makes: the attack, and epsilon where it keeps to one."""
        return f"{self.attack} {self.epsilon}" if self.bounded else self.attack

    def batches(self, clean: Rows) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Samples that deceive the network, with the classes they had, until `count` were attacked.

        clean: without labels the network's own answers are taken for right. The same again draws and counts the same.
        """
        import torch

        self.tried, self.rows = 0, []
        for rows, samples, labels in clean:
            if self.tried >= self.count:
                return
            unit = self._unit.unit(torch.from_numpy(np.ascontiguousarray(samples)))
            with torch.no_grad():
                answers = self._unit(unit).argmax(1)
            truth = answers if labels is None else torch.from_numpy(np.asarray(labels, np.int64)).to(answers.device)
            right = torch.nonzero(answers == truth)[: self.count - self.tried, 0]
            if not len(right):
                continue
            self.tried += len(right)
            found, deceived = self._run(unit[right], truth[right])
            kept = right[deceived].cpu().numpy()
            self.rows += [rows[i] for i in kept]
            if len(kept):
                yield self._unit.samples(found[deceived]).cpu().numpy(), truth[right][deceived].cpu().numpy()

    def _run(self, unit: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The changed samples, and which of them deceive the network."""
        import torch

        devices = [unit.device] if unit.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), _without_gradients(self._unit):
            torch.manual_seed(0)
            if self._library.__name__ == "foolbox":
                target = self._library.PyTorchModel(self._unit, bounds=(0, 1), device=unit.device)
                found = self._make(**_SETTINGS.get(self.attack, {}))(
                    target, unit, truth, epsilons=self._epsilon if self.bounded else None
                )[1]
            else:
                given = {"eps": self._epsilon, "n_classes": self.network.classes, "seed": 0}
                taken = inspect.signature(self._make).parameters
                options = {name: value for name, value in given.items() if name in taken}
                found = self._make(self._unit, **options)(unit, truth)
        found = found.detach().clamp(0, 1)
        with torch.no_grad():
            deceived = self._unit(found).argmax(1) != truth
        # foolbox hands back a black picture where Carlini-Wagner fails
        return found, deceived & found.flatten(1).any(1)


def named_attack(attack: str) -> tuple[str, str]:
    """The library and the class of an attack. Raises ValueError for a name that is neither short nor LIBRARY:CLASS."""
    library, colon, name = ATTACKS.get(attack, attack).partition(":")
    if not (colon and name) or library not in _LIBRARIES:
        raise ValueError(
            f"expected an attack {', '.join(ATTACKS)}, foolbox:CLASS or torchattacks:CLASS, got {attack!r}"
        )
    return library, name


def number(text: float | str) -> float:
    """``8/255`` or a number, above 0. Raises ValueError for others."""
    try:
        value = float(Fraction(text)) if isinstance(text, str) else float(text)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not 0 < value < math.inf:
        raise ValueError(f"expected a bound above 0, such as 8/255 or 0.03, got {text!r}")
    return value


def refuse_without_gradients(network: Network) -> None:
    """Raise ValueError for a network that cannot be attacked."""
    if network.engine != "torch" or not hasattr(network, "module"):
        raise ValueError(
            f"expected a network of PyTorch for attacks, which follow its gradients, got one of {network.engine}; move"
            " the profile to its PyTorch form (`outrider compare --profile`, `outrider.monitor.transfer`), or give"
            " attacked samples as an unsafe set"
        )
    if network.classes is None or len(network.inputs) != 1 or np.dtype(network.dtype).kind != "f":
        raise ValueError(
            f"expected a network of one input of floats with class scores for attacks, got {len(network.inputs)} of"
            f" {network.dtype} and {network.classes or 'no'} classes"
        )


def unit_module(network: Any, bounds: tuple[float, float] | None) -> Any:
    """The network as a module of samples from 0 to 1, that gives logits (n, classes)."""
    import torch

    from ...networks.pytorch.outputs import pick

    factor, shift = _affine(network.preprocessing, len(network.input_shape), bounds)

    class Unit(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.watched = network.module
            place = next(self.watched.parameters(), torch.zeros(1))
            self.factor, self.shift = (torch.from_numpy(one).to(place.device) for one in (factor, shift))
            self.dtype = place.dtype

        def unit(self, samples: torch.Tensor) -> torch.Tensor:
            values = (samples.to(self.factor.device, torch.float32) - self.shift) / self.factor
            if not ((values >= -1e-3) & (values <= 1 + 1e-3)).all():
                raise ValueError(
                    f"expected samples between {bounds or 'black and white (0 and 1 without preprocessing)'} for"
                    " attacks, got some beyond; attack_bounds= says the lowest and the highest value"
                )
            return values.clamp(0, 1)

        def samples(self, unit: torch.Tensor) -> torch.Tensor:
            return unit * self.factor + self.shift

        def forward(self, unit: torch.Tensor) -> torch.Tensor:
            scores = pick(self.watched(self.samples(unit).to(self.dtype)), network.scores_output).float()
            return _logits(scores.reshape(len(scores), -1), network.scores)

    return Unit().eval()


@contextmanager
def _without_gradients(module: torch.nn.Module) -> Iterator[None]:
    """Keep an attack's gradients off the parameters: they are the user's own."""
    needed = [one for one in module.parameters() if one.requires_grad]
    for one in needed:
        one.requires_grad_(False)
    try:
        yield
    finally:
        for one in needed:
            one.requires_grad_(True)


def _logits(scores: torch.Tensor, kind: str) -> torch.Tensor:
    """Rows of scores as logits; one number for a frame is that of the second of two classes."""
    import torch

    probabilities = kind == "probabilities"
    if scores.shape[1] == 1:
        scores = torch.cat([1 - scores if probabilities else torch.zeros_like(scores), scores], 1)
    return scores.clamp_min(1e-12).log() if probabilities else scores


def _affine(
    preprocessing: Preprocessing | None, axes: int, bounds: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Factor and shift from values between 0 and 1 to those of a sample, in the shape that goes with a batch."""
    if preprocessing is None:
        low, high = bounds or (0.0, 1.0)
        if not low < high:
            raise ValueError(f"expected bounds of which the first is lower, got {bounds}")
        return np.full([1] * (axes + 1), high - low, np.float32), np.full([1] * (axes + 1), low, np.float32)
    if bounds is not None:
        raise ValueError(
            f"expected no bounds for a network with preprocessing, whose pictures have theirs, got {bounds}"
        )
    channels = max(len(preprocessing.mean), len(preprocessing.std), 1)
    mean = np.array(preprocessing.mean or [0.0] * channels, np.float32)
    std = np.array(preprocessing.std or [1.0] * channels, np.float32)
    shape = (1, channels, 1, 1) if preprocessing.layout == "NCHW" else (1, 1, 1, channels)
    return (255 * preprocessing.scale / std).astype(np.float32).reshape(shape), (-mean / std).reshape(shape)
