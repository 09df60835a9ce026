"""The base of every statistic: what is measured of attention heads, and how that becomes one score a prompt."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...coverage.catalogue import make_of, names_of

if TYPE_CHECKING:
    from ...networks.transformers import Decoder, Prefill

Head = tuple[int, int]
"""(layer, head), both counted from 0."""
Arrays = dict[str, np.ndarray]
Layout = dict[str, tuple[tuple[int, ...], Any]]
Scorer = Callable[[np.ndarray], np.ndarray]
"""From values (n, heads, size) to scores (n, heads) float64, larger = more like unsafe prompts."""


class Statistic(ABC):
    """A way to read (vision-)language models' attention heads. A subclass is a frozen dataclass of its parameters.

    It measures (n, heads, size) values of n prompts, learns a model of the chosen heads from them, and gives each head
    a score. `combine` makes one score of those.
    """

    name: ClassVar[str]
    """The word for this statistic in files and on the command line."""
    measured: ClassVar[str]
    """What `measure` returns, in a word. Statistics that share it can share stored features."""
    passes: ClassVar[str]
    """What it needs beyond the plain prefill: "none", "one token", "the layers above" or "a whole pass"."""
    usual_heads: ClassVar[int] = 1
    """How many heads a guard takes unless it is told."""
    joint: ClassVar[bool] = False
    """Whether all heads make one model, so that none is chosen."""
    learns: ClassVar[bool] = True
    """Whether scores depend on what `fit` learned, so that choosing heads takes several rounds of folds."""

    def keep(self, heads: Sequence[Head]) -> int | None:
        """The lowest layer from which a prefill must be kept to measure these heads; None for a plain prefill."""
        return None

    @abstractmethod
    def measure(self, decoder: Decoder, prefill: Prefill, heads: Sequence[Head]) -> np.ndarray:
        """What it sees of these heads at the last prompt token: (batch, heads, size) float32 or float64."""

    @abstractmethod
    def layout(self, heads: int, head_dim: int) -> Layout:
        """Names, shapes and dtypes of the arrays of a model of so many heads."""

    @abstractmethod
    def fit(self, values: np.ndarray, unsafe: np.ndarray) -> Arrays:
        """The model of some heads, as arrays of `layout`. values: (n, heads, size), finite. unsafe: (n,) bool."""

    @abstractmethod
    def scorer(self, model: Arrays) -> Scorer:
        """The scores of the heads by this model, as often as one likes."""

    def combine(self, model: Arrays, scores: np.ndarray) -> np.ndarray:
        """One score a prompt, (n,) float64, of the heads' scores (n, heads); by default their mean."""
        return scores.mean(axis=1)

    def cross_validate(self, values: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Scores of prompts by models that did not learn from them: (heads, n, p) float64.

        values: (n, heads, size). labels: (n, p) bool, p labellings. folds: (n,) int. The second axis of heads has one
        entry for a joint statistic. The last axis has length 1 where the scores do not depend on the labelling.
        """
        n, heads, _ = values.shape
        scores = np.empty((1 if self.joint else heads, n, labels.shape[1]))
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            for p in range(labels.shape[1]):
                model = self.fit(values[train], labels[train, p])
                found = self.scorer(model)(values[test])
                scores[:, test, p] = self.combine(model, found)[None] if self.joint else found.T
        return scores


def statistic_names() -> tuple[str, ...]:
    """The names of all statistics, with those of third parties that were imported."""
    return names_of(Statistic)


def make_statistic(name: str, **parameters: Any) -> Statistic:
    """The statistic of that name. Raises ValueError for an unknown name, parameter or value."""
    made: Statistic = make_of(Statistic, "statistic", name, parameters)
    return made


def describe_statistic(statistic: Statistic) -> dict[str, Any]:
    """{"name": ..., parameter: value, ...} in JSON types, which `make_statistic` takes."""
    return {"name": statistic.name, **dataclasses.asdict(statistic)}  # type: ignore[call-overload]


def head_name(head: Head) -> str:
    """E.g. "layer 12 head 3", both counted from 0."""
    return f"layer {head[0]} head {head[1]}"


def check_model(statistic: Statistic, model: Arrays, heads: int, head_dim: int) -> None:
    """Raise ValueError unless the arrays are those of a model of so many heads and hold numbers."""
    expected = {
        name: (tuple(shape), np.dtype(dtype)) for name, (shape, dtype) in statistic.layout(heads, head_dim).items()
    }
    got = {name: (array.shape, array.dtype) for name, array in model.items()}
    if expected != got:
        raise ValueError(f"expected arrays {expected} of {statistic!r}, got {got}")
    for name, array in model.items():
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise ValueError(f"{name}: expected numbers, got NaN")
