"""A safety tuning in one mapping: what is tuned, on what, how and how long; one YAML file, whose keys are the flags."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from .pairs import REFUSAL
from .schedule import Schedule

METHODS = "ssft", "dpo", "unlearning", "sft", "trl-dpo"
"""Ours by the paper, then trl's supervised and preference trainers."""
DTYPES = "float32", "bfloat16", "float16"
_SHARES = {"ssft": 0.2, "dpo": 0.5, "unlearning": 0.5}
_PATHS = "model", "pairs", "output"


@dataclass(frozen=True)
class TuningPlan:
    """What `tune` does.

    model: a folder of transformers. pairs: a file of JSON lines, see `read_pairs`. output: the folder to write. method:
    ssft, dpo or unlearning (Jain et al., NeurIPS 2024), or trl's sft or trl-dpo. steps to precision: see `Schedule`.
    full: all weights in place of adapters. rank, alpha, dropout, targets: of the adapters, see `with_adapters`.
    unsafe_share: of the examples; 0.2 for ssft and 0.5 else without it. beta_preferred, beta_dispreferred: of dpo;
    trl-dpo takes the first. unlearning_weight: of the dispreferred answers. dtype: of the weights that are read.
    system: the system prompt. refusal: the answer to unsafe prompts whose line has none. max_tokens: of prompt and
    answer, if fewer than the model takes. merge: whether the adapters are also written into the weights, as a model of
    its own in ``merged`` of the output. Raises ValueError for a value out of its range.
    """

    model: Path
    pairs: Path
    output: Path
    method: str = "ssft"
    steps: int = 200
    batch: int = 8
    rate: float = 1e-4
    warmup: float = 0.1
    floor: float = 1e-6
    weight_decay: float = 1e-4
    clip: float = 1.0
    seed: int = 0
    save_every: int = 50
    precision: str = "float32"
    full: bool = False
    rank: int = 16
    alpha: float | None = None
    dropout: float = 0.0
    targets: tuple[str, ...] | None = None
    unsafe_share: float | None = None
    beta_preferred: float = 0.1
    beta_dispreferred: float = 0.01
    unlearning_weight: float = 0.1
    dtype: str = "float32"
    device: str = "cpu"
    system: str | None = None
    refusal: str = REFUSAL
    max_tokens: int | None = None
    merge: bool = False

    def __post_init__(self) -> None:
        for name in _PATHS:
            object.__setattr__(self, name, Path(getattr(self, name)))
        if self.targets is not None:
            object.__setattr__(self, "targets", tuple(self.targets))
        if self.method not in METHODS:
            raise ValueError(f"expected a method among {', '.join(METHODS)}, got {self.method!r}")
        if self.dtype not in DTYPES:
            raise ValueError(f"expected a dtype among {', '.join(DTYPES)}, got {self.dtype!r}")
        if self.full and self.dtype != "float32":
            raise ValueError(
                f"expected dtype float32 to tune all weights, got {self.dtype}, which is too coarse for small steps;"
                " precision bfloat16 computes in it and keeps the weights"
            )
        if self.full and self.merge:
            raise ValueError("expected adapters to merge, got full, which has none")
        if self.unsafe_share is not None and not 0 < self.unsafe_share < 1:
            raise ValueError(f"expected an unsafe_share between 0 and 1, got {self.unsafe_share!r}")
        for name in ("beta_preferred", "beta_dispreferred", "unlearning_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"expected {name} to be at least 0, got {getattr(self, name)!r}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"expected max_tokens to be at least 1, got {self.max_tokens!r}")
        self.schedule  # noqa: B018 (checks its own values)

    @property
    def schedule(self) -> Schedule:
        """Its part of the plan."""
        names = {one.name for one in fields(Schedule)} & {one.name for one in fields(self)}
        return Schedule(**{name: getattr(self, name) for name in sorted(names)})

    @property
    def share(self) -> float | None:
        """Of unsafe pairs among the examples; None for the pairs as they are."""
        return _SHARES.get(self.method) if self.unsafe_share is None else self.unsafe_share

    @property
    def both(self) -> bool:
        """Whether each pair needs an answer that is not preferred."""
        return self.method not in ("ssft", "sft")

    def settings(self) -> dict[str, Any]:
        """What changes the result, in JSON types, without the schedule, and without names of files and devices."""
        others = {*_PATHS, "device", "merge", *(one.name for one in fields(Schedule))}
        return {name: value for name, value in self.to_dict().items() if name not in others}

    def to_dict(self) -> dict[str, Any]:
        """All of it, in the types of YAML."""
        found = asdict(self) | {name: str(getattr(self, name)) for name in _PATHS}
        return found | {"targets": None if self.targets is None else list(self.targets)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> TuningPlan:
        """A plan from keys with - or _. Raises ValueError for unknown keys, missing ones and values of other types."""
        known = {one.name: str(one.type) for one in fields(cls)}
        found: dict[str, Any] = {}
        for key, value in given.items():
            name = str(key).replace("-", "_")
            if name not in known:
                near = difflib.get_close_matches(name, known, n=2)
                hint = f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"
                raise ValueError(f"unknown key {key!r}; {hint}")
            if name in found:
                raise ValueError(f"expected each key once, got {name} twice")
            found[name] = _typed(name, value, known[name])
        missing = [name for name in _PATHS if name not in found]
        if missing:
            raise ValueError(f"expected the keys {', '.join(_PATHS)}, got none for {', '.join(missing)}")
        return cls(**found)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> TuningPlan:
        """A plan from a YAML file; paths in it are relative to it. Raises ValueError, OSError for no file."""
        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected YAML, got {' '.join(str(error).split())}") from None
        if not isinstance(content, dict):
            raise ValueError(f"{path}: expected lines of the form `key: value`, got {type(content).__name__}")
        placed = {
            name: str(path.parent / value) if name in _PATHS and isinstance(value, str) else value
            for name, value in content.items()
        }
        try:
            return cls.from_dict(placed)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def write(self, path: str | os.PathLike[str]) -> None:
        """A YAML file that `read` and `outrider lab tune --config` take, with whole paths."""
        found = self.to_dict() | {name: str(Path(getattr(self, name)).absolute()) for name in _PATHS}
        plain = {name.replace("_", "-"): value for name, value in found.items() if value is not None}
        Path(path).write_text(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _typed(name: str, value: Any, kind: str) -> Any:
    """A value as its field has it: numbers in text such as 1e-4, which YAML reads as text, are numbers."""
    optional = kind.endswith(" | None")
    kind = kind.removesuffix(" | None")
    if value is None and optional:
        return None
    if kind.startswith("tuple"):
        if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise ValueError(f"expected a list of names under {name}, got {value!r}")
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in ("str", "Path") and isinstance(value, (str, Path)):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind == "float" and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    words = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    raise ValueError(f"expected {words.get(kind, 'a text')} under {name}, got {value!r}")
