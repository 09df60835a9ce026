"""Networks whose hidden state is an input and an output of every frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..inputs import Input, frames_in, parts_of
from ..network import Network, Observation, fits
from .outputs import copied, form, is_batched, joined, value


class Recurrent(Network):
    """A network that remembers: some of its inputs are what some of its outputs were at the frame before.

    network: takes the states among its inputs and returns them among its outputs; it is run with one frame at a time.
    states: {input: output} by name; an output may be named by its index. initial: {input: array} with the states of
    the first frame, each with its batch axis, (1, *shape); by default zeros. `inputs` are those of the network without
    the states, its output is the network's whole output, new states included.

    The rows of a batch are frames one after the other, in order of time, and so are batches. `reset` begins anew,
    between two drives for one. `memory` holds the states, {input: array}; what was read may be set again. A frame with
    NaN may leave NaN in the states: then every frame after it alarms, until `reset`.
    The outputs of several frames are put behind each other along their batch axis; where a value has none, the output
    is a list of one per frame. The fingerprint is the network's own, and another one where `initial` is given.
    Raises ValueError for states that are no inputs or outputs, and where no input is left, RuntimeError for a network
    that does not know its inputs yet.
    """

    def __init__(
        self, network: Network, states: Mapping[str, int | str], initial: Mapping[str, Any] | None = None
    ) -> None:
        if not network.shaped:
            raise RuntimeError("expected a network that knows its inputs, got one without; give input_shape=")
        self.network = network
        self.states = dict(states)
        names = [one.name for one in network.inputs]
        strange = [name for name in self.states if name not in names]
        if strange or not self.states:
            raise ValueError(f"expected states among the inputs {', '.join(names)}, got {', '.join(strange) or 'none'}")
        if set(names) == set(self.states):
            raise ValueError(f"expected an input that is no state, got states alone: {', '.join(names)}")
        self._places = {name: _place(network, output) for name, output in self.states.items()}
        self._inputs = tuple(one for one in network.inputs if one.name not in self.states)
        first = self._inputs[0]
        self.input_shape, self.dtype = first.shape, first.dtype
        self.taps, self.classes, self.engine = network.taps, network.classes, network.engine
        self.preprocessing, self.map_classes = network.preprocessing, network.map_classes
        self.scores_output, self.scores = network.scores_output, network.scores
        self.takes_tensors, self.detections = network.takes_tensors, network.detections
        self._initial = _initial([one for one in network.inputs if one.name in self.states], dict(initial or {}))
        self.fingerprint = network.fingerprint if initial is None else _fingerprint(network, self._initial)
        self._memory: dict[str, Any] = dict(self._initial)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What a frame is made of: the inputs of the network that are no states."""
        return self._inputs

    @property
    def memory(self) -> dict[str, Any]:
        """The states as the next frame finds them, {input: array}."""
        return dict(self._memory)

    @memory.setter
    def memory(self, states: Mapping[str, Any] | None) -> None:
        if states is None:
            self.reset()
            return
        if set(states) != set(self.states):
            raise ValueError(f"expected the states {', '.join(self.states)}, got {', '.join(states) or 'none'}")
        self._memory = {name: states[name] for name in self.states}

    def reset(self) -> None:
        """Go back to the initial states."""
        self.network.reset()
        self._memory = dict(self._initial)

    def observe(self, batch: Any) -> Observation:
        """Run the frames of a batch one after the other, and return the outputs with the activations at the taps.

        Raises what the network raises, and ValueError where an output is no state as its input takes it.
        """
        frames = self._frames(batch)
        if len(frames) == 1:
            return self._observed(frames[0])
        seen = [_kept(self._observed(frame)) for frame in frames]
        logits = [one.logits for one in seen if one.logits is not None]
        maps = [one.score_map for one in seen if one.score_map is not None]
        rows = [one.rows for one in seen if one.rows is not None]
        return Observation(
            self._behind_each_other([one.output for one in seen]),
            np.concatenate(logits) if logits else None,
            tuple(np.concatenate(values) for values in zip(*(one.activations for one in seen), strict=True)),
            np.concatenate(maps) if maps else None,
            {tap: np.concatenate([one[tap] for one in rows]) for tap in rows[0]} if rows else None,
        )

    def run(self, batch: Any) -> Any:
        """Run the frames of a batch one after the other without looking inside."""
        frames = self._frames(batch)
        outputs = []
        for frame in frames:
            output = self.network.run(self._with_states(frame))
            self._remember(output)
            outputs.append(output if len(frames) == 1 else copied(output))
        return outputs[0] if len(frames) == 1 else self._behind_each_other(outputs)

    def unbatched(self, output: Any) -> Any:
        """As the network says."""
        return self.network.unbatched(output)

    def close(self) -> None:
        """Close the network."""
        self.network.close()

    def __repr__(self) -> str:
        return f"Recurrent({self.network!r}, {self.states})"

    def _frames(self, batch: Any) -> list[tuple[Any, ...]]:
        """The arrays of each frame, as batches of one."""
        parts = parts_of(batch, self._inputs)
        count = frames_in(parts)
        if not count:
            raise ValueError("expected one frame or more, got none")
        return [tuple(part[row : row + 1] for part in parts) for row in range(count)]

    def _with_states(self, frame: Sequence[Any]) -> Any:
        own = dict(zip((one.name for one in self._inputs), frame, strict=True)) | self._memory
        return tuple(own[one.name] for one in self.network.inputs)

    def _observed(self, frame: Sequence[Any]) -> Observation:
        seen = self.network.observe(self._with_states(frame))
        self._remember(seen.output)
        return seen

    def _remember(self, output: Any) -> None:
        """Keep copies of the new states, all or none."""
        bare, states = self.network.unbatched(output), {}
        for name, before in self._memory.items():
            state = value(bare, self._places[name])
            got, expected = form(state), form(before[0])
            if got != expected:
                raise ValueError(
                    f"expected output {self.states[name]!r} as the state {name} takes it, {expected} for a frame,"
                    f" got {got}"
                )
            states[name] = copied(state)[None]
        self._memory = states

    def _behind_each_other(self, outputs: Sequence[Any]) -> Any:
        batched = is_batched(outputs[0], self.network.unbatched(outputs[0]))
        return joined(outputs) if batched else list(outputs)


