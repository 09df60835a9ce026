"""PyTorch modules as networks: forward hooks where a module computes a value, torch.fx where a function does."""

from __future__ import annotations

import hashlib
import itertools
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from ..network import Network, Observation
from ..preprocessing import Preprocessing
from ..renamed import renamed_keyword
from ..tap import ACTIVATIONS, DEFAULT_TAPS, GATES, OUTPUT, Candidate, Tap, Taps, candidate, choose, split_selector

if TYPE_CHECKING:
    from typing_extensions import Self

_TRIAL = 2  # samples in the trial run: enough to tell the batch axis from one of length 1
_OBSERVERS = "_outrider"


class TorchNetwork(Network):
    """A module in eval mode, observed through hooks that are installed once and removed by `close`.

    module: takes one (batch, *input_shape) tensor, on any device. It is not changed, and its weights must not be while
    it is observed. taps, neurons: as `choose` says; a module that runs more than once has a tap per run, the second
    named ``relu#2``. Activations called as functions (``F.relu``) are found by tracing the module with torch.fx and
    bear the names that it gives them. classes: how many, ``auto`` to take it from an output (batch, 2 or more), None
    for a network without classes, or ``pixel`` where the scores are a map (batch, classes, height, width).
    scores_output: index or name of the output with the class scores.

    Raises ValueError for a module in training mode, an input shape that it does not take, and taps that do not exist.
    """

    engine = "torch"

    @renamed_keyword("logits", "scores_output")
    def __init__(
        self,
        module: nn.Module,
        input_shape: Sequence[int],
        *,
        taps: str | Sequence[str] = DEFAULT_TAPS,
        neurons: str | Sequence[str] = "channel",
        classes: int | str | None = "auto",
        scores_output: int | str = 0,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        training = [name or "the module itself" for name, part in module.named_modules() if part.training]
        if training:
            raise ValueError(f"expected a module in eval mode (call .eval()), got training mode in {_some(training)}")
        tensors = itertools.chain(module.parameters(), module.buffers())
        weights = next((t for t in tensors if t.is_floating_point()), torch.empty(0))
        self._device, self._dtype = weights.device, weights.dtype
        self._module = module
        self.scores_output: int | str = scores_output
        self._closed = False
        self.input_shape: tuple[int | None, ...] = tuple(input_shape)
        self.preprocessing = preprocessing
        self.fingerprint = _fingerprint(module)

        zeros = torch.zeros((_TRIAL, *input_shape), dtype=self._dtype, device=self._device)
        plain = _Trial(((name, part) for name, part in module.named_modules() if name), module, zeros)
        self.classes = _count_classes(plain.output, scores_output, classes)
        self.map_classes = _count_map_classes(plain.output, scores_output) if classes == "pixel" else None
        scores = []
        if self.classes is not None:
            name = OUTPUT if OUTPUT not in plain.parts else f"{OUTPUT}#logits"
            scores.append(Candidate(name, OUTPUT, (self.classes,), "NC", str(self._dtype).removeprefix("torch.")))
        self._forward, trial, chosen = _plan(module, plain, zeros, scores, taps, neurons)
        self._overwrites_input = trial.overwrites_input
        self._sites = trial.sites(chosen)
        self.taps = Taps([*chosen, *(score.tap("unit") for score in scores)])
        self._lock = threading.Lock()
        self._recording: _Recording | None = None
        self._handles = [trial.parts[name].register_forward_hook(self._hook(name)) for name in self._sites]

    def observe(self, batch: np.ndarray | Tensor) -> Observation:
        """Run a batch, (n, *input_shape) float32, and return the outputs with the activations at the taps.

        Raises TypeError for a batch of another dtype, ValueError for another shape, RuntimeError when the network is
        closed, its module in training mode, or a tapped module runs more or fewer times than at construction.
        """
        samples = self._samples(batch)
        with self._lock, torch.inference_mode():
            recording = self._recording = _Recording(self._sites)
            try:
                output = self._forward(samples)
            finally:
                self._recording = None
            activations = tuple(map(_numpy, recording.finish()))
            if self.map_classes is not None:
                return Observation(output, None, activations, _numpy(_pick(output, self.scores_output)))
            if self.classes is None:
                return Observation(output, None, activations)
            logits = _numpy(_pick(output, self.scores_output))
            return Observation(output, logits, (*activations, logits))

    def run(self, batch: np.ndarray | Tensor) -> Any:
        """What the module returns for a batch, (n, *input_shape) float32."""
        samples = self._samples(batch)
        with self._lock, torch.inference_mode():  # the hooks would add this run to an observation under way
            return self._module(samples)

    def close(self) -> None:
        """Remove the hooks."""
        self._closed = True
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TorchNetwork({type(self._module).__name__}, {self.input_shape}): {len(self.taps)} taps"

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_part: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
            if self._recording is not None:
                self._recording.take(name, output)

        return hook

    def _samples(self, batch: np.ndarray | Tensor) -> Tensor:
        if self._closed:
            raise RuntimeError("expected an open network, got one after close(); make a new TorchNetwork")
        if self._module.training:
            raise RuntimeError("expected the module in eval mode (call .eval()), got training mode")
        if not isinstance(batch, (np.ndarray, Tensor)):
            raise TypeError(f"expected a numpy array or a torch tensor, got {type(batch).__name__}")
        if batch.dtype not in (np.float32, torch.float32, self._dtype):
            raise TypeError(f"expected a batch of dtype float32, got {batch.dtype}; convert it and check its scale")
        if batch.shape[1:] != self.input_shape or len(batch) == 0:
            raise ValueError(f"expected a batch of shape {_batch_of(self.input_shape)}, got {tuple(batch.shape)}")
        samples = (
            torch.from_numpy(np.require(batch, requirements=("C", "W"))) if isinstance(batch, np.ndarray) else batch
        )
        return samples.to(self._device, self._dtype, copy=self._overwrites_input)


class _Recording:
    """The neurons of one batch, filled by the hooks while the module runs."""

    def __init__(self, sites: Mapping[str, Sequence[Sequence[_Reader]]]) -> None:
        self._sites = sites
        self._runs = dict.fromkeys(sites, 0)
        self._neurons: dict[int, Tensor] = {}

    def take(self, name: str, value: Tensor) -> None:
        run = self._runs[name]
        self._runs[name] = run + 1
        if run < len(self._sites[name]):
            for reader in self._sites[name][run]:
                self._neurons[reader.position] = reader(value)

    def finish(self) -> list[Tensor]:
        """The neurons in the order of the taps. Raises RuntimeError when the module took another way than before."""
        for name, runs in self._runs.items():
            if runs != len(self._sites[name]):
                raise RuntimeError(
                    f"expected {name!r} to run {len(self._sites[name])} times a batch, as in the trial run, "
                    f"got {runs}; which parts of a network run must not depend on the data"
                )
        return [self._neurons[position] for position in range(len(self._neurons))]


class _Reader:
    """Turns the value at one tap into neurons on the device it lies on."""

    def __init__(self, position: int, tap: Tap, overwritten: bool) -> None:
        self.position = position
        self._tap = tap
        self._overwritten = overwritten

    def __call__(self, value: Tensor) -> Tensor:
        """(batch, *tap.shape) to (batch, tap.size), a copy where a later operation overwrites the value.

        Pixels become (batch * places, tap.size).
        """
        tap = self._tap
        if tap.neurons == "unit":
            return value.flatten(1).clone() if self._overwritten else value.flatten(1)
        channels_last = tap.layout in ("NHWC", "NLC")
        if tap.neurons == "pixel":
            places = value if channels_last else value.movedim(1, -1)
            return places.reshape(-1, tap.size).clone() if self._overwritten else places.reshape(-1, tap.size)
        value = value.float()
        if channels_last:
            value = value.movedim(-1, 1)
        if tap.neurons == "channel":
            return value.mean(tuple(range(2, value.ndim)))
        if tap.neurons == "channel-max":
            return value.amax(tuple(range(2, value.ndim)))
        pool = functional.adaptive_avg_pool2d if value.ndim == 4 else functional.adaptive_avg_pool1d
        return pool(value, tap.grid).flatten(1)


class _Trial:
    """One run with hooks everywhere: which parts run, how often, and what they return."""

    def __init__(self, parts: Iterable[tuple[str, nn.Module]], forward: Callable[[Tensor], Any], zeros: Tensor) -> None:
        self.parts: dict[str, nn.Module] = {}
        self.candidates: list[Candidate] = []
        self._runs: dict[str, list[str]] = {}
        self._versions: dict[str, tuple[Tensor, int]] = {}
        self._channels_last: dict[int, bool] = {}
        handles = []
        try:
            for name, part in parts:
                self.parts[name] = part
                handles.append(part.register_forward_hook(self._hook(name, part)))
            # Not inference mode: its tensors do not count the operations that overwrite them.
            samples = zeros.clone()
            with torch.no_grad():
                self.output = forward(samples)
        except Exception as error:
            shape = tuple(zeros.shape)
            raise ValueError(f"expected a module that takes a batch of shape {shape}, got {error!r}") from error
        finally:
            for handle in handles:
                handle.remove()
        self.overwrites_input = samples._version > 0  # noqa: SLF001 - no public name tells what was overwritten
        self._overwritten = {
            name
            for name, (value, version) in self._versions.items()
            if value._version > version  # noqa: SLF001
        }
        self._versions.clear()

    def sites(self, taps: Sequence[Tap]) -> dict[str, list[list[_Reader]]]:
        """For each tapped part, what to read at each of its runs."""
        wanted: dict[str, list[_Reader]] = {}
        for position, tap in enumerate(taps):
            wanted.setdefault(tap.name, []).append(_Reader(position, tap, tap.name in self._overwritten))
        return {
            part: [wanted.get(run, []) for run in runs]
            for part, runs in self._runs.items()
            if any(run in wanted for run in runs)
        }

    def _hook(self, name: str, part: nn.Module) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        kind = part.kind if isinstance(part, _Observer) else _kind(part)

        def hook(_part: nn.Module, inputs: tuple[Any, ...], value: Any) -> None:
            runs = self._runs.setdefault(name, [])
            runs.append(f"{name}#{len(runs) + 1}" if runs else name)
            if not isinstance(value, Tensor):
                obstacle = f"expected a module that returns a tensor, got {type(value).__name__}"
                self.candidates.append(Candidate(runs[-1], kind, obstacle=obstacle))
                return
            source = inputs[0] if inputs else None
            last = self._channels_last.get(id(source)) if kind in _POINTWISE else _channels_last(kind)
            if last is not None:
                self._channels_last[id(value)] = last
            self._versions[runs[-1]] = value, value._version  # noqa: SLF001
            dtype = str(value.dtype).removeprefix("torch.")
            last = self._channels_last.get(id(value))
            self.candidates.append(candidate(runs[-1], kind, value.shape, dtype, batch=_TRIAL, channels_last=last))

        return hook


_POINTWISE = ACTIVATIONS | GATES | {"dropout", "identity"}


def _channels_last(kind: str) -> bool | None:
    """Where a kind of module has the channels of what it returns: on the last axis, behind the batch, or not told."""
    if kind in ("linear", "layernorm"):
        return True
    return False if kind.startswith(("conv", "batchnorm", "instancenorm", "groupnorm")) else None


def _plan(
    module: nn.Module,
    plain: _Trial,
    zeros: Tensor,
    scores: Sequence[Candidate],
    taps: str | Sequence[str],
    neurons: str | Sequence[str],
) -> tuple[Callable[[Tensor], Any], _Trial, list[Tap]]:
    """What to call to run the module, what its trial run showed, and the taps chosen, without the class scores.

    The module itself is called unless a tap lies on a function that only the traced module can show.
    """
    selectors = [taps] if isinstance(taps, str) else list(taps)

    def chosen(trial: _Trial) -> list[Tap]:
        return [tap for tap in choose([*trial.candidates, *scores], selectors, neurons) if tap.kind != OUTPUT]

    names = {c.name for c in (*plain.candidates, *scores)}
    if all(split_selector(selector)[0] in names for selector in selectors):
        return module, plain, chosen(plain)
    try:
        traced = _traced(module)
    except Exception as error:  # noqa: BLE001 - tracing runs the module's own code on stand-ins: anything may come
        try:
            return module, plain, chosen(plain)
        except ValueError as unmatched:
            reason = f"activations called as functions were not found, as torch.fx cannot trace the module: {error}"
            raise ValueError(f"{unmatched}; {reason}") from None
    if traced is not None:
        seen = _Trial(_observed(traced), traced.forward, zeros)
        taken = chosen(seen)
        parts = set(seen.sites(taken))
        if any(isinstance(seen.parts[part], _Observer) for part in parts):
            _drop_observers(traced, keep=parts)
            return traced.forward, seen, taken
    return module, plain, chosen(plain)


class _Observer(nn.Module):
    """Stands in a traced module behind the value to observe, and hands it to the hooks; source is its argument."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__()
        self.name = name
        self.kind = kind

    def forward(self, _source: Any, value: Any) -> Any:
        return value


class _Tracer(fx.Tracer):
    """Also remembers what came out of the modules that it looks into, innermost first."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[tuple[fx.Node, str, str]] = []

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        value = super().call_module(m, forward, args, kwargs)
        name = self.path_of_module(m)
        if isinstance(value, fx.Proxy) and not self.is_leaf_module(m, name):
            self.blocks.append((value.node, name, _kind(m)))
        return value


def _traced(module: nn.Module) -> fx.GraphModule | None:
    """The module as a graph that shares its weights, with an observer behind every block and functional activation.

    None when it calls no activation as a function. Raises whatever tracing raises.
    """
    tracer = _Tracer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = tracer.trace(module)
    paths = {name for name, _ in module.named_modules()}
    functions = [
        (node, node.name if node.name not in paths else f"{node.name}#function", kind)
        for node in graph.nodes
        if (kind := _function_kind(node)) in ACTIVATIONS | GATES
    ]
    if not functions:
        return None
    traced = fx.GraphModule(module, graph)
    for index, (node, name, kind) in enumerate(reversed([*functions, *tracer.blocks])):
        target = f"{_OBSERVERS}.{index}"
        traced.add_submodule(target, _Observer(name, kind).eval())
        source = node if (node, name, kind) in tracer.blocks else node.args[0]
        with graph.inserting_after(node):
            graph.call_module(target, (source, node))
    traced.recompile()
    return traced


def _kind(part: nn.Module) -> str:
    kind = type(part).__name__.lower()
    return "module" if kind == OUTPUT else kind  # that word means the class scores


def _function_kind(node: fx.Node) -> str:
    """``leakyrelu`` for a node that calls leaky_relu or leaky_relu_, as a function or a method."""
    if node.op not in ("call_function", "call_method"):
        return ""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.replace("_", "")


def _observed(traced: fx.GraphModule) -> Iterator[tuple[str, nn.Module]]:
    for name, part in traced.named_modules():
        if isinstance(part, _Observer):
            yield part.name, part
        elif name:
            yield name, part


def _drop_observers(traced: fx.GraphModule, keep: set[str]) -> None:
    for node in list(traced.graph.nodes):
        is_observer = node.op == "call_module" and node.target.startswith(f"{_OBSERVERS}.")
        if is_observer and traced.get_submodule(node.target).name not in keep:
            traced.graph.erase_node(node)
    traced.recompile()


def _count_classes(output: Any, key: int | str, classes: int | str | None) -> int | None:
    if classes in (None, "pixel"):
        return None
    scores = _pick(output, key)
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    is_scores = isinstance(scores, Tensor) and scores.ndim == 2 and scores.is_floating_point() and len(scores) == _TRIAL
    if classes == "auto":
        return scores.shape[1] if is_scores and scores.shape[1] >= 2 else None
    if not isinstance(classes, int) or classes < 2:
        raise ValueError(f"expected classes 'auto', 'pixel', None or a number from 2, got {classes!r}")
    if not is_scores or scores.shape[1] != classes:
        raise ValueError(f"expected class scores of shape {(_TRIAL, classes)} for a batch of {_TRIAL}, got {shape}")
    return classes


def _count_map_classes(output: Any, key: int | str) -> int:
    scores = _pick(output, key)
    is_map = isinstance(scores, Tensor) and scores.ndim == 4 and scores.is_floating_point() and len(scores) == _TRIAL
    if not is_map or scores.shape[1] < 2:
        shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ValueError(
            f"expected a map of the scores of 2 classes or more, ({_TRIAL}, classes, height, width), got {shape}"
        )
    return int(scores.shape[1])


def _pick(output: Any, key: int | str) -> Any:
    """One of a module's outputs. Raises ValueError when there is none of that index or name."""
    if isinstance(output, Tensor):
        named: dict[Any, Any] = {0: output}
    elif isinstance(output, Mapping):
        named = {**dict(enumerate(output.values())), **output}
    elif isinstance(output, (tuple, list)):
        named = {**dict(enumerate(output)), **(output._asdict() if hasattr(output, "_asdict") else {})}
    else:
        named = {0: output, **vars(output)} if hasattr(output, "__dict__") else {0: output}
    if key not in named:
        raise ValueError(f"expected scores_output to be one of the outputs {', '.join(map(repr, named))}, got {key!r}")
    return named[key]


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().contiguous().cpu().numpy()


def _fingerprint(module: nn.Module) -> str:
    """SHA-256 over the module's tree as text and its state: names, dtypes, shapes and bytes."""
    digest = hashlib.sha256(str(module).encode())
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            digest.update(f"{name} {value!r}\n".encode())
    return digest.hexdigest()


def _batch_of(shape: Sequence[int | None]) -> str:
    return f"({', '.join(['n', *map(str, shape)])})"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
