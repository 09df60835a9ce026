"""A network as a source of activations: adapters for PyTorch and ONNX Runtime, and data and networks to try them on.

Names are loaded when they are first used, so that neither torch nor onnxruntime is imported needlessly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .packages import install_hint

if TYPE_CHECKING:
    from .binding import Binding, BoundTap, UnboundTap, bind, random_frames
    from .conformance.rules import check_network
    from .detections.decoder import ArrayDecoder, BoxDecoder, as_decoder, make_decoder
    from .detections.found import Detections
    from .inputs import Input
    from .network import Network, NetworkWarning, Observation
    from .onnx.files import onnx_fingerprint
    from .onnx.network import OnnxNetwork
    from .pictures.given import picture_of
    from .pictures.reading import decode_picture, read_picture
    from .preprocessing import Preprocessing
    from .pytorch.network import TorchNetwork
    from .pytorch.torchvision_import import import_torchvision
    from .recurrent.network import Recurrent
    from .scores import probabilities
    from .selectors import DEFAULT_TAPS
    from .tap import Tap, Taps
    from .transformers.network import TransformerNetwork
    from .zoo.adversarial import fit_robust
    from .zoo.classifiers import LeNet, SmallResNet, torchvision_classifier, trained, trained_names, untrained
    from .zoo.datasets import ImageSet, cache_folder, dataset_names, load_dataset, read_idx, read_image
    from .zoo.steering import drive_model
    from .zoo.train import HELD_OUT, fit

__all__ = [
    "DEFAULT_TAPS", "HELD_OUT", "ArrayDecoder", "Binding", "BoundTap", "BoxDecoder", "Detections", "ImageSet", "Input",
    "LeNet", "Network", "NetworkWarning", "Observation", "OnnxNetwork", "Preprocessing", "Recurrent", "SmallResNet",
    "Tap", "Taps", "TorchNetwork", "TransformerNetwork", "UnboundTap", "as_decoder", "bind", "cache_folder",
    "check_network", "dataset_names", "decode_picture", "drive_model", "fit", "fit_robust", "import_torchvision",
    "load_dataset", "make_decoder", "onnx_fingerprint", "picture_of", "probabilities", "random_frames", "read_idx",
    "read_image", "read_picture", "torchvision_classifier", "trained", "trained_names", "untrained",
]  # fmt: skip

_MODULES = {
    "pytorch.torchvision_import": ("import_torchvision",),
    "conformance.rules": ("check_network",),
    "binding": ("Binding", "BoundTap", "UnboundTap", "bind", "random_frames"),
    "zoo.datasets": ("ImageSet", "cache_folder", "dataset_names", "load_dataset", "read_idx", "read_image"),
    "network": ("Network", "NetworkWarning", "Observation"),
    "detections.decoder": ("ArrayDecoder", "BoxDecoder", "as_decoder", "make_decoder"),
    "detections.found": ("Detections",),
    "inputs": ("Input",),
    "onnx.files": ("onnx_fingerprint",),
    "onnx.network": ("OnnxNetwork",),
    "pictures.given": ("picture_of",),
    "pictures.reading": ("decode_picture", "read_picture"),
    "preprocessing": ("Preprocessing",),
    "recurrent.network": ("Recurrent",),
    "scores": ("probabilities",),
    "selectors": ("DEFAULT_TAPS",),
    "tap": ("Tap", "Taps"),
    "transformers.network": ("TransformerNetwork",),
    "pytorch.network": ("TorchNetwork",),
    "zoo.steering": ("drive_model",),
    "zoo.adversarial": ("fit_robust",),
    "zoo.train": ("HELD_OUT", "fit"),
    "zoo.classifiers": ("LeNet", "SmallResNet", "torchvision_classifier", "trained", "trained_names", "untrained"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"{name} needs PyTorch: {install_hint('torch')}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
