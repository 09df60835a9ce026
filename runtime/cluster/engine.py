"""A profile of a Ray dataset: workers learn logical shards, and this process joins what they return.

Ray reads, cuts the rows in their order into blocks of one logical shard each, and gives each block to a worker, which
holds the network and returns what it learned as bytes. A worker keeps nothing from one block to the next. So Ray may
start one that is taken away again, and the profile has the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ...monitor import Monitor, ProfileError
from ...monitor.criteria import Criteria
from ...monitor.logic import Logic
from ...monitor.shards import Part, Shard, Sharding
from ...monitor.shards.merging import Merger
from ...networks import Network
from ...networks.adapting import as_network, is_network
from ...networks.packages import install_hint
from .worker import Worker

if TYPE_CHECKING:
    from ray.data import Dataset

Progress = Callable[[int], None]


def profile(
    dataset: Dataset,
    network: Any,
    criteria: Criteria | None = None,
    *,
    column: str,
    label: str | None = None,
    logic: Logic | str | None = None,
    frames: int | None = None,
    batch_size: int = 64,
    trusted_confidence: float = 0.9,
    minimum_per_class: int = 5,
    class_names: Sequence[str] = (),
    workers: int | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    options: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Monitor:
    """Learn from the rows of a Ray dataset, in their order. Returns a monitor without a threshold.

    dataset: lazily read; it is never held as a whole. Its rows must come in the same order each time, so a reader that
    shuffles is none for this. column: that of the frames: arrays as the network takes them; pictures (height, width,
    channels) or the bytes of picture files, of a network with a preprocessing. label: the column of the classes, where
    there is one. network: the path of an ONNX model that every worker can read, or a function without arguments that
    makes a network or a module, which is called once in each worker. criteria, logic: as of `Monitor`. options: of a
    model or module, as its network takes them, such as preprocessing and taps. frames: how many rows there are; by
    default the dataset counts them, which for some readers means to read them once. batch_size, trusted_confidence,
    minimum_per_class, class_names: as of `Monitor.profile_part`. The profile has the bits that `outrider profile
    --shard` gives for the same frames.
    workers: how many; by default one for each core of the cluster but one, which is left to those that read. cpus,
    gpus: of each. progress: called with the number of frames learned.

    Raises ImportError without Ray, ConnectionError where its cluster cannot be reached, ValueError for too many
    workers, ProfileError for a recurrent network and for other than the frames counted, and what `Monitor.profile`
    raises. What a worker raises comes as Ray raises it.
    """
    ray_data()
    import ray

    _connect(ray)
    make = partial(_made, network, options or {})
    opened = make()
    try:
        if opened.memory is not None:
            raise ProfileError(
                "expected a network that sees each frame by itself, got a recurrent one: its frames cannot be cut"
            )
        count = dataset.count() if frames is None else frames
        plan = Sharding(count, batch_size)
        if not count:
            raise ProfileError("expected trusted frames, got none")
        monitor = Monitor(opened, criteria, logic=logic)
        empty = monitor.profile_part(
            _NoFrames(count), _EMPTY, batch_size=batch_size, trusted_confidence=trusted_confidence,
            minimum_per_class=minimum_per_class, class_names=class_names,
        )  # fmt: skip
        merger = Merger()
        given = _learned(ray, dataset, Worker, (make, bytes(empty), column, label), plan, workers, cpus, gpus)
        done = 0
        for leaf, state in enumerate(given):
            if leaf >= plan.leaves:
                raise ProfileError(f"expected {count:,} frames, got more; give frames= as many as there are")
            part = Part.of(state, f"block {leaf}").at(Shard(leaf, plan.leaves))
            merger.add(part)
            done += part.profile.trusted.frames
            if progress:
                progress(done)
        if done != count:
            raise ProfileError(f"expected {count:,} frames, got {done:,}; give frames= as many as there are")
        return Monitor.merge(merger, opened)
    except BaseException:
        if opened is not network:
            opened.close()
        raise


_EMPTY = 0, 2**31
"""A worker of so many that it has no frames."""


class _NoFrames:
    """Frames of which none is read."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def batches(self, rows: range, size: int) -> Iterator[Any]:
        yield from ()


def ray_data() -> Any:
    """The module `ray.data`. Raises ImportError that says how to install it, also for one that is too old."""
    try:
        from ray import data
    except ImportError as error:
        raise ImportError(f"profiling on a cluster needs Ray Data: {install_hint('ray')}") from error
    import inspect

    if "strict" not in inspect.signature(data.Dataset.repartition).parameters:
        raise ImportError(f"profiling on a cluster needs Ray 2.54 or newer: {install_hint('ray')}")
    return data


def _connect(ray: Any) -> None:
    """Raise ConnectionError where Ray does not run and cannot be started or reached."""
    if ray.is_initialized():
        return
    try:
        ray.init(ignore_reinit_error=True, log_to_driver=False)
    except Exception as error:
        raise ConnectionError(
            f"expected a Ray cluster that can be reached, got {type(error).__name__}: {str(error).splitlines()[0]}; see"
            " that its address in RAY_ADDRESS is right, or unset it to run on this machine alone"
        ) from error


def _made(network: Any, options: dict[str, Any]) -> Network:
    """A network of what was given for one."""
    if is_network(network):
        raise TypeError(
            "expected the path of a model, or a function that makes the network in each worker, got a network, which"
            " cannot be sent to other machines"
        )
    made = network() if callable(network) and not hasattr(network, "forward") else network
    return made if is_network(made) else as_network(made, **options)


def _learned(
    ray: Any, dataset: Dataset, worker: type, arguments: tuple[Any, ...], plan: Sharding, workers: int | None,
    cpus: float, gpus: float,
) -> Iterator[bytes]:  # fmt: skip
    """What is learned of each logical shard, in their order."""
    cores = ray.cluster_resources().get("CPU", 1.0)
    count = max(1, int((cores - 1) / max(cpus, 1e-9))) if workers is None else workers
    if workers is not None and (workers < 1 or workers * cpus > cores - 0.5):
        raise ValueError(
            f"expected workers that leave a core to those that read, got {workers} of {cpus:g} cores each on"
            f" {cores:g}; give fewer workers or cpus="
        )
    dataset.context.execution_options.preserve_order = True
    blocks = dataset.repartition(target_num_rows_per_block=plan.size, strict=True)
    states = blocks.map_batches(
        worker,
        fn_constructor_args=arguments,
        batch_size=None,
        batch_format="numpy",
        concurrency=count,
        num_cpus=cpus,
        num_gpus=gpus or None,
    )
    for row in states.iter_rows():
        yield row["state"]
