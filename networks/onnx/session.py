"""ONNX Runtime, with the settings that every session of a network shares."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..network import NetworkWarning
from ..packages import install_hint
from .reading.operators import unsupported

_RENAMING = ["NchwcTransformer", "NhwcTransformer", "ReshapeFusion"]
_GRAPH_ALONE = {
    "session.disable_prepacking": "1",
    "session.optimized_model_external_initializers_file_name": "weights",
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}

_opened: WeakKeyDictionary[Any, Callable[[Any], Any]] = WeakKeyDictionary()
_of_parents: list[Any] = []


def left_by_forks(network: Any, leave: Callable[[Any], Any]) -> None:
    """Have `leave(network)` called in every child that is forked from this process; it returns its session.

    A fork has none of the threads of ONNX Runtime, so that a run of several waits for ever. To take a session apart may
    wait for them too, so it is kept.
    """
    _opened[network] = leave


def _leave_all() -> None:
    _of_parents.extend(leave(network) for network, leave in list(_opened.items()))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all)


class Runtime:
    """onnxruntime with the settings that every session of a network shares."""

    def __init__(self, providers: Sequence[str | tuple[str, dict[str, Any]]], threads: int) -> None:
        try:
            import google.protobuf  # noqa: F401 - what reads the models
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError:
            raise ImportError(f"ONNX models need onnxruntime and protobuf: {install_hint('onnx')}") from None
        self._ort = onnxruntime
        self._schemas = getattr(state, "get_all_operator_schema", list)
        own = (e for e in vars(state).values() if isinstance(e, type) and issubclass(e, Exception))
        self._errors: tuple[type[Exception], ...] = tuple(own)
        self._load_errors: tuple[type[Exception], ...] = (*self._errors, RuntimeError, ValueError, OSError)
        self._providers: list[Any] = list(providers)
        self._threads = threads
        for provider in self._providers:
            if not isinstance(provider, str) and not (
                isinstance(provider, tuple) and len(provider) == 2 and isinstance(provider[1], dict)
            ):
                raise ValueError(f"expected a provider as a name or as a name with a dict of options, got {provider!r}")
            if provider[0] == "CPUExecutionProvider" and provider[1]:  # onnxruntime would drop them without a word
                raise ValueError(f"expected no options for CPUExecutionProvider, got {', '.join(provider[1])}")
        there = onnxruntime.get_available_providers()
        missing = [name for name in self._provider_names() if name not in there]
        if missing or not self._providers:
            raise ValueError(f"expected providers among {', '.join(there)}, got {', '.join(missing) or 'none'}")
        if threads < 1:
            raise ValueError(f"expected 1 thread or more, got {threads}")

    def session(self, data: bytes, folder: Path | None, *, optimised: bool = True) -> Any:
        """A session on the bytes of a model whose weights may lie in files in a folder."""
        options = self._options(folder)
        if not optimised:
            options.log_severity_level = 4  # errors of a trial are expected
            options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            # Without the fallback, which would print, and run on the CPU what was to run elsewhere.
            session = self._ort.InferenceSession(data, options, providers=self._providers, enable_fallback=0)
        except self._load_errors as error:
            lacking = unsupported(data, str(error), self._schemas(), self._ort.__version__)
            raise ValueError(f"expected a model that ONNX Runtime can load, got: {lacking or error}") from error
        started = session.get_providers()
        failed = [name for name in self._provider_names() if name not in started]
        if failed:
            raise ValueError(f"expected provider {failed[0]} to start, got {', '.join(started)}; check its libraries")
        return session

    def optimised(self, data: bytes, folder: Path | None) -> bytes | None:
        """The graph that ONNX Runtime makes of a model, without the weights; None, and a warning, where it writes none.

        It is that of the CPU, whatever the providers: others may compile a graph and write none, and taps should not
        depend on the machine. Steps that only lay tensors out anew are left out, since they rename the tensors.
        """
        options = self._options(folder)
        options.log_severity_level = 4
        for key, value in _GRAPH_ALONE.items():
            options.add_session_config_entry(key, value)
        try:
            with TemporaryDirectory(prefix="outrider-") as scratch:
                path = Path(scratch, "optimised.onnx")
                options.optimized_model_filepath = str(path)
                with suppress(OSError):
                    Path(scratch, "weights").symlink_to(os.devnull)
                self._ort.InferenceSession(
                    data, options, providers=["CPUExecutionProvider"], enable_fallback=0, disabled_optimizers=_RENAMING
                )
                return path.read_bytes()
        except OSError as error:
            problem = f"ONNX Runtime cannot write its optimised graph ({error})"
            hint = "some taps may cost a fusion; give it a temporary folder, TMPDIR"
            warnings.warn(f"{problem}; {hint}", NetworkWarning, stacklevel=5)
            return None
        except self._load_errors:  # the session says so
            return None

    def run(self, session: Any, names: list[str], feeds: dict[str, np.ndarray]) -> list[Any]:
        """The outputs named. Raises ValueError when the model cannot be run on what it is fed."""
        try:
            return session.run(names, feeds)
        except self._errors as error:
            shapes = ", ".join(f"{name} {value.shape}" for name, value in feeds.items())
            if len(feeds) == 1:
                shapes = f"an input of shape {next(iter(feeds.values())).shape}"
            raise ValueError(f"expected a model that takes {shapes}, got: {error}") from error

    def _options(self, folder: Path | None) -> Any:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors are raised; warnings about a user's model are not ours to print
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        return options

    def _provider_names(self) -> list[str]:
        return [provider if isinstance(provider, str) else provider[0] for provider in self._providers]
