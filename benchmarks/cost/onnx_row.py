"""One ONNX model under the monitor: does it work, are the outputs equal, and what does it cost?"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from outrider.coverage import Criterion, parse_criterion
from outrider.monitor import Monitor, OutriderWarning, Status, Sum, ZScore
from outrider.networks import OnnxNetwork
from outrider.networks.cost import paired, ratio
from outrider.runtime import export

from ..onnx_models import MODELS_FOLDER, Model, opset_of, photographs

TRUSTED, HELD_OUT, STRANGERS = 12, 20, 4  # frames: photographs, nearly the same ones, and noise
LARGEST_SIGNATURES = 512 << 20  # bytes; above, a criterion keeps one class in place of all
TIMING, FEWEST_ROUNDS = 120, 60  # seconds that the rounds of one model may take, unless they are so few
FALSE_ALARMS = 0.1
DEFAULT = "default"
"""In place of a criterion: the taps, criteria and logic that a monitor takes by itself."""


def measure(model: Model, criteria: Sequence[str], rounds: int) -> dict[str, Any]:
    """One row: errors by stage; what is missing was not reached. No timing with 0 rounds."""
    row: dict[str, Any] = {"errors": {}}
    with _stage(row, "bare session"):
        row |= {"opset": opset_of(model.path), "bytes": bytes_of(model.path), "producer": producer_of(model.path)}
        bare, again = session(model.path), session(model.path)
        feeds = _Feeds(model, bare)
        bare.run(None, {feeds.name: feeds.trusted[:1]})
    if row["errors"]:
        return row
    with _stage(row, "network"):
        networks = _Networks(model)
        _note_taps(row, networks.whole)
    if row["errors"]:
        return row
    frame = feeds.trusted[0]  # of a class that has trusted frames, as most are in use
    calls = {name: _call(s, feeds.name, frame) for name, s in (("bare", bare), ("bare again", again))}
    with tempfile.TemporaryDirectory(prefix=".guarded-", dir=MODELS_FOLDER) as scratch:
        first = next((text for text in criteria if text != DEFAULT), DEFAULT)
        for text in criteria:
            outside = text in (first, DEFAULT)
            calls |= _one_criterion(row, text, model, networks, bare, feeds, Path(scratch), outside=outside)
        if rounds:
            with _stage(row, "timing"):
                rounds = _affordable(calls, rounds)
                times = paired(calls, rounds, warm_up=min(20, rounds))
                row |= {"rounds": rounds, "bare_ms": float(np.median(times["bare"]) * 1e3)}
                row["ratios"] = {name: ratio(times, name, "bare") for name in calls if name != "bare"}
    row["peak_mb"] = _peak_memory()
    return row


def _one_criterion(
    row: dict[str, Any], text: str, model: Model, networks: _Networks, bare: Any, feeds: _Feeds, scratch: Path, *,
    outside: bool,
) -> dict[str, Callable[[], object]]:  # fmt: skip
    """Compare both monitors with the bare session and return what is to be timed of them."""
    calls: dict[str, Callable[[], object]] = {}
    frame = feeds.trusted[0]
    profile = scratch / f"{len(list(scratch.glob('*.outrider')))}.outrider"
    with _stage(row, f"outside, {text}", profile):
        network = networks.of(text)
        if text != DEFAULT and network is not networks.whole:
            row.setdefault("class_free", []).append(text)
        taught(network, criterion_of(text), feeds).save(profile)
        monitor = Monitor.load(profile, network)
        if outside:
            plan = monitor.bind()
            calls[f"outside, {text}"] = lambda: plan(frame)
        _compare_outside(row, bare, monitor, feeds)
    if f"outside, {text}" in row["errors"]:
        return calls
    with _stage(row, f"in the graph, {text}", profile):
        guarded = _export(row, text, model, monitor, profile)
        calls[f"in the graph, {text}"] = _call(guarded, feeds.name, frame)
        _compare_inside(row, text, bare, guarded, monitor, feeds)
    return calls


def _affordable(calls: Mapping[str, Callable[[], object]], rounds: int) -> int:
    """At most `rounds`, and no more than fit into `TIMING` but for a least number."""
    times = paired(calls, 1, warm_up=1)
    return min(rounds, max(FEWEST_ROUNDS, int(TIMING / sum(float(each[0]) for each in times.values()))))


def _call(session: Any, name: str, frame: np.ndarray) -> Callable[[], object]:
    return lambda: session.run(None, {name: frame[None]})


@contextmanager
def _stage(row: dict[str, Any], stage: str, profile: Path | None = None) -> Iterator[None]:
    """What goes wrong inside is written down, and the row goes on behind it."""
    paths = {profile: "PROFILE", profile.with_suffix(".onnx"): "GUARDED"} if profile else {}
    try:
        yield
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        for path, word in paths.items():
            text = text.replace(str(path), word)
        row["errors"][stage] = short(text)


class _Feeds:
    """Frames as the model takes them: photographs, nearly the same ones, and noise; and the batches to compare on."""

    def __init__(self, model: Model, bare: Any) -> None:
        entry = bare.get_inputs()[0]
        self.name = entry.name
        dtype = np.float16 if entry.type == "tensor(float16)" else np.float32
        rng = np.random.default_rng(1)
        trusted = photographs(TRUSTED, model.preprocessing)
        spread = trusted.std()
        noise = rng.standard_normal((STRANGERS, *trusted.shape[1:]), np.float32) * 3 * spread
        near = trusted[np.arange(HELD_OUT) % TRUSTED]
        near = near + rng.standard_normal(near.shape, np.float32) * spread * 1e-3
        self.trusted, self.near, noise = (frames.astype(dtype) for frames in (trusted, near, noise))
        self.compared = [self.near[i : i + n] for n in model.batch for i in range(0, 4 * n, n)]
        self.compared += [frame[None] for frame in noise]
        if model.other_size:
            height, width = model.other_size
            self.compared += [batch[..., :height, :].repeat(2, axis=-1)[..., :width] for batch in self.compared[:6]]


class _Networks:
    """The network with all its classes, and with none for a criterion that would be too large."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.whole = self._network("auto")
        self._class_free: OnnxNetwork | None = None

    def of(self, text: str) -> OnnxNetwork:
        if text == DEFAULT:
            return OnnxNetwork(self._model.path, threads=1, **self._model.options)
        if self.whole.classes is None or signature_bytes(parse_criterion(text), self.whole) <= LARGEST_SIGNATURES:
            return self.whole
        self._class_free = self._class_free or self._network(None)
        return self._class_free

    def _network(self, classes: str | None) -> OnnxNetwork:
        options = {"taps": "auto", "neurons": "channel"} | self._model.options
        return OnnxNetwork(self._model.path, classes=classes, threads=1, **options)


