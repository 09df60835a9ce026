"""A guarded module in a CUDA graph: one launch for all of its kernels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Captured:
    """`captured(*frames)`: what a module returns for frames of the shapes that it was captured with.

    The frames are copied to where the graph reads them, and its outputs stay where they are: they are those of the last
    call until the next. module: a `GuardedModule`, or any that waits for nothing. Runs some warm-up calls first.
    Raises ValueError for frames that are not on a CUDA device, or of another shape or dtype than the first.
    """

    def __init__(self, module: nn.Module, *frames: Tensor, warm_up: int = 3) -> None:
        if not frames or not all(frame.is_cuda for frame in frames):
            raise ValueError(f"expected frames on a CUDA device, got {[str(frame.device) for frame in frames]}")
        self.module, self.frames = module, [frame.clone() for frame in frames]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side), torch.no_grad():
            for _ in range(warm_up):
                module(*self.frames)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(self.graph):
            self.outputs = module(*self.frames)

    def __call__(self, *frames: Tensor) -> Any:
        for own, frame in zip(self.frames, frames, strict=True):
            if own.shape != frame.shape or own.dtype != frame.dtype:
                raise ValueError(
                    f"expected frames {own.dtype} {tuple(own.shape)}, as captured, got {frame.dtype}"
                    f" {tuple(frame.shape)}"
                )
            own.copy_(frame, non_blocking=True)
        self.graph.replay()
        return self.outputs
