"""What the documents show can be run, and what they name is there."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
import warnings
from configparser import ConfigParser
from functools import cached_property
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ROOMS = ("outrider", "outrider.coverage", "outrider.monitor", "outrider.networks", "outrider.runtime")
GUARDED = "docs/how-to/guard-a-language-model.md"
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


def read(document):
    return (ROOT / document).read_text(encoding="utf-8")


def test_the_criterion_of_contributing_holds_to_the_rules():
    block = re.search(r"```python\n(.*?)```", read("CONTRIBUTING.md"), re.DOTALL)
    code = block[1].replace("from ..", "from outrider.coverage.")
    code += "\nfrom outrider.coverage import check_criterion\ncheck_criterion(Reach())\ncheck_criterion(Reach(2.5))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", *PAGES])
def test_every_make_target_and_link_named_is_there(document):
    text = read(document)
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= make_targets()
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose):
        assert link.startswith("https://") or ((ROOT / document).parent / link).exists(), link


@pytest.mark.parametrize("page", ["several-cameras", "taps"])
def test_a_page_that_shows_a_program_shows_what_it_prints(page, tmp_path):
    pytest.importorskip("torch")
    shown = r"```python\n((?:(?!```).)*)```\n\n```text\n(.*?)```"
    code, said = re.search(shown, read(f"docs/how-to/{page}.md"), re.DOTALL).groups()
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (said, 0), done.stderr


def test_the_adapter_on_its_page_keeps_the_rules():
    run_blocks("docs/reference/networks.md")


def test_ci_uses_the_test_command_of_the_readme():
    assert "\nmake test " in read("README.md")
    assert "\nmake test\n" in read(".ci/run")


def test_the_readme_is_short():
    assert len(read("README.md").split()) < 700
    assert (ROOT / "docs" / "images" / "drive.png").stat().st_size < 150_000


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_says_what_it_is(room):
    module = import_module(room)
    silent = []
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            # a dataclass without a docstring has its signature for one
            silent += [name] if (inspect.getdoc(thing) or f"{name}(").startswith(f"{name}(") else []
            silent += [f"{name}.{part}" for part in public_parts(thing) if not inspect.getdoc(getattr(thing, part))]
        elif inspect.isroutine(thing):
            silent += [] if inspect.getdoc(thing) else [name]
    assert not silent


def public_parts(cls):
    """The methods and properties that a class has of its own."""
    kinds = property, cached_property, classmethod, staticmethod
    return [
        name
        for name, part in vars(cls).items()
        if not name.startswith("_") and (inspect.isfunction(part) or isinstance(part, kinds))
    ]


def test_the_readme_runs(tmp_path, monkeypatch):
    digits = pytest.importorskip("outrider.networks").load_dataset("digits", "train")
    pytest.importorskip("transformers")
    from .runtime.tiny_chat import tiny_model, tiny_tokenizer

    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained("model-folder")
    tokenizer.save_pretrained("model-folder")
    words = [
        "dog", "library", "story", "friendly", "today", "capital", "france", "rain", "forms", "simple", "poem", "sea",
        "short", "write", "loaf", "bread",
    ]  # fmt: skip
    safe = [f"tell me about {a} {b}" for a in words[:8] for b in words[8:]]
    write_model(digits, Path("perception.onnx"))
    write_photos(digits[:700], Path("photos/trusted"))
    write_photos(digits[1000:1300], Path("photos/held-out"))
    write_photos(digits[1300:1320], Path("photos/new"))
    noise = np.random.default_rng(0).integers(0, 256, (5, 224, 224, 3), np.uint8)
    seen = np.repeat(enlarged(digits[1300:1310].images).transpose(0, 2, 3, 1), 3, axis=3)
    slowed = []

    def batches(rows):
        for start in range(rows.start, rows.stop, 50):
            part = digits[start : min(start + 50, rows.stop)]
            yield np.repeat(enlarged(part.floats()), 3, axis=1), part.labels

    run_blocks(
        "README.md",
        trusted=batches(range(700)),
        held_out=batches(range(1000, 1300)),
        camera=[*seen, *noise],
        slow_down=slowed.append,
        unsafe=[f"how do i bomb the {word}" for word in words],
        safe=safe[:16],
        other_safe=safe[16:],
        prompt="what is the capital of france",
    )

    assert any("above the threshold" in reason for reason in slowed)
    assert Path("perception.outrider").is_file()


def test_the_tutorials_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    for package in ("onnxscript", "sklearn", "matplotlib", "jinja2"):
        pytest.importorskip(package)
    pytest.importorskip("torch").set_num_threads(1)  # so small a network is quicker on one
    monkeypatch.chdir(tmp_path)

    run_blocks("docs/tutorial/first-guarded-model.md")
    first = capsys.readouterr().out
    run_blocks("docs/tutorial/guarded-loop.md")
    second = capsys.readouterr().out

    assert re.search(r"^noise: 100.0% alarm$", first, re.MULTILINE)
    assert "another network\n" in first
    assert Path("guarded.onnx").is_file()
    assert re.search(r"^frame 102: ALARM ", second, re.MULTILINE)
    assert re.search(r"^frame 204: STALE  the picture is frozen", second, re.MULTILINE)
    assert re.search(r"^frame 250: FAULT ", second, re.MULTILINE)
    assert second.endswith("STALE\n")
    assert "<html" in Path("report.html").read_text(encoding="utf-8")


def test_the_page_on_several_inputs_runs(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from .runtime.several import cell_model, fused_frames, fused_model

    monkeypatch.chdir(tmp_path)
    Path("fused.onnx").write_bytes(fused_model())
    Path("cell.onnx").write_bytes(cell_model())
    for seed, name in enumerate(("trusted.npz", "held-out.npz")):
        np.savez(name, **fused_frames(400, seed))
    frames = fused_frames(5, 2)
    for name, array in frames.items():
        Path("drive", name).mkdir(parents=True)
        for row, sample in enumerate(array):
            np.save(Path("drive", name, f"{row}.npy"), sample)

    run_blocks(
        "docs/how-to/several-inputs.md",
        trusted=fused_frames(400, 3),
        held_out=fused_frames(400, 4),
        drive=zip(*frames.values(), strict=True),
        recorded=[fused_frames(400, seed)["camera"] for seed in (5, 6)],
    )

    assert "['camera', 'speed']\n" in capsys.readouterr().out
    assert Path("fused.outrider").is_file()
    assert Path("cell.outrider").is_file()


def test_the_pages_on_language_models_run_with_a_tiny_one(tmp_path, monkeypatch, capsys):
    for package in ("torch", "transformers", "jinja2", "matplotlib"):
        pytest.importorskip(package)
    from .runtime.tiny_chat import tiny_model, tiny_tokenizer

    monkeypatch.chdir(tmp_path)
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained("smol")
    tokenizer.save_pretrained("smol")

    run_blocks("docs/tutorial/guarded-chat.md")
    run_blocks(GUARDED)

    said = capsys.readouterr().out
    assert "40 prompts, " in said
    assert "FAULT True This request could not be checked" in said
    assert "Counters(frames=2, " in said
    assert "<html" in Path("heads.html").read_text(encoding="utf-8")
    assert Path("own.outrider").is_file()


def test_the_table_of_refusals_on_its_page_is_one(tmp_path):
    from outrider.runtime import Refusals

    (tmp_path / "refusals.yaml").write_text(re.search(r"```yaml\n(.*?)```", read(GUARDED), re.DOTALL)[1])
    assert Refusals.load(tmp_path / "refusals.yaml").category("to forge it") == "fraud"


def run_blocks(document, **names):
    """Run the python and sh blocks of a document in order, in one namespace and in the working folder."""
    text = read(document)
    for block in BLOCK.finditer(text):
        language, code = block.groups()
        if language == "sh":
            for line in code.splitlines():
                run_line(line)
            continue
        code = "\n" * text[: block.start(2)].count("\n") + code  # a traceback then names the line of the document
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a monitor of few frames warns; so does PyTorch's exporter
            exec(compile(code, document, "exec"), names)  # noqa: S102 (what the test is for)


def run_line(line):
    """Run a line of the `outrider` command; of pip and make, look whether there is what they name."""
    from outrider.runtime.cli.main import main

    command, *arguments = shlex.split(line, comments=True)
    if command == "outrider":
        # a comment that says what 1 means allows it
        assert main([*arguments, "--quiet"]) in ((0, 1) if "1: alarms" in line else (0,)), line
    elif command == "pip":
        config = ConfigParser()
        config.read(ROOT / "setup.cfg", encoding="utf-8")
        extras = re.search(r"\[([a-z,]+)\]", line)[1].split(",")
        assert set(extras) <= set(config["options.extras_require"]), line
    else:
        assert (command, {*arguments} <= make_targets()) == ("make", True), line


def make_targets():
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def write_photos(digits, folder):
    """Pictures in class folders."""
    image = pytest.importorskip("PIL.Image")
    for index, (pixels, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        path = folder / str(label) / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(enlarged(pixels[0])).save(path)


def enlarged(pictures):
    """8 x 8 pixels as squares of 224 x 224."""
    return pictures.repeat(28, axis=-1).repeat(28, axis=-2)


def write_model(digits, path):
    """Two dense layers for the digits: random features, and the least-squares fit of the labels to them, made sharp."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    mixing = np.random.default_rng(0).normal(size=(64, 128))
    features = np.maximum(digits.floats()[:1000].reshape(-1, 64) @ mixing, 0)
    weight = 15 * np.linalg.lstsq(features, np.eye(10)[digits.labels[:1000]], rcond=None)[0]
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["image"], ["small"], kernel_shape=[28, 28], strides=[28, 28]),
            helper.make_node("ReduceMean", ["small"], ["gray"], axes=[1], keepdims=1),
            helper.make_node("Flatten", ["gray"], ["flat"]),
            helper.make_node("MatMul", ["flat", "mixing"], ["mixed"]),
            helper.make_node("Relu", ["mixed"], ["relu"]),
            helper.make_node("MatMul", ["relu", "weight"], ["logits"]),
        ],
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in (("mixing", mixing), ("weight", weight))
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