def session(path: Path) -> Any:
    """A session as a user would have it, but for one thread that does not spin."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def criterion_of(text: str) -> Criterion | None:
    """What a text stands for, None for `DEFAULT`. Raises ValueError."""
    return None if text == DEFAULT else parse_criterion(text)


def taught(network: OnnxNetwork, criterion: Criterion | None, feeds: _Feeds) -> Monitor:
    """A monitor that covers the photographs: one trusted frame is enough for a class, where use wants five or more.

    A covered frame takes the same path through the monitor whatever that minimum is. criterion: None for what a monitor
    takes by itself.
    """
    if criterion is None:
        monitor = Monitor(network)
    else:
        monitor = Monitor(network, criterion, logic=Sum() if criterion.name in ("bitmap", "single_range") else ZScore())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)  # few frames, few of the classes
        monitor.profile(np.array_split(feeds.trusted, 4), minimum_per_class=1)
        monitor.calibrate(np.array_split(feeds.near, 4), FALSE_ALARMS, accept_rate=1)
    return monitor


def signature_bytes(criterion: Criterion, network: OnnxNetwork) -> int:
    """Of all taps together, before anything is learned."""
    layouts = (criterion.layout(tap.size, network.classes or 1) for tap in network.taps)
    return sum(array.nbytes for layout in layouts for array in layout.values())


def bytes_of(path: Path) -> int:
    """The size of a model with the files beside it that hold weights."""
    import onnx
    from onnx.external_data_helper import uses_external_data

    model = onnx.load(path, load_external_data=False)
    beside = {
        entry.value
        for tensor in model.graph.initializer
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return path.stat().st_size + sum((path.parent / location).stat().st_size for location in beside)


def producer_of(path: Path) -> str:
    """The tool that wrote a model, as far as the file says."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    return f"{model.producer_name} {model.producer_version}".strip()


def _note_taps(row: dict[str, Any], network: OnnxNetwork) -> None:
    taps = [tap for tap in network.taps if tap.kind != "output"]
    row |= {"taps": len(taps), "neurons": sum(tap.size for tap in taps), "classes": network.classes}
    row["tapped"] = [f"{tap.name} {tap.kind} {tap.layout} {'x'.join(map(str, tap.shape))} {tap.dtype}" for tap in taps]
    row["moved"] = [f"{moved.asked} -> {moved.taken}: {moved.why}" for moved in network.moved]


