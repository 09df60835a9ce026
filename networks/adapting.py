"""What a user has in hand as a network: a network, the path of an ONNX model, a PyTorch module."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any, cast

from .network import Network
from .recurrent.network import Recurrent

_NAMES = [name for name in {**Network.__annotations__, **vars(Network)} if not name.startswith("_")]
_NEEDED = "taps", "classes", "input_shape", "engine", "fingerprint", "observe", "run", "close"


def as_network(thing: Any, *, states: Mapping[str, int | str] | None = None, **options: Any) -> Network:
    """A network as it is; the path or the bytes of an ONNX model as an `OnnxNetwork`, a module as a `TorchNetwork`.

    options: as these two take them, for what is no network yet. states: {input: output} of what the model carries from
    frame to frame; it is then a `Recurrent` one. Raises TypeError for anything else and for options to a
    network, and what the two classes raise.
    """
    if isinstance(thing, (str, bytes, os.PathLike)):
        from .onnx.network import OnnxNetwork

        return with_states(OnnxNetwork(thing, **options), states)
    torch = sys.modules.get("torch")
    programs = () if torch is None else (torch.nn.Module, torch.export.ExportedProgram, torch.jit.ScriptFunction)
    if isinstance(thing, programs):  # TorchNetwork says what to give instead of those that are no modules
        from .pytorch.network import TorchNetwork

        return with_states(TorchNetwork(thing, **options), states)
    if states is not None:
        options["states"] = states
    missing = missing_names(thing)
    if missing and all(hasattr(thing, name) for name in _NEEDED):
        warnings.warn(
            f"{type(thing).__name__} should inherit from outrider.networks.Network, which has {', '.join(missing)};"
            " the next release refuses it",
            DeprecationWarning,
            stacklevel=3,
        )
        return _OfBefore(thing)  # type: ignore[abstract]
    if missing:
        got = type(thing).__name__
        raise TypeError(
            f"expected a Network, the path of an ONNX model or a PyTorch module, got {got} without"
            f" {', '.join(missing[:3])}; an adapter of your own inherits from outrider.networks.Network"
        )
    if options:
        raise TypeError(f"expected {', '.join(options)} for a model, got it for a network that is there already")
    return cast(Network, thing)


def with_states(network: Network, states: Mapping[str, int | str] | None) -> Network:
    """The network, or where it has states the `Recurrent` one of it. Raises what `Recurrent` raises, and closes it."""
    if states is None:
        return network
    try:
        return Recurrent(network, states)
    except BaseException:
        network.close()
        raise


class _OfBefore(Network):
    """An adapter from before the protocol had all its names, with the defaults for those that it lacks."""

    def __init__(self, thing: Any) -> None:
        for name in set(_NAMES).difference(missing_names(thing)):
            setattr(self, name, getattr(thing, name))


def is_network(thing: Any) -> bool:
    """Whether a thing has all that the `Network` protocol names."""
    return not missing_names(thing)


def missing_names(thing: Any) -> list[str]:
    own = dir(thing)  # asking for an attribute may run a property
    return [name for name in _NAMES if name not in own and not hasattr(thing, name)]
