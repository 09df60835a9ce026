"""What every demo does: say what begins, time a frame without and with the monitor, export."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

Step = Callable[[str], None]
PLAIN: dict[str, Any] = {"box": None, "pad_edge": False, "padding": (0, 3, 0, 0)}
"""How both demos lay out their tables."""
_WARM_UP = 20


@contextmanager
def told(console: Console) -> Iterator[Step]:
    """Gives what says on the console which step begins, and after how many seconds."""
    start = time.perf_counter()
    with console.status("") as status:

        def step(text: str) -> None:
            console.print(f"[dim]{time.perf_counter() - start:5.1f} s[/]  {text}")
            status.update(text)

        yield step


def times_in_turn(
    bare: Callable[[np.ndarray], Any],
    monitored: Callable[[np.ndarray], Any],
    frames: Sequence[np.ndarray] | np.ndarray,
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds per frame of both, (rounds,) each, one after the other so that both meet the same machine.

    bare: takes a batch of one frame. monitored: takes the frame.
    """
    times = np.empty((rounds + _WARM_UP, 2))
    for index in range(len(times)):
        frame = frames[index % len(frames)]
        start = time.perf_counter()
        bare(frame[None])
        middle = time.perf_counter()
        monitored(frame)
        times[index] = middle - start, time.perf_counter() - middle
    return times[_WARM_UP:, 0], times[_WARM_UP:, 1]


def export(module: Any, shape: tuple[int, ...], path: Path) -> None:
    """Write a network of PyTorch for frames of a shape as one ONNX file.

    The file keeps the names of the modules and nothing of this machine.
    """
    import onnx
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter calls parts of PyTorch that it deprecates
        program = torch.onnx.export(
            module,
            (torch.zeros(1, *shape),),
            input_names=["frame"],
            output_names=["logits"],
            dynamic_shapes={"x": {0: "batch"}},
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # noqa: S101 (for mypy: dynamo=True returns one)
    model = program.model_proto
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)