def _compare_outside(row: dict[str, Any], bare: Any, monitor: Monitor, feeds: _Feeds) -> None:
    """Whether the network as it is observed, as it is run, and as it is monitored returns the model's own outputs."""
    ways: dict[str, Callable[[np.ndarray], Any]] = {"check": lambda batch: monitor.check(batch)[0]}
    if "outside_equal" not in row:
        ways |= {"run": monitor.network.run, "observe": lambda batch: monitor.network.observe(batch).output}
    different = []
    for batch in feeds.compared:
        expected = bare.run(None, {feeds.name: batch})
        for way, call in ways.items():
            got = call(batch)
            got = got if isinstance(got, tuple) else (got,)
            if not same(expected, got):
                different.append(f"{way} on {batch.shape}: {distance(expected, got)}")
    row["outside_equal"] = not different and row.get("outside_equal", True)
    if different:
        raise ValueError(f"{len(different)} outputs differ from the bare model's: {different[0]}")


def _export(row: dict[str, Any], text: str, model: Model, monitor: Monitor, profile: Path) -> Any:
    """A session of the guarded model, its size noted. Guarded models in one folder share the weights beside them."""
    output = profile.with_suffix(".onnx")
    export(model.path, profile, output)
    signatures = sum(signature.nbytes for signature in monitor.learned.signatures)
    row.setdefault("guarded_bytes", {})[text] = bytes_of(output)
    row.setdefault("signature_bytes", {})[text] = signatures
    row.setdefault("size_ratio", {})[text] = bytes_of(output) / (row["bytes"] + signatures)
    return session(output)


def _compare_inside(
    row: dict[str, Any], text: str, bare: Any, guarded: Any, monitor: Monitor, feeds: _Feeds
) -> None:  # fmt: skip
    """Whether the guarded model returns the model's own outputs, and the same verdict as the monitor outside."""
    names = [output.name for output in bare.get_outputs()]
    every = [output.name for output in guarded.get_outputs()]
    different, disputed, judged = [], [], 0
    for batch in feeds.compared:
        expected = bare.run(None, {feeds.name: batch})
        got = dict(zip(every, guarded.run(None, {feeds.name: batch}), strict=True))
        if not same(expected, [got[name] for name in names]):
            different.append(f"on {batch.shape}: {distance(expected, [got[name] for name in names])}")
        _, verdicts = monitor.check(batch)
        alarms = np.isin(verdicts.status, (Status.ALARM, Status.FAULT))
        score, alarm = (np.ravel(got[f"outrider_{name}"]) for name in ("score", "alarm"))
        judged += len(batch)
        close = np.isclose(score, verdicts.score, rtol=1e-3, atol=1e-3)
        near_threshold = np.isclose(verdicts.score, verdicts.threshold, rtol=1e-3, atol=1e-3)
        agreed = close & ((alarm.astype(bool) == alarms) | near_threshold)
        disputed += [
            f"on {batch.shape}: score {score[i]:g}, alarm {alarm[i]} in the graph;"
            f" {verdicts.score[i]:g}, {alarms[i]} outside"
            for i in np.flatnonzero(~agreed)
        ]
    broken = feeds.trusted[:1].copy()
    broken.flat[0] = np.nan
    judged += 1
    if not np.ravel(guarded.run(["outrider_alarm"], {feeds.name: broken})[0])[0]:
        disputed.append("no alarm in the graph for an input with NaN")
    row.setdefault("inside_equal", {})[text] = not different
    row.setdefault("agreed", {})[text] = judged - len(disputed), judged
    problems = []
    if different:
        problems.append(f"{len(different)} outputs differ from the bare model's: {different[0]}")
    if disputed:
        problems.append(f"{len(disputed)} of {judged} verdicts differ: {disputed[0]}")
    if problems:
        raise ValueError("; ".join(problems))


def same(expected: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> bool:
    """Whether arrays are equal bit for bit."""
    return len(expected) == len(got) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(expected, got, strict=True)
    )


def distance(expected: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> str:
    """How far apart arrays are that should be equal, in words."""
    if [(a.dtype, a.shape) for a in expected] != [(b.dtype, b.shape) for b in got]:
        return f"expected {[(str(a.dtype), a.shape) for a in expected]}, got {[(str(b.dtype), b.shape) for b in got]}"
    apart = max(float(np.abs(a.astype(np.float64) - b).max()) for a, b in zip(expected, got, strict=True))
    return f"by up to {apart:.3g}"


def _peak_memory() -> int | None:
    """Megabytes that this process held at most, mapped files included."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if sys.platform == "darwin" else 10)


def short(text: str, longest: int = 300) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
