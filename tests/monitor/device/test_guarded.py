"""A module with its monitor inside, by every way that programs are made of it, against the monitor of the host."""

from __future__ import annotations

import copy
import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider import guarded_module as from_the_front  # noqa: E402
from outrider.coverage import parse_criterion  # noqa: E402
from outrider.monitor import HarmonicP, MismatchError, Monitor, NotReadyError, SmallestP, Sum, ZScore  # noqa: E402
from outrider.monitor.device.guarded import GuardedFrames, GuardedModule, guarded_module  # noqa: E402
from outrider.networks import TorchNetwork  # noqa: E402

from .nets import SHAPE, Two, asked, frames, hold, learned, small  # noqa: E402


@pytest.fixture(scope="module")
def made():
    """(module, monitor, guarded) by the default configuration."""
    module = small()
    monitor = learned(module)
    return module, monitor, guarded_module(module, monitor)


def run(guarded, batch, **options):
    with torch.no_grad():
        return guarded(torch.from_numpy(batch), **options)


def same(one, other, rtol=1e-4):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(torch.as_tensor(a).double(), torch.as_tensor(b).double(), rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize(
    ("criteria", "logic"),
    [(None, None), ("bitmap", Sum()), ("single_range", ZScore()), ("mahalanobis", SmallestP()),
     (["multi_range(sections=4)", "gaussian", "softmax"], HarmonicP())],
)  # fmt: skip
def test_it_says_what_the_monitor_says(criteria, logic, functions):
    module = small(functions=functions)
    if isinstance(criteria, list):
        criteria = {"*": criteria[:2], "@output": criteria[2]}
    monitor = learned(module, criteria, logic)
    guarded, batch = guarded_module(module, monitor), asked()
    output, verdicts = monitor.check(batch)
    found = run(guarded, batch)
    hold(found, verdicts)
    assert torch.equal(found.output.nan_to_num(7), torch.as_tensor(output).nan_to_num(7))
    assert verdicts.alarm.any()
    assert not verdicts.alarm.all()


def test_a_network_without_classes_and_one_tap_unit_by_unit():
    module = small(classes=None)
    monitor = learned(module, {"relu:unit": "single_range", "relu#2:channel-max": "bitmap"},
                      taps=["relu:unit", "relu#2:channel-max"])  # fmt: skip
    batch = asked()
    hold(run(guarded_module(module, monitor), batch), monitor.check(batch)[1])


def test_several_inputs_by_position_and_by_name():
    torch.manual_seed(0)
    module, rng = Two().eval(), np.random.default_rng(0)
    network = TorchNetwork(module, {"picture": SHAPE, "state": (2,)})
    monitor = Monitor(network, "single_range", logic=Sum())
    batches = [(frames(60, seed), rng.normal(0, 1, (60, 2)).astype(np.float32)) for seed in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile(batches[:2])
        monitor.calibrate(batches[2:], false_alarm_rate=0.1)
    guarded = guarded_module(module, monitor)
    assert type(guarded) is GuardedModule
    given = asked(), rng.normal(0, 4, (24, 2)).astype(np.float32)
    given[1][7, 1] = np.nan
    picture, state = map(torch.from_numpy, given)
    found = guarded(picture, state=state)
    hold(found, monitor.check(given)[1])
    same(guarded(picture, state, threshold=0.0)[1:2], found[1:2])


def test_the_threshold_is_an_argument(made):
    _, _, guarded = made
    batch = asked()
    found = run(guarded, batch)
    assert run(guarded, batch, threshold=-1.0).alarm.all()
    finite = torch.isfinite(found.score)
    assert torch.equal(run(guarded, batch, threshold=torch.tensor([torch.inf])).alarm, ~finite)
    on_bound = float(found.score[finite].max())
    assert not run(guarded, batch, threshold=on_bound).alarm[finite].any()
    below = float(np.nextafter(on_bound, 0))
    assert run(guarded, batch, threshold=below).alarm[finite].sum() == 1
    labels = found.output.argmax(1)
    of_class = torch.where(torch.arange(4) == labels[0], -1.0, 1e9)
    expected = (labels == labels[0]) | ~finite
    assert torch.equal(run(guarded, batch, threshold=of_class).alarm, expected)


def test_the_module_stays_as_it_is(made):
    module, _, guarded = made
    kinds = [type(part) for part in module.modules()]
    assert all(kind.__name__ in ("Small", "Conv2d", "BatchNorm2d", "ReLU", "Linear") for kind in kinds)
    inner = guarded.watched.module
    assert inner.conv1.weight.data_ptr() == module.conv1.weight.data_ptr()
    assert set(inner.state_dict()) == set(module.state_dict())
    moved = copy.deepcopy(guarded).double()
    assert module.conv1.weight.dtype == torch.float32
    assert moved.bench.threshold.dtype == torch.float64
    with pytest.raises(ValueError, match=r"to stay in eval mode, got train\(\)"):
        guarded.train()
    assert guarded.eval() is guarded


def test_gradients_flow_through_the_output_alone(made):
    _, _, guarded = made
    x = torch.from_numpy(frames(2)).requires_grad_()
    found = guarded(x)
    assert not found.score.requires_grad
    assert not found.deviations.requires_grad
    found.output.sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_it_pools_and_compares_in_float32(made, dtype, monkeypatch):
    _, _, guarded = made
    x = torch.from_numpy(frames(6, 9))
    seen = []
    forward = type(guarded.bench.forms[0]).forward
    monkeypatch.setattr(type(guarded.bench.forms[0]), "forward", lambda *a: seen.append(a[1].dtype) or forward(*a))
    with torch.no_grad(), torch.autocast("cpu", dtype):
        found = guarded(x)
        output, scores, neurons = guarded.watched(x)
    assert output.dtype == dtype
    assert found.deviations.dtype == torch.float32
    assert set(seen) == {torch.float32}
    with torch.no_grad():
        plain = guarded.bench(guarded.bench.sources(neurons), scores)
    same(found[1:], plain[:3], rtol=1e-6)


def test_half_precision_changes_the_module_and_not_the_judge(made):
    _, _, guarded = made
    halved = copy.deepcopy(guarded).bfloat16()
    tables = dict(guarded.bench.named_buffers())
    for name, table in halved.bench.named_buffers():
        assert torch.equal(table, tables[name])
    found = halved(torch.from_numpy(frames(3)).bfloat16())
    assert found.output.dtype == torch.bfloat16
    assert found.deviations.dtype == torch.float32


@pytest.mark.parametrize("functions", [False, True])
def test_it_compiles_as_one_graph(functions):
    module = small(functions=functions)
    guarded, batch = guarded_module(module, learned(module)), frames(5, 8)
    torch._dynamo.reset()
    same(run(torch.compile(guarded, fullgraph=True, backend="aot_eager"), batch), run(guarded, batch))


@pytest.mark.filterwarnings("ignore:While compiling, we found certain side effects")  # they are undone as it ends
@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_it_is_exported_with_an_open_batch(functions, strict):
    module = small(functions=functions)
    guarded = guarded_module(module, learned(module))
    shapes = {"frames": {0: torch.export.Dim("n", min=1, max=1024)}}
    program = torch.export.export(
        guarded, (torch.from_numpy(frames(4)),), dynamic_shapes=shapes, strict=strict
    ).module()
    for batch in (frames(4, 7), asked(n=11), frames(1)):
        same(run(program, batch), run(guarded, batch))


@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize("dynamo", [False, True])
def test_onnx_runtime_says_the_same(functions, dynamo):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = small(functions=functions)
    guarded, file = guarded_module(module, learned(module)), io.BytesIO()
    names = {"input_names": ["frames"], "output_names": ["output", "score", "alarm", "deviations"]}
    x = torch.from_numpy(frames(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = {"frames": {0: torch.export.Dim.DYNAMIC}}
            torch.onnx.export(guarded, (x,), file, dynamo=True, dynamic_shapes=shapes, verbose=False, **names)
        else:
            axes = {"dynamic_axes": {"frames": {0: "n"}}, "opset_version": 17}
            torch.onnx.export(guarded, (x,), file, dynamo=False, **axes, **names)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for batch in (frames(4, 7), asked(n=9)):
        same(session.run(names["output_names"], {"frames": batch}), run(guarded, batch))


def test_replicas_of_data_parallel_keep_their_own_neurons(made):
    _, _, guarded = made
    batch = asked()
    whole = run(guarded, batch)
    replicas = [_replicated(guarded) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(run, replicas, np.split(batch, 2)))
    same([torch.cat(pair) for pair in zip(*parts, strict=True)], whole)
    same(run(nn.DataParallel(guarded), batch), whole)


def _replicated(module):
    """As `DataParallel` makes a replica of each part, without its copies to other devices."""
    made = {part: part._replicate_for_data_parallel() for part in module.modules()}
    for part, replica in made.items():
        replica._modules = {name: made[child] for name, child in part._modules.items()}
        replica._parameters, replica._buffers = part._parameters, part._buffers
    return made[module]


def test_a_file_is_as_good_as_a_monitor(made, tmp_path):
    module, monitor, guarded = made
    monitor.save(tmp_path / "small.outrider")
    opened = from_the_front(module, tmp_path / "small.outrider")
    assert type(opened) is GuardedFrames
    same(run(opened, asked()), run(guarded, asked()))
    another = small()
    same(run(guarded_module(another, monitor), asked()), run(guarded, asked()))


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # torch.compile's
def test_what_is_refused_and_why(made, tmp_path):
    module, monitor, _ = made
    monitor.save(tmp_path / "small.outrider")
    with pytest.raises(MismatchError, match="SHA-256: expected"):
        guarded_module(small(seed=1), tmp_path / "small.outrider")
    with pytest.raises(MismatchError, match="SHA-256: expected"):
        guarded_module(small(seed=1), monitor)
    with pytest.raises(TypeError, match="expected a PyTorch module, got str"):
        guarded_module("net.onnx", monitor)
    split = small()
    split.head.to("meta")
    with pytest.raises(ValueError, match=r"on one device, got conv1\.weight on cpu, head\.weight on meta; move it"):
        guarded_module(split, monitor)
    bare = Monitor(TorchNetwork(module, SHAPE), "bitmap")
    with pytest.raises(NotReadyError, match="calibrat"):
        guarded_module(module, Monitor.of(bare.network, monitor.learned, Sum(), None))
    compiled = torch.compile(module)
    with pytest.warns(Warning, match="runs twice"):
        network = TorchNetwork(compiled, SHAPE)
    with pytest.raises(ValueError, match=r"expected a module before torch\.compile"):
        guarded_module(compiled, Monitor.of(network, monitor.learned, monitor.logic, monitor.calibration))


def test_a_criterion_without_a_form_is_refused_with_those_that_have_one(made, monkeypatch):
    module = small()
    monitor = learned(module, "norm", Sum())
    from outrider.monitor.device.forms import FORMS

    monkeypatch.delitem(FORMS, "norm")
    with pytest.raises(ValueError, match=r"a form on the device, bitmap, .*softmax, got 'norm'"):
        guarded_module(module, monitor)
    assert parse_criterion("norm").name == "norm"


def test_a_module_whose_parts_run_otherwise_is_noticed(made):
    _, _, guarded = made
    other = copy.deepcopy(guarded)
    other.watched.module.functions = True
    with pytest.raises(RuntimeError, match=r"expected 'relu' to run 2 times, as when it was profiled, got 0"):
        run(other, frames(2))


class Wandering(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.head = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x):
        x = self.relu(self.conv(x)).mean((2, 3))
        return self.head(x + 1e-3 * (type(self.relu) is nn.ReLU))


def test_a_module_that_looks_at_its_own_parts_is_refused():
    torch.manual_seed(0)
    module = Wandering().eval()
    monitor = learned(module, "bitmap", Sum())
    with pytest.raises(ValueError, match="the output of the module from the guarded one, got another"):
        guarded_module(module, monitor)