def _place(network: Network, output: int | str) -> int | str:
    """Where an output stands in what the network returns: its index, or its key where no order of names is known."""
    names = getattr(network, "output_names", None)
    if names is None:
        return output
    if output in names:
        return list(names).index(output)
    if not isinstance(output, int) or not 0 <= output < len(names):
        raise ValueError(f"expected states from the outputs {', '.join(names)}, got {output!r}")
    return output


def _initial(states: Sequence[Input], given: dict[str, Any]) -> dict[str, np.ndarray]:
    names = [one.name for one in states]
    if not set(given) <= set(names):
        raise ValueError(f"expected initial values of the states {', '.join(names)}, got {', '.join(given)}")
    initial = {}
    for one in states:
        if one.name in given:
            state = np.array(given[one.name])
            if state.dtype != one.dtype or state.shape[:1] != (1,) or not fits(state.shape[1:], one.shape):
                raise ValueError(
                    f"expected the initial state {one.name} as {one.dtype} {(1, *one.shape)},"
                    f" got {state.dtype} {state.shape}"
                )
        elif None in one.shape:
            raise ValueError(
                f"expected initial={{{one.name!r}: array}}, as the network leaves its shape {one.shape} open"
            )
        else:
            state = np.zeros((1, *(size or 0 for size in one.shape)), one.dtype)
        state.flags.writeable = False
        initial[one.name] = state
    return initial


def _fingerprint(network: Network, initial: Mapping[str, np.ndarray]) -> str:
    import hashlib

    digest = hashlib.sha256(network.fingerprint.encode())
    for name, state in sorted(initial.items()):
        digest.update(f"{name} {state.dtype} {state.shape}".encode() + state.tobytes())
    return digest.hexdigest()


def _kept(seen: Observation) -> Observation:
    return Observation(
        copied(seen.output), copied(seen.logits), copied(seen.activations), copied(seen.score_map),
        None if seen.rows is None else copied(dict(seen.rows)),
    )  # fmt: skip
