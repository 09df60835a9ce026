"""What a profile says of its network: the facts on which it rests, and how it is opened again."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ...networks import Network, Preprocessing, Tap
from ...networks.detections.decoder import decoder_facts, decoder_of_facts, in_words
from ...networks.inputs import Input
from ...networks.neurons import HEADS
from ...networks.recurrent.network import Recurrent
from ...networks.selectors import selector_of
from ..errors import MismatchError, OutriderWarning

_COLOURS = 1, 3, 4
_TOLD = "onnx", "torch"  # engines of which a user may say what the class scores are


@dataclass(frozen=True)
class NetworkFacts:
    """The facts about a network on which a profile rests. `differences` names those that another network lacks.

    map_classes: the classes that a map of class scores tells apart, None for a network without one.
    scores_output: which output holds the class scores, where the network says so and no tap does; ``logits`` in a file.
    inputs: what the network takes, states among them, where that is more than one array or a module takes no float32.
    states: of a recurrent network, the output that each of its state inputs comes from.
    scores: the kind of the class scores, None without classes and where nothing but logits is possible. batch_axis:
    False for a graph that takes one frame, otherwise None. detections: what decodes the output of an object detector,
    by its name and settings, or the name of a callable, which has to be given again.
    """

    engine: str
    fingerprint: str
    classes: int | None
    input_shape: tuple[int | None, ...]
    taps: tuple[Tap, ...]
    preprocessing: dict[str, Any] | None = None
    map_classes: int | None = None
    scores_output: int | str | None = None
    inputs: tuple[Input, ...] = ()
    states: dict[str, int | str] | None = None
    scores: str | None = None
    batch_axis: bool | None = None
    detections: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        # a file from before may lack fields of the preprocessing: it is written whole, and compared as such
        if self.preprocessing is not None:
            whole = Preprocessing.from_dict(self.preprocessing).to_dict()
            object.__setattr__(self, "preprocessing", whole)

    @classmethod
    def of(cls, network: Network, taps: Iterable[Tap]) -> NetworkFacts:
        preprocessing = network.preprocessing.to_dict() if network.preprocessing else None
        shape = tuple(network.input_shape)
        of_map, output = network.map_classes, network.scores_output
        same = network.engine, network.fingerprint, network.classes, shape, tuple(taps), preprocessing
        states = dict(network.states) if isinstance(network, Recurrent) else None
        bare = network.network if isinstance(network, Recurrent) else network
        # What is so of most networks is not written; an ONNX graph may say otherwise than its user.
        told = (network.classes or of_map) and (network.engine in _TOLD or network.scores == "probabilities")
        scores = network.scores if told else None
        batch_axis = False if getattr(bare, "batch_axis", None) is False else None
        asked = len(bare.inputs) > 1 or (network.engine == "torch" and bare.dtype != "float32")
        decodes = decoder_facts(network.detections)
        return cls(*same, of_map, output, bare.inputs if asked else (), states, scores, batch_axis, decodes)

    @property
    def frame(self) -> tuple[Input, ...]:
        """What a frame is made of, where that is more than one array or the network recurrent; without states."""
        return tuple(one for one in self.inputs if one.name not in (self.states or ()))

    @property
    def extent(self) -> tuple[int, int] | None:
        """(height, width) of the picture that the network takes, in pixels; None where the network leaves it open."""
        sizes = self.input_shape
        if len(sizes) == 3:
            sizes = sizes[1:] if sizes[0] in _COLOURS or sizes[2] not in _COLOURS else sizes[:2]
        if len(sizes) != 2 or sizes[0] is None or sizes[1] is None:
            return None
        return sizes[0], sizes[1]

    def classes_of(self, tap: int) -> int:
        """The classes that the signatures of a tap tell apart: those of its places where the network knows them."""
        own = self.map_classes if told_apart(self.taps[tap]) else None
        return own or self.classes or 1

    def options(self) -> dict[str, Any]:
        """What the network's class is to be told, so that it observes what the profile was learned from."""
        options: dict[str, Any] = {
            "taps": [selector_of(tap) for tap in self.taps if tap.kind != "output" or tap.layout != "NC"],
            "classes": "pixel" if self.map_classes else self.classes,
            "preprocessing": None if self.preprocessing is None else Preprocessing.from_dict(self.preprocessing),
            "scores_output": self.scores_output or 0,
            "input_shape": self.input_shape if len(self.inputs) < 2 else {one.name: one.shape for one in self.inputs},
        }
        if self.states is not None:
            options["states"] = self.states
        dtypes = {one.name: one.dtype for one in self.inputs if one.dtype != "float32"}
        if self.engine == "torch" and dtypes:
            options["dtype"] = dtypes
        if self.scores is not None and self.engine in _TOLD:
            options["scores"] = self.scores
        if (decoder := decoder_of_facts(self.detections)) is not None:
            options["detections"] = decoder
        if self.engine == "onnx":
            outputs = [tap.name for tap in self.taps if tap.kind == "output"]
            options |= {"exact": True, "scores_output": outputs[0] if outputs else options["scores_output"]}
            options |= {} if self.batch_axis is None else {"batch_axis": self.batch_axis}
        told = (tap for tap in self.taps if tap.layout not in ("NC", *HEADS) and tap.kind != "output")
        layouts = {tap.name: tap.layout for tap in told}
        return options | ({"layouts": layouts} if layouts else {})

    def refuse_another(self, path: str | os.PathLike, other: NetworkFacts) -> None:
        """Raise MismatchError that names the file and what differs where `other` is another network."""
        if differences := self.differences(other):
            raise MismatchError(
                f"{path}: expected the network it was learned from, got another:\n  " + "\n  ".join(differences)
            )

    def prepare(self, network: Network) -> None:
        """Let a network take pictures as this one did, and decode detections where it was told no decoder.

        An OutriderWarning says where it took pictures in another way.
        """
        if network.detections is None:
            network.detections = decoder_of_facts(self.detections)
        if self.preprocessing is None:
            return
        mine, theirs = Preprocessing.from_dict(self.preprocessing), network.preprocessing
        if theirs is not None and theirs != mine:
            learned, told = (", ".join(one.steps()) for one in (mine, theirs))
            warnings.warn(
                f"the profile was learned from pictures {learned}; the network was told: {told}; from now on it takes"
                " them as the profile says",
                OutriderWarning,
                stacklevel=3,
            )
        network.preprocessing = mine

    def differences(self, other: NetworkFacts) -> list[str]:
        """A line for each fact in which `other`, the network at hand, differs from the network of this profile."""
        lines = [
            f"{name}: expected {_short(mine)}, got {_short(theirs)}"
            for name, mine, theirs in (
                ("engine", self.engine, other.engine),
                ("SHA-256", self.fingerprint, other.fingerprint),
                ("classes", self.classes, other.classes),
                ("classes of the map", self.map_classes, other.map_classes),
                ("input shape", self.input_shape, other.input_shape),
            )
            if mine != theirs
        ]
        if self.inputs != other.inputs:
            lines.append(f"inputs: expected {_listed(self)}, got {_listed(other)}")
        if self.states != other.states:
            lines.append(f"states: expected {_states(self.states)}, got {_states(other.states)}")
        if None not in (self.scores_output, other.scores_output) and self.scores_output != other.scores_output:
            lines.append(f"output with the class scores: expected {self.scores_output!r}, got {other.scores_output!r}")
        if None not in (self.scores, other.scores) and self.scores != other.scores:
            lines.append(f"class scores: expected {self.scores}, got {other.scores}")
        lines += self.other_decoder(other)
        there = {tap.id: tap for tap in other.taps}
        for tap in self.taps:
            if tap.id not in there:
                others = ", ".join(t.neurons for t in other.taps if t.name == tap.name)
                lines.append(f"tap {tap.id}: expected {tap.shape}, got {others or 'no such tap'}")
            else:
                lines += [f"tap {tap.id}: {difference}" for difference in tap.differences(there[tap.id])]
        return lines

    def other_decoder(self, other: NetworkFacts) -> list[str]:
        """A line where `other` decodes detections in another way; one that was told none takes that of these facts."""
        whole = decoder_of_facts(self.detections) is not None
        if self.detections == other.detections or (whole and other.detections is None):
            return []
        program = ", a program, which no file holds; give it as detections="
        expected = in_words(self.detections) + ("" if whole or self.detections is None else program)
        return [f"detections: expected {expected}, got {in_words(other.detections)}"]

    def to_dict(self) -> dict[str, Any]:
        """The facts in JSON types."""
        facts = asdict(self)
        facts["logits"] = facts.pop("scores_output")
        facts["inputs"] = [one._asdict() | {"shape": list(one.shape)} for one in self.inputs] or None
        for name in ("map_classes", "logits", "inputs", "states", "scores", "batch_axis", "detections"):
            if facts[name] is None:
                del facts[name]
        for tap in facts["taps"]:
            del tap["paths"]  # where the tensor came from is no fact that must stay the same
            if tap["rows"] == 1:
                del tap["rows"]
        return facts

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> NetworkFacts:
        """The facts from `to_dict`'s form. Raises KeyError, TypeError or ValueError for anything else."""
        taps = tuple(Tap(**{**tap, "shape": _shape(tap["shape"])}) for tap in facts["taps"])
        shape = _shape(facts["input_shape"])
        classes = facts["classes"]
        if not (classes is None or (isinstance(classes, int) and classes >= 1)):
            raise ValueError(f"expected a number of classes, got {classes!r}")
        of_map, output = facts.get("map_classes"), facts.get("logits")
        if not (of_map is None or (isinstance(of_map, int) and of_map >= 2)):
            raise ValueError(f"expected a map of 2 classes or more, got {of_map!r}")
        if not (output is None or isinstance(output, (int, str))):
            raise ValueError(f"expected the index or name of an output, got {output!r}")
        inputs = tuple(Input(str(i["name"]), _shape(i["shape"]), str(i["dtype"])) for i in facts.get("inputs", ()))
        states = facts.get("states")
        if states is not None and not all(isinstance(output, (int, str)) for output in dict(states).values()):
            raise ValueError(f"expected the outputs of states by index or name, got {states!r}")
        scores, batch_axis = facts.get("scores"), facts.get("batch_axis")
        if scores not in (None, "logits", "probabilities"):
            raise ValueError(f"expected scores 'logits' or 'probabilities', got {scores!r}")
        if batch_axis not in (None, False):
            raise ValueError(f"expected a batch_axis that is left out or false, got {batch_axis!r}")
        decodes = facts.get("detections")
        if decodes is not None:
            decoder_of_facts(decodes)
        texts = str(facts["engine"]), str(facts["fingerprint"])
        same = *texts, classes, shape, taps, facts["preprocessing"], of_map, output
        return cls(*same, inputs, states, scores, batch_axis, decodes)

    @property
    def takes(self) -> str:
        """What a frame is, in words."""
        return input_words(self.input_shape, self.frame)


