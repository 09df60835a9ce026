"""A guarded model in ONNX Runtime for JavaScript, native and WebAssembly, and for C: its alarms are those in Python."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from outrider.coverage import Mahalanobis
from outrider.monitor.places import LargestArea
from outrider.networks import load_dataset
from outrider.runtime import export
from outrider.runtime.cli.main import main

from .guarding import frames as noise
from .guarding import model as model_of_places
from .guarding import taught

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / "build" / "languages"
RUNNERS = ROOT / "tests" / "languages"
SYSTEM = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "")
MACHINE = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")

# Scores differ in the last bits between versions of ONNX Runtime and between processors; alarms do not.
TOLERANCE = 1e-5


@pytest.fixture(scope="module", params=["one threshold", "one per class"])
def guarded(request, model, profiled, calibrated, tmp_path_factory):
    """The digits' network with its monitor in the graph."""
    folder = tmp_path_factory.mktemp("guarded")
    profile = calibrated
    if request.param == "one per class":
        profile = folder / "per_class.outrider"
        command = ["calibrate", profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", profile]
        command += ["--false-alarm-rate", "0.1", "--per-class"]
        assert main([str(word) for word in command]) == 0
    export(model, profile, folder / "guarded.onnx")
    return folder / "guarded.onnx"


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Digits, noise, digits that fade into noise, and a broken frame: the array and the file that the runners read.

    The digits are grained: their 17 levels of grey repeat, and put neurons exactly on the bounds of a range, where the
    last bit of a sum decides.
    """
    rng = np.random.default_rng(0)
    digits = load_dataset("digits", "test")[:20].floats()
    digits += rng.normal(0, 0.01, digits.shape).astype(np.float32)
    noise = rng.uniform(0, 1, digits.shape).astype(np.float32)
    share = np.linspace(0, 1, len(digits), dtype=np.float32)[:, None, None, None]
    broken = np.full_like(digits[:1], np.nan)
    array = np.concatenate([digits, noise, (1 - share) * digits + share * noise, broken])
    path = tmp_path_factory.mktemp("frames") / "frames.f32"
    array.astype("<f4").tofile(path)
    return array, path


def installed(path):
    if not path.exists():
        pytest.skip(f"{path.relative_to(ROOT)} is not there; run `make languages`")
    return path


def javascript(package, folder):
    """A folder in which `package` resolves, and the runner there, which imports it."""
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    installed(PACKAGES / "node_modules" / package)
    (folder / "node_modules").symlink_to(PACKAGES / "node_modules")
    example = (RUNNERS / "run.mjs").read_text(encoding="utf-8")
    assert 'from "onnxruntime-node"' in example
    runner = folder / "run.mjs"
    runner.write_text(example.replace('from "onnxruntime-node"', f'from "{package}"'), encoding="utf-8")
    return ["node", str(runner)]


def c(folder):
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("cc is not installed")
    headers = installed(PACKAGES / "include")
    libraries = installed(PACKAGES / "node_modules" / "onnxruntime-node") / "bin" / "napi-v6" / SYSTEM / MACHINE
    library = next(iter(sorted(libraries.glob("libonnxruntime.*"))), None)
    if not library:
        pytest.skip(f"onnxruntime-node has no library for {platform.system()} on {platform.machine()}")
    runner = folder / "run"
    command = [compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-isystem", headers]
    command += [RUNNERS / "run.c", library, f"-Wl,-rpath,{libraries}", "-o", runner]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [str(runner)]


@pytest.fixture(scope="module", params=["onnxruntime-node", "onnxruntime-web", "c"])
def runner(request, tmp_path_factory):
    """The command that runs a model in that language."""
    folder = tmp_path_factory.mktemp("runner")
    return c(folder) if request.param == "c" else javascript(request.param, folder)


def run(command, *arguments):
    words = [*command, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def judged(command, *arguments):
    """(n,) alarms and (n,) scores that a runner prints."""
    done = run(command, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    scores = [np.inf if line["score"] is None else line["score"] for line in lines]
    return np.array([line["alarm"] for line in lines]), np.array(scores)


def judged_in_python(model, frames, threshold=None):
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    feeds = {}
    if threshold is not None:
        [overridable] = session.get_overridable_initializers()
        feeds[overridable.name] = np.full(overridable.shape, threshold, np.float32)
    names = ["outrider_alarm", "outrider_score"]
    rows = [session.run(names, {session.get_inputs()[0].name: frame[None], **feeds}) for frame in frames]
    return tuple(np.concatenate(column) for column in zip(*rows, strict=True))


def between_scores(scores):
    """A threshold in the widest gap among the middle half of the scores, where no rounding can move one across."""
    ordered = np.sort(scores[np.isfinite(scores)])
    ordered = ordered[len(ordered) // 4 : -len(ordered) // 4]
    widest = np.diff(ordered).argmax()
    return float(ordered[widest : widest + 2].mean())


def test_alarms_are_those_in_python(guarded, frames, runner):
    array, file = frames
    expected, expected_scores = judged_in_python(guarded, array)
    assert 0 < expected.mean() < 1
    alarms, scores = judged(runner, guarded, file)
    np.testing.assert_array_equal(alarms, expected)
    np.testing.assert_allclose(scores, expected_scores, rtol=TOLERANCE)


@pytest.fixture(scope="module")
def of_places(tmp_path_factory):
    """A network with a monitor of places in the graph, the map of which says where a frame is strange."""
    folder = tmp_path_factory.mktemp("places")
    onnx.save(model_of_places(opset=18), folder / "bare.onnx")
    _, profile = taught(folder / "bare.onnx", Mahalanobis(), LargestArea(smooth=3), taps=["r1:pixel"])
    export(folder / "bare.onnx", profile, folder / "guarded.onnx")
    strange = noise(12, 5)
    for k, frame in enumerate(strange[:6]):
        frame[:, k : k + 2, 1:4] *= 9
    strange[11, 0, 0, 0] = np.inf
    strange.astype("<f4").tofile(folder / "frames.f32")
    return folder / "guarded.onnx", folder / "frames.f32", strange


def test_a_map_is_that_in_python(of_places, runner):
    guarded, file, strange = of_places
    session = ort.InferenceSession(guarded, providers=["CPUExecutionProvider"])
    expected = session.run(["outrider_alarm", "outrider_score", "outrider_map"], {"x": strange})
    assert 0 < expected[0][:-1].mean() < 1
    done = run(runner, guarded, file)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["alarm"] for line in lines] == expected[0].tolist()
    assert lines[-1]["score"] is lines[-1]["peak"]["value"] is None
    for line, score, values in zip(lines[:-1], *(part[:-1] for part in expected[1:]), strict=True):
        assert line["score"] == pytest.approx(score, rel=1e-4)
        assert line["peak"]["value"] == pytest.approx(values.max(), rel=1e-4)
        assert (line["peak"]["y"], line["peak"]["x"]) == np.unravel_index(values.argmax(), values.shape)


def test_another_threshold_gives_the_alarms_of_python_with_it_overridden(guarded, frames, runner):
    array, file = frames
    before, scores = judged_in_python(guarded, array)
    threshold = between_scores(scores[before])
    expected, _ = judged_in_python(guarded, array, threshold)
    assert 0 < expected.sum() < before.sum()
    alarms, _ = judged(runner, guarded, file, threshold)
    np.testing.assert_array_equal(alarms, expected)


@pytest.mark.parametrize(
    ("package", "outcome"),
    [("onnxruntime-node", "the default applied"), ("onnxruntime-web", "invalid input 'outrider_threshold'")],
)
def test_javascript_cannot_feed_the_threshold(guarded, package, outcome, tmp_path):
    """Why run.mjs compares scores itself. When this fails, the package has learned to."""
    javascript(package, tmp_path)
    script = f"""
    import * as ort from "{package}";
    const session = await ort.InferenceSession.create({json.dumps(str(guarded))}, {{ logSeverityLevel: 3 }});
    const image = new ort.Tensor("float32", new Float32Array(64).fill(100), [1, 1, 8, 8]);
    const outrider_threshold = new ort.Tensor("float32", Float32Array.of(1e30), [1]);
    try {{
      const {{ outrider_alarm, outrider_score }} = await session.run({{ image, outrider_threshold }});
      const obeyed = Boolean(outrider_alarm.data[0]) === !(outrider_score.data[0] <= 1e30);
      console.log(obeyed ? "overridden" : "the default applied");
    }} catch (error) {{
      console.log(error.message);
    }}
    """
    done = subprocess.run(
        ["node", "--input-type=module", "--eval", script],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert outcome in done.stdout, done.stderr


def test_a_model_without_monitor_is_refused(model, frames, runner):
    done = run(runner, model, frames[1])
    assert done.returncode == 2
    assert "outrider_alarm" in done.stderr


def test_a_file_that_ends_within_a_frame_is_refused(guarded, runner, tmp_path):
    file = tmp_path / "frames.f32"
    np.zeros(65, "<f4").tofile(file)
    done = run(runner, guarded, file)
    assert done.returncode == 2
    assert "expected a multiple of " in done.stderr


def test_a_threshold_that_is_none_is_refused(guarded, frames, runner):
    for threshold in ("high", "-1", "nan", "1e99"):
        done = run(runner, guarded, frames[1], threshold)
        assert done.returncode == 2
        assert f"expected a THRESHOLD >= 0, got {threshold}" in done.stderr
