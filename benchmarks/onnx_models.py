"""ONNX models of many makes, for the benchmarks: `python -m benchmarks.onnx_models [GLOB]` makes them.

Each is made once, into ~/.cache/outrider/benchmarks/onnx/NAME/model.onnx. Networks without trained weights have random
ones and batch norms that have seen photographs, so that their activations are of an ordinary size.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from outrider.networks import Preprocessing, cache_folder

MODELS_FOLDER = cache_folder() / "benchmarks" / "onnx"
IMAGENET = Preprocessing((224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
OPSET = 17
TABLE = (1 << 19) + (1 << 15), 1024  # rows and width of the codebook that makes a model larger than 2 GB: 2.3 GB


@dataclass(frozen=True)
class Model:
    """How a model is made and fed.

    build: writes the model, and what lies beside it, at a path. dtype: what the network computes in. needs: a set of
    `make data`. other_size: (height, width) that a model of any size is run on as well. batch: the sizes it is run on.
    options: of `OnnxNetwork`.
    """

    name: str
    exporter: str
    dtype: str
    build: Callable[[Path], None]
    preprocessing: Preprocessing = IMAGENET
    needs: str | None = None
    other_size: tuple[int, int] | None = None
    batch: tuple[int, ...] = (1,)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return MODELS_FOLDER / self.name / "model.onnx"


def made(model: Model) -> Path:
    """The path of the model, made now if it is not there yet. Raises whatever its exporter raises."""
    if not model.path.exists():
        MODELS_FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{model.name}-", dir=MODELS_FOLDER) as scratch:
            folder = Path(scratch) / "made"
            folder.mkdir()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the exporters' own deprecations
                model.build(folder / "model.onnx")
            shutil.rmtree(model.path.parent, ignore_errors=True)
            folder.rename(model.path.parent)
    return model.path


def photographs(count: int, preprocessing: Preprocessing, seed: int = 0) -> np.ndarray:
    """Crops of scikit-learn's two photographs as a network takes them: (count, *sample shape) float32."""
    from sklearn.datasets import load_sample_images

    rng = np.random.default_rng(seed)
    pictures = load_sample_images().images
    samples = []
    for i in range(count):
        picture = pictures[i % len(pictures)]
        side = int(rng.integers(200, min(picture.shape[:2]) + 1))
        top, left = (int(rng.integers(0, size - side + 1)) for size in picture.shape[:2])
        samples.append(preprocessing(picture[top : top + side, left : left + side].transpose(2, 0, 1)))
    return np.stack(samples)


# Networks.


def torchvision_network(name: str) -> Any:
    """A torchvision classifier of 1,000 classes with random weights."""
    import torch

    from outrider.networks import torchvision_classifier

    torch.manual_seed(0)
    return _settled(torchvision_classifier(name))


def vision_transformer() -> Any:
    """The size of ViT-S/16: 12 layers of 384 and 6 heads; torchvision has the class but not this size."""
    import torch

    from outrider.networks import import_torchvision

    torch.manual_seed(0)
    module = import_torchvision().models.VisionTransformer(224, 16, 12, 6, 384, 1536)
    torch.nn.init.trunc_normal_(module.heads.head.weight, std=0.02)  # torchvision's start is zero: one score for all
    return module.eval()


def trained_mobilenet() -> Any:
    """torchvision's MobileNetV2 with its ImageNet weights."""
    import torch

    from outrider.networks import torchvision_classifier

    module = torchvision_classifier("mobilenet_v2")
    file = fetched("mobilenet-v2", "mobilenet_v2-b0353104.pth")
    # A state dict in torch's old format. `make data` checks its archive's SHA-256; this reader takes tensors only.
    module.load_state_dict(torch.load(file, weights_only=True))  # noqa: TID251
    return module