def input_words(shape: Iterable[int | None], inputs: Iterable[Input]) -> str:
    """``input 3 x 32 x 32``, or the shape of each of several inputs by its name."""
    named = [f"{one.name} {_sizes(one.shape)}" for one in inputs]
    if len(named) > 1:
        return f"inputs {' and '.join(named)}"
    return f"input {named[0].removeprefix('input ')}" if named else f"input {_sizes(shape)}"


def _sizes(shape: Iterable[int | None]) -> str:
    return " x ".join("?" if size is None else str(size) for size in shape) or "one number"


def _listed(facts: NetworkFacts) -> str:
    return ", ".join(f"{one.name} {one.dtype} {one.shape}" for one in facts.inputs) or "one"


def _states(states: dict[str, int | str] | None) -> str:
    return ", ".join(f"{state} from {output}" for state, output in (states or {}).items()) or "none"


def _shape(sizes: list[Any]) -> tuple[int | None, ...]:
    return tuple(None if size is None else int(size) for size in sizes)


def _short(fact: Any) -> Any:
    return f"{fact[:12]}…" if isinstance(fact, str) and len(fact) > 16 else fact


def gives_codes(tap: Tap) -> bool:
    """Whether the neurons of a tap are uint8 codes."""
    return tap.dtype in ("uint8", "int8") and tap.neurons == "unit"


def told_apart(tap: Tap) -> bool:
    """Whether a map of class scores tells the classes of a tap's places: places of the picture, of one row a frame."""
    return tap.of_places and tap.rows == 1 and len(tap.map_sizes) <= 2
