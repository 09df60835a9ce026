"""Open a language or vision-language model from a folder or a GGUF file on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from ..packages import install_hint
from .decoder import Decoder
from .importing import import_transformers

_DTYPES = ("auto", "float32", "bfloat16", "float16")


def open_decoder(
    path: str | os.PathLike[str], *, dtype: str = "float32", device: str = "cpu", system: str | None = None
) -> Decoder:
    """A decoder from a folder of transformers (safetensors, with its tokenizer or processor), or a GGUF file.

    path: the folder, a ``.gguf`` file, or a folder with one such file and no ``config.json``. Nothing is downloaded. No
    code of the folder is run. dtype: of the weights: float32, bfloat16, float16, or ``auto`` for that of the file. A
    GGUF model is dequantised. system: see `Decoder`.
    Raises FileNotFoundError for a path without a model, ValueError for one that cannot be opened, ImportError without
    transformers, or without gguf for a GGUF file.
    """
    transformers = import_transformers()
    if dtype not in _DTYPES:
        raise ValueError(f"expected a dtype among {', '.join(_DTYPES)}, got {dtype!r}")
    folder, gguf = _located(Path(path))
    _check_device(device)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if gguf:
        _require_gguf()
        options["gguf_file"] = gguf
    kind, seeing = (transformers.AutoModelForCausalLM, False) if gguf else _kind(transformers, folder)
    bars = transformers.utils.logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        reader = transformers.AutoProcessor if seeing else transformers.AutoTokenizer
        processor = reader.from_pretrained(folder, **options)
        asked = dtype if dtype == "auto" else getattr(torch, dtype)
        model = kind.from_pretrained(folder, dtype=asked, **options)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{path}: expected a model that transformers can open, got {error}") from error
    finally:
        if shown:
            bars.enable_progress_bar()
    return Decoder(_dequantised(model).to(device).eval(), processor, system=system)


def _check_device(device: str) -> None:
    """Raise ValueError for a device that is not there, before a model of gigabytes is read."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).partition("\n")[0]
        raise ValueError(f"expected a device that torch has here, got {device!r}: {said}") from None


def _located(path: Path) -> tuple[Path, str | None]:
    """The folder of a model, and the name of its GGUF file if it is one."""
    if path.is_file() and path.suffix == ".gguf":
        return path.parent, path.name
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected the folder of a model or a .gguf file, got no such thing")
    files = sorted(path.glob("*.gguf"))
    if (path / "config.json").is_file():
        return path, None
    if len(files) == 1:
        return path, files[0].name
    raise FileNotFoundError(f"{path}: expected config.json or one .gguf file, got {len(files)} .gguf files; name one")


def _kind(transformers: Any, folder: Path) -> tuple[Any, bool]:
    """The class that opens a folder, and whether its model sees pictures."""
    try:
        facts = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = facts.get("model_type")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{folder / 'config.json'}: expected the configuration of a model, got {error}") from None
    mapping = transformers.models.auto.modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    if kind in mapping:
        return transformers.AutoModelForImageTextToText, True
    return transformers.AutoModelForCausalLM, False


def _require_gguf() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("gguf", "accelerate") if find_spec(name) is None]
    if missing:
        raise ImportError(f"a GGUF file needs {' and '.join(missing)}: {install_hint('gguf')}")


def _dequantised(model: Any) -> Any:
    """A model without the marks of the GGUF file that it was read from, so that it can be saved."""
    if getattr(model.config, "quantization_config", None) is not None and not model.config.quantization_config:
        return model
    method = getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)
    if getattr(getattr(method, "quant_method", None), "value", None) == "gguf":
        model.hf_quantizer = None
        model.is_quantized = False
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
    return model