def _settled(module: Any) -> Any:
    """The module in eval mode, its batch norms fitted to a few photographs."""
    import torch

    norms = [m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # a plain mean over what it sees
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        module(torch.from_numpy(photographs(16, IMAGENET)))
    return module.eval()


def same_as(name: str, path: Path) -> None:
    """Another row's model."""
    shutil.copy(made(MODELS[name]), path)


def fetched(name: str, file: str) -> Path:
    """A file that `make data` fetches. Raises FileNotFoundError where it did not."""
    path = cache_folder() / name / file
    if not path.exists():
        raise FileNotFoundError("not fetched: make data")
    return path


# Ways to write a model.


def torchscript(
    network: Callable[[], Any], path: Path, *, opset: int = OPSET, open_axes: Mapping[int, str] | None = None,
    half: bool = False,
) -> None:  # fmt: skip
    import torch

    module, example = network(), torch.zeros(1, 3, 224, 224)
    if half:
        module, example = module.half(), example.half()
    axes = {"x": dict(open_axes)} if open_axes else None
    torch.onnx.export(
        module, (example,), str(path), dynamo=False, opset_version=opset, input_names=["x"], dynamic_axes=axes
    )


def dynamo(
    network: Callable[[], Any], path: Path, *, opset: int | None = None, external: bool = False,
    open_axes: Mapping[int, str] | None = None, half: bool = False,
) -> None:  # fmt: skip
    import torch

    batch = 2 if open_axes else 1  # torch.export takes a size of 1 for fixed
    module, example = network(), torch.zeros(batch, 3, 224, 224)
    if half:
        module, example = module.half(), example.half()
    shapes = (dict.fromkeys(open_axes, torch.export.Dim.DYNAMIC),) if open_axes else None
    torch.onnx.export(
        module, (example,), str(path), dynamo=True, opset_version=opset, external_data=external, input_names=["x"],
        dynamic_shapes=shapes, verbose=False,
    )  # fmt: skip
    written = opset_of(path)
    if opset not in (None, written):
        raise ValueError(f"asked for opset {opset}, the exporter wrote {written}")


def opset_of(path: Path) -> int:
    import onnx

    model = onnx.load(path, load_external_data=False)
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def float16(base: str, path: Path, *, keep_io: bool = False) -> None:
    """A float32 model converted by onnxruntime's tool."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(made(MODELS[base])), keep_io_types=keep_io), path)


def int8(base: str, path: Path, *, form: str = "QDQ") -> None:
    """A float32 model quantised by onnxruntime's tool, calibrated on photographs: uint8 activations, int8 weights."""
    from onnxruntime import quantization

    class Photographs(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            frames = photographs(16, MODELS[base].preprocessing)
            self.feeds: Iterator[dict[str, np.ndarray]] = iter([{"x": frame[None]} for frame in frames])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.feeds, None)

    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quantization.quant_pre_process(made(MODELS[base]), prepared)
        quantization.quantize_static(
            prepared, path, Photographs(), quant_format=quantization.QuantFormat[form], per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip


def int8_weights(base: str, path: Path) -> None:
    """Dynamic quantisation: int8 weights of dense layers, activations quantised as they come."""
    from onnxruntime import quantization

    quantization.quantize_dynamic(made(MODELS[base]), path)


def copied(name: str, file: str, path: Path) -> None:
    shutil.copyfile(fetched(name, file), path)


def beyond_2_gb(path: Path) -> None:
    """A small classifier that looks up a row of a 2.3 GB codebook, which is a sparse file: zeros take no room."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    rows, width = TABLE

    def weights(name: str, *shape: int) -> Any:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        return numpy_helper.from_array((rng.standard_normal(shape) * scale).astype(np.float32), name)

    table = TensorProto(
        name="codebook", data_type=TensorProto.FLOAT, dims=[rows, width], data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", "codebook.bin"), ("offset", "0"), ("length", str(rows * width * 4))):
        table.external_data.add(key=key, value=value)
    with (path.parent / "codebook.bin").open("wb") as file:
        file.truncate(rows * width * 4)
    layers = ((32, 3), (64, 32), (128, 64))
    nodes, before = [], "x"
    for i in range(len(layers)):
        nodes += [
            helper.make_node("Conv", [before, f"w{i}"], [f"conv{i}"], pads=[1] * 4, strides=[2, 2]),
            helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]),
        ]
        before = f"relu{i}"
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("ArgMax", ["flat"], ["word"], axis=1, keepdims=0),
        helper.make_node("Gather", ["codebook", "word"], ["looked_up"], axis=0),
        helper.make_node("Gemm", ["flat", "wide"], ["widened"], transB=1),
        helper.make_node("Add", ["widened", "looked_up"], ["joined"]),
        helper.make_node("Relu", ["joined"], ["relu_joined"]),
        helper.make_node("Gemm", ["relu_joined", "head"], ["scores"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "beyond_2_gb",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 100])],
        [table, *(weights(f"w{i}", *shape, 3, 3) for i, shape in enumerate(layers)), weights("wide", width, 128),
         weights("head", 100, width)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(path))


# The rows.


def _models() -> Iterator[Model]:
    resnet = partial(torchvision_network, "resnet18")
    for opset in (11, 17, 20):
        yield Model(
            f"resnet18-torchscript-{opset}", "torchscript", "float32", partial(torchscript, resnet, opset=opset)
        )
    for opset in (11, 17, 18, 20, 23):
        yield Model(f"resnet18-dynamo-{opset}", "dynamo", "float32", partial(dynamo, resnet, opset=opset))
    base = "resnet18-torchscript-17"
    yield Model("resnet18-float16", "torchscript, converted", "float16", partial(float16, base))
    yield Model("resnet18-float16-io32", "torchscript, converted", "float16", partial(float16, base, keep_io=True))
    yield Model("resnet18-float16-torchscript", "torchscript", "float16", partial(torchscript, resnet, half=True))
    yield Model("resnet18-float16-dynamo", "dynamo", "float16", partial(dynamo, resnet, half=True))
    yield Model("resnet18-int8-qdq", "onnxruntime", "int8 QDQ", partial(int8, base))
    yield Model("resnet18-int8-qoperator", "onnxruntime", "int8 QOperator", partial(int8, base, form="QOperator"))
    yield Model("resnet18-external", "dynamo", "float32", partial(dynamo, resnet, external=True))
    batch, sizes = {0: "batch"}, {0: "batch", 2: "height", 3: "width"}
    for exporter, write in (("torchscript", torchscript), ("dynamo", dynamo)):
        open_batch, open_size = (partial(write, resnet, open_axes=axes) for axes in (batch, sizes))
        yield Model(f"resnet18-batch-{exporter}", exporter, "float32", open_batch, batch=(1, 3))
        yield Model(
            f"resnet18-size-{exporter}", exporter, "float32", open_size, batch=(1, 3), other_size=(192, 256)
        )  # fmt: skip
    for name in ("mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny"):
        network = partial(torchvision_network, name)
        yield Model(f"{name}-torchscript", "torchscript", "float32", partial(torchscript, network))
        yield Model(f"{name}-dynamo", "dynamo", "float32", partial(dynamo, network))
    yield Model("vit_s_16-torchscript", "torchscript", "float32", partial(torchscript, vision_transformer))
    yield Model("vit_s_16-dynamo", "dynamo", "float32", partial(dynamo, vision_transformer))
    yield Model("vit_s_16-float16", "torchscript, converted", "float16", partial(float16, "vit_s_16-torchscript"))
    yield Model("vit_s_16-int8-dynamic", "onnxruntime", "int8 dynamic", partial(int8_weights, "vit_s_16-torchscript"))
    needs = "mobilenet-v2"
    base = "mobilenet_v2-torchscript"
    yield Model(base, "torchscript", "float32", partial(torchscript, trained_mobilenet), needs=needs)
    few, thin = {"taps": "stages"}, {"neurons": "sample7"}
    for name in (base, "mobilenet_v3_small-torchscript", "mobilenet_v3_large-torchscript"):
        for choice, options in (("stages", few), ("sample7", thin)):
            yield Model(
                name.replace("torchscript", choice), "torchscript", "float32", partial(same_as, name),
                needs=needs if name == base else None, options=options,
            )  # fmt: skip
    for name in ("mobilenet_v3_small-dynamo", "mobilenet_v3_large-dynamo"):
        yield Model(f"{name}-sample7", "dynamo", "float32", partial(same_as, name), options=thin)
    yield Model("mobilenet_v2-dynamo", "dynamo", "float32", partial(dynamo, trained_mobilenet), needs=needs)
    yield Model("mobilenet_v2-int8-qdq", "onnxruntime", "int8 QDQ", partial(int8, base), needs=needs)
    again = partial(same_as, "mobilenet_v2-int8-qdq")
    yield Model("mobilenet_v2-int8-qdq-sample7", "onnxruntime", "int8 QDQ", again, needs=needs, options=thin)
    build = partial(int8, base, form="QOperator")
    yield Model("mobilenet_v2-int8-qoperator", "onnxruntime", "int8 QOperator", build, needs=needs)
    nsfw = Model(
        "open-nsfw", "tf2onnx 1.8", "float32", partial(copied, "open-nsfw", "open-nsfw.onnx"),
        Preprocessing((224, 224), 1.0, (104.0, 117.0, 123.0), layout="NHWC", order="BGR"), needs="open-nsfw",
    )  # fmt: skip
    u2netp = Model(
        "u2netp", "torchscript", "float32", partial(copied, "u2netp", "u2netp.onnx"),
        Preprocessing((320, 320), mean=IMAGENET.mean, std=IMAGENET.std), needs="u2netp",
    )  # fmt: skip
    for whole in (nsfw, u2netp):
        yield from (whole, replace(whole, name=f"{whole.name}-stages", options=few))
    yield Model("beyond-2-gb", "by hand", "float32", beyond_2_gb)


MODELS = {model.name: model for model in _models()}


def chosen(pattern: str) -> list[Model]:
    """The models whose name fits a glob. Raises ValueError where none does."""
    found = [model for name, model in MODELS.items() if fnmatchcase(name, pattern)]
    if not found:
        raise ValueError(f"expected a glob over {', '.join(MODELS)}, got {pattern!r}")
    return found


def main() -> int:
    """Make the models and print where they are; status 1 if one of them could not be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="?", default="*", metavar="GLOB", help="over their names; default: all")
    parser.add_argument("--list", action="store_true", help="print the names and make nothing")
    options = parser.parse_args()
    status = 0
    for model in chosen(options.models):
        if options.list:
            print(model.name)
            continue
        try:
            print(f"{model.name}: {made(model)}", flush=True)
        except Exception as error:
            print(f"{model.name}: {type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
