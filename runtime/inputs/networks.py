"""A network by the text that names it: an ONNX file, one of the zoo's or torchvision's, or what a Python file makes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ... import networks as room
from ...monitor import MismatchError
from ...monitor.facts.network import NetworkFacts
from ...networks import Network, Preprocessing, onnx_fingerprint
from ...networks.adapting import as_network, with_states
from ...networks.inputs import Input
from ...networks.offers import Offer
from ...networks.onnx.offer import onnx_offer
from ...networks.onnx.proto import DTYPES, parse_model
from .joint import JointSource, takes_pixels
from .python_file import made_by
from .sources import Source


def open_network(
    network: str,
    source: Source | JointSource,
    pictures: Mapping[str, Any],
    *,
    weights: Path | None = None,
    exact: bool = False,
    states: Mapping[str, int | str] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    layouts: Iterable[tuple[str, str]] | None = None,
    **options: Any,
) -> Network:
    """Open the network for a profile of `source`; its input shape is that of the first sample.

    network: `model.onnx`, `zoo:NAME`, `torchvision:NAME` or `file.py:factory`. weights: a state dict in safetensors.
    exact: as `OnnxNetwork` takes it. states: as `as_network` takes them. shapes: of states that the model leaves
    open, by name. layouts: names with the layouts that are told.
    options: taps, neurons, classes, scores_output, scores, detections, as both network classes take them.
    pictures: fields of `Preprocessing`. The others are chosen: pictures become values in [0, 1], in the size and layout
    that an ONNX model states, or in their own size.
    Raises ValueError, FileNotFoundError or ImportError that say what was expected.
    """
    preprocessing = None
    deep = source.deep and _takes_floats(network)
    if pictures or not source.ready or deep:
        preprocessing = Preprocessing.from_dict(
            {**picture_defaults(network, source, pictures, states or ()), **pictures}
        )
    options |= {"preprocessing": preprocessing, **_told(layouts)}
    if states is not None and not is_onnx(network):
        raise ValueError(
            f"{network}: expected an ONNX model with states, got a module, which does not say their shapes; use"
            " outrider.networks.Recurrent in Python"
        )
    if isinstance(source, JointSource) or states is not None:
        takers = _declared(network) if is_onnx(network) else {}
        options["input_shape"] = {**_shapes(source, preprocessing, takers, states or {}), **(shapes or {})}
    else:
        stored = source.raw if source.ready and not deep else None
        sample = source.sample(source.first(), preprocessing) if stored is None else stored(source.first())
        options["input_shape"] = sample.shape
    if is_onnx(network):
        return with_states(_onnx_network(network, exact=exact, **options), states)
    return with_states(room.TorchNetwork(_module(network, weights), **options), states)


def inputs_of(network: str, weights: Path | None = None, states: Mapping[str, int | str] | None = None) -> list[str]:
    """The names of what a network takes with every frame, without states; none where there is one for sure.

    Of a module they are those of its forward method's parameters that have no default. Raises ValueError for states
    that are no inputs.
    """
    if is_onnx(network):
        names = list(_declared(network))
    elif network.rpartition(":")[0].endswith(".py"):
        taken = inspect.signature(_module(network, weights).forward).parameters.values()
        names = [one.name for one in taken if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    else:
        names = []
    if strange := [name for name in states or {} if names and name not in names]:
        raise ValueError(f"{network}: expected states among the inputs {', '.join(names)}, got {', '.join(strange)}")
    return [name for name in names if name not in (states or {})]


def _takes_floats(network: str) -> bool:
    """Whether a network with one input takes floats; a module is taken for one."""
    declared = list(_declared(network).values()) if is_onnx(network) else []
    return all(np.dtype(one.dtype).kind == "f" for one in declared)


def _declared(network: str) -> dict[str, Input]:
    """What an ONNX model says that it takes, by name, without constants."""
    graph = parse_model(onnx_file(network).read_bytes()).graph
    constants = {tensor.name for tensor in graph.initializer}
    found = {}
    for value in graph.input:
        if value.name not in constants:
            kind = value.type.tensor_type
            sizes = tuple(dim.dim_value or None for dim in kind.shape.dim)
            found[value.name] = Input(value.name, sizes[1:], DTYPES.get(kind.elem_type, "float32"))
    return found


def _shapes(
    source: Source | JointSource,
    preprocessing: Preprocessing | None,
    takers: Mapping[str, Input],
    states: Mapping[str, int | str],
) -> dict[str, tuple[int, ...]]:
    """The shape of each input that the first frame of a source tells."""
    if isinstance(source, JointSource):
        frame = source.sample(source.first(), preprocessing, list(takers.values()))
        return {name: sample.shape for name, sample in frame.items()}
    names = [name for name in takers if name not in states]
    if len(names) != 1:
        raise ValueError(f"expected one input beside the states, got {', '.join(names) or 'none that is known'}")
    return {names[0]: source.sample(source.first(), preprocessing, takers[names[0]]).shape}


def reopen_network(
    network: str | None, profile: Path, facts: NetworkFacts, weights: Path | None = None, detections: Any = None, *,
    threads: int = 1,
) -> Network:  # fmt: skip
    """Open the network of a profile, tapped as the profile says.

    Where `network` is None, it is the .onnx file beside the profile or in the working folder whose SHA-256 the profile
    holds: a profile cannot name a program to run. detections: the decoder, where it is a callable, which no profile
    holds. threads: of an ONNX model. Raises ValueError where there is none, MismatchError for another.
    """
    told = {} if detections is None else {"detections": detections}
    if network is None:
        network = str(_onnx_of(profile, facts.fingerprint))
    elif facts.engine in ("onnx", "torch") and is_onnx(network) != (facts.engine == "onnx"):
        raise _another(profile, f"engine: expected {facts.engine}, got {network}")
    if is_onnx(network):
        # asked first: what follows opens it in a way that only fits the right model
        if facts.engine == "onnx" and Path(network).is_file():
            refuse_another_model(profile, facts, onnx_fingerprint(network), network)
        options = facts.options() | told
        states = options.pop("states", None)
        return with_states(_onnx_network(network, threads=threads, **options), states)
    module = _module(network, weights)
    try:
        return as_network(module, **(facts.options() | told))
    except ValueError as error:
        raise _another(profile, f"{network}: {error}") from error


def picture_defaults(
    spec: str, source: Source | JointSource, pictures: Mapping[str, Any], states: Iterable[str] = ()
) -> dict[str, Any]:
    """Fields of `Preprocessing` that fit the model or, where it says nothing, the first picture.

    An input of integers takes the values of pixels as they are. states: inputs that take no pictures.
    """
    found: dict[str, Any] = {}
    if is_onnx(spec):
        takers = {name: one for name, one in _declared(spec).items() if name not in set(states)}
        try:
            if isinstance(source, JointSource):
                return _fitting_one(takers, source, "size" in pictures)
            alone = next(iter(takers.values())) if len(takers) == 1 else None
            found = {} if alone is None or np.dtype(alone.dtype).kind == "f" else {"scale": 1.0}
            if alone is not None and ("size" in pictures or None not in alone.shape) and _channels(alone.shape):
                return found | _fitting(alone.shape, "size" in pictures)
            if "size" not in pictures:
                with closing(_onnx_network(spec)) as network:
                    return found | _fitting(network.input_shape)
        except ValueError as error:
            raise ValueError(f"{spec}: {error}") from error
    if source.ready and not source.deep:
        return found
    return found if len(source.picture(source.first())) == 3 else {**found, "order": "L"}


def _fitting_one(takers: Mapping[str, Input], source: JointSource, sized: bool) -> dict[str, Any]:
    """Fields that fit the inputs that take pictures, as floats or, where none does, as the values of pixels.

    Raises ValueError where two need other ones.
    """
    shown = [takers[name] for name, part in source.parts.items() if not part.ready]
    floats = [one for one in shown if np.dtype(one.dtype).kind == "f"]
    pixels = [one for one in shown if takes_pixels(one)]
    fields = [_fitting(one.shape, sized) for one in floats]
    fields = fields or [{"scale": 1.0, **_fitting(one.shape, sized or None in one.shape)} for one in pixels]
    if any(one != fields[0] for one in fields):
        raise ValueError(
            f"expected inputs that take pictures alike, got {', '.join(one.name for one in floats or pixels)} of other"
            " sizes or channels; give all but one of them as .npy files of floats"
        )
    return fields[0] if fields else {}


def _channels(shape: tuple[int | None, ...]) -> dict[str, Any]:
    """Layout and order of what takes pictures of 1 or 3 channels; nothing where the shape does not say so."""
    for layout, channels in (("NCHW", shape[0]), ("NHWC", shape[-1])) if len(shape) == 3 else ():
        if channels in (1, 3):
            return {"layout": layout, "order": "L" if channels == 1 else "RGB"}
    return {}


def _fitting(shape: tuple[int | None, ...], sized: bool = False) -> dict[str, Any]:
    """Layout, order and size of what takes pictures; without the size where that is told. Raises ValueError."""
    told = _channels(shape)
    if told and sized:
        return told
    if told and None not in shape:
        return {"size": shape[1:] if told["layout"] == "NCHW" else shape[:2], **told}
    raise ValueError(
        f"expected a network that takes pictures of 1 or 3 channels and says their size, got input shape {shape};"
        " size= says what pictures are resized to"
    )


def is_onnx(spec: str) -> bool:
    """Whether the text names an ONNX file."""
    return spec.endswith(".onnx")


def is_torch(spec: str) -> bool:
    """Whether the text names a PyTorch module."""
    kind, colon, _ = spec.rpartition(":")
    return bool(colon) and (kind in ("zoo", "torchvision") or kind.endswith(".py"))


def _told(layouts: Iterable[tuple[str, str]] | None) -> dict[str, Any]:
    return {} if layouts is None else {"layouts": dict(layouts)}


def offer_of(
    network: str,
    input_shape: Any = None,
    weights: Path | None = None,
    layouts: Iterable[tuple[str, str]] | None = None,
) -> Offer:
    """The tensors of a network that can be tapped. input_shape: of one sample, which an ONNX model states itself.

    Of several inputs a mapping by name. layouts: names with the layouts that are told.
    """
    if is_onnx(network):
        return onnx_offer(onnx_file(network), input_shape, **_told(layouts))
    if input_shape is None:
        raise ValueError(f"{network}: expected input_shape=, as a PyTorch module does not say what it takes")
    from ...networks.pytorch.offer import torch_offer

    return torch_offer(_module(network, weights), input_shape, **_told(layouts))


def _onnx_of(profile: Path, fingerprint: str) -> Path:
    for folder in dict.fromkeys((profile.parent.resolve(), Path.cwd())):
        for path in sorted(folder.glob("*.onnx")):
            try:
                if onnx_fingerprint(path) == fingerprint:
                    return path
            except (ValueError, OSError):  # no model, or one without its weights: not the one that is sought
                continue
    raise ValueError(
        f"{profile}: expected its network beside it, got no .onnx file of SHA-256 {fingerprint[:12]}…;"
        " name it with network="
    )


def refuse_another_model(
    profile: str | os.PathLike[str], facts: NetworkFacts, fingerprint: str, model: str | os.PathLike[str]
) -> None:
    """Raise MismatchError unless the fingerprint is that of the model that the profile was learned from."""
    if fingerprint != facts.fingerprint:
        raise _another(profile, f"SHA-256: expected {facts.fingerprint[:12]}…, got {fingerprint[:12]}… of {model}")


def _another(profile: str | os.PathLike[str], difference: str) -> MismatchError:
    return MismatchError(
        f"{profile}: expected the network it was learned from, got another:\n  {difference};"
        " `outrider.monitor.transfer` carries it over where the two agree"
    )


def _onnx_network(spec: str, **options: Any) -> Network:
    return room.OnnxNetwork(onnx_file(spec), **options)


def onnx_file(spec: str | os.PathLike[str]) -> Path:
    """The path of an ONNX file. Raises FileNotFoundError where there is none."""
    path = Path(spec)
    if not path.is_file():
        raise FileNotFoundError(f"{spec}: expected an ONNX model, got no such file")
    return path


def _module(spec: str, weights: Path | None) -> Any:
    """The PyTorch module, in eval mode."""
    kind, _, name = spec.rpartition(":")
    if weights is not None:
        _refuse_other_weights(weights)
    if kind == "zoo":
        return room.trained(name)
    if kind == "torchvision":
        return room.torchvision_classifier(name, None if weights is None else str(weights))
    if kind.endswith(".py"):
        return _made(Path(kind), name, weights)
    raise ValueError(f"expected a network as model.onnx, zoo:NAME, torchvision:NAME or file.py:factory, got {spec!r}")


def _refuse_other_weights(path: Path) -> None:
    """Raise FileNotFoundError or ValueError unless it is a safetensors file."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a .safetensors file, got no such file")
    try:
        with safe_open(path, framework="numpy"):
            pass
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path}: expected a .safetensors file, got another or a damaged one ({error}); pickled weights are never"
            " loaded: save them with safetensors.torch.save_file"
        ) from None


def _made(path: Path, factory: str, weights: Path | None) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a Python file, got no such file")
    try:
        module = made_by(path, factory)
    except Exception as error:
        raise ValueError(f"{path}:{factory} raised {type(error).__name__}: {error}") from error
    from ...networks.pytorch.refusals import refuse_other_programs

    try:
        refuse_other_programs(module)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}:{factory}: {error}") from None
    if weights is not None:
        from safetensors.torch import load_file

        try:
            module.load_state_dict(load_file(weights))
        except RuntimeError as error:
            raise ValueError(f"{weights}: expected the weights of {path}:{factory}, got {error}") from None
    return module.eval()
