"""LoRA adapters of peft: put on, merged, and loaded onto the weights that they were trained on."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..packages import install_hint
from ..transformers.importing import import_transformers
from .record import TrainingError
from .weights import BASE, base_digest

PROJECTIONS = (
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "qkv_proj", "gate_up_proj", "out_proj",
    "fc1", "fc2", "c_attn", "c_proj", "c_fc", "query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h",
)  # fmt: skip
"""What the projections of a layer are called: Llama's kind first, then CLIP's, GPT-2's, Falcon's and GPT-NeoX's."""
_SIGHT = "vision", "visual", "image", "multi_modal", "connector"


def with_adapters(
    model: Any, rank: int = 16, *, alpha: float | None = None, dropout: float = 0.0,
    targets: Sequence[str] | None = None, seed: int = 0,
) -> Any:  # fmt: skip
    """A model with LoRA adapters, which alone have a gradient; the weights below them are those of `model` itself.

    alpha: their scale times the rank, twice the rank without it. targets: the last names of the layers that get one,
    such as ``q_proj``; without them all projections of the layers, and of a model that reads pictures only those of its
    language. seed: of their first values; they change nothing before training.
    Raises ValueError for targets that are not there or no linear layers, and ImportError without peft.
    """
    peft = _peft()
    if rank < 1:
        raise ValueError(f"expected a rank of at least 1, got {rank}")
    if not 0 <= dropout < 1:
        raise ValueError(f"expected a dropout from 0 to below 1, got {dropout}")
    if hasattr(model, "peft_config"):
        raise ValueError("expected a model without adapters, got one with; merge them first")
    names = _targets(model, targets)
    transposed = {name for name, module in model.named_modules() if type(module).__name__ == "Conv1D"}
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank if alpha is None else alpha, lora_dropout=dropout, target_modules=names,
        fan_in_fan_out=bool(transposed & set(names)),
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), _old_names():
        torch.manual_seed(seed)
        return peft.get_peft_model(model, config)


def merged(model: Any) -> Any:
    """The model below the adapters, with what they add in its weights."""
    if not hasattr(model, "merge_and_unload"):
        raise ValueError(f"expected a model with adapters, got {type(model).__name__}")
    return model.merge_and_unload()


def load_adapters(model: Any, folder: str | os.PathLike[str], *, trainable: bool = False, check: bool = True) -> Any:
    """A model with the adapters that lie in a folder.

    check: whether they must have been trained on these very weights, by the fingerprint beside them.
    Raises FileNotFoundError for a folder without adapters, TrainingError for those of other weights.
    """
    peft, folder = _peft(), Path(folder)
    if not (folder / "adapter_config.json").is_file():
        raise FileNotFoundError(f"{folder}: expected a folder of adapters, got one without adapter_config.json")
    if check:
        _check_base(model, folder)
    try:
        with _old_names():
            return peft.PeftModel.from_pretrained(model, str(folder), is_trainable=trainable, local_files_only=True)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        said = str(error).partition("\n")[0]
        raise TrainingError(f"{folder}: expected adapters that fit {type(model).__name__}, got: {said}") from None


def _check_base(model: Any, folder: Path) -> None:
    path = folder / BASE
    try:
        wanted = json.loads(path.read_text(encoding="utf-8"))["weights"]
    except FileNotFoundError:
        raise TrainingError(
            f"{folder}: expected {BASE} beside the adapters, which says what weights they belong to, got none; if you"
            " know that they belong to these, load them unchecked"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise TrainingError(f"{path}: expected the fingerprint of weights, got something else") from None
    found = base_digest(model)
    if found != wanted:
        raise TrainingError(
            f"{folder}: expected the weights that the adapters were trained on ({str(wanted)[:12]}…), got others"
            f" ({found[:12]}…); open that model, in the dtype of then"
        )


def _targets(model: nn.Module, targets: Sequence[str] | None) -> list[str]:
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) or _is_conv1d(module)]
    wanted = PROJECTIONS if targets is None else tuple(targets)
    found = [name for name in linear if name.rpartition(".")[2] in wanted]
    last = {name.rpartition(".")[2] for name in linear}
    missing = [] if targets is None else [name for name in targets if name not in last]
    if missing or not found:
        got = ", ".join(missing) if missing else "none of the usual names"
        raise ValueError(
            f"expected targets among the linear layers {', '.join(sorted(last)) or '(there are none)'}, got {got}"
        )
    speaks: Any = getattr(model, "get_output_embeddings", lambda: None)()
    if targets is None and speaks is not None:
        language = [name for name in found if not any(word in name for word in _SIGHT)]
        found = language or found
    return found


def _is_conv1d(module: nn.Module) -> bool:
    return type(module).__name__ == "Conv1D" and type(module).__module__.startswith("transformers")


@contextmanager
def _old_names() -> Iterator[None]:
    """In its block, transformers does not warn that peft asks for what is renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*is deprecated", FutureWarning)
        yield


def _peft() -> Any:
    import_transformers()
    try:
        import peft
    except ImportError:
        raise ImportError(f"adapters need peft: {install_hint('lab')}") from None
    return peft
