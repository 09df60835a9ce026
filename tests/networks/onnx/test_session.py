"""The settings of ONNX Runtime that all sessions of a network share, and its providers."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail  # noqa: E402

from outrider.networks import NetworkWarning, OnnxNetwork  # noqa: E402
from outrider.networks.onnx.session import Runtime  # noqa: E402
from outrider.networks.packages import install_hint  # noqa: E402

TAIL = [helper.make_node("NonZero", ["r2"], ["places"])]
DYNAMIC = {"outputs": ("logits", "places"), "tail": TAIL}
"""A second output whose shape depends on the frame."""


def test_threads_are_said_and_do_not_spin(model):
    options = OnnxNetwork(model(), threads=3)._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 1)
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert OnnxNetwork(model())._session.get_session_options().intra_op_num_threads == 1


def test_sessions_are_built_at_construction_alone(model, images, monkeypatch):
    built = []
    plain = Runtime.session
    monkeypatch.setattr(Runtime, "session", lambda *args, **options: built.append(options) or plain(*args, **options))
    network = OnnxNetwork(model(), buffers=2)
    assert built == [{"optimised": False}, {}]
    for n in (1, 2, 3):
        network.observe(images(n))
        network.run(images(n))
    assert len(built) == 2


def test_run_returns_the_outputs_of_the_model_alone(model, images):
    network = OnnxNetwork(model(**DYNAMIC), taps=("r1", "r2"), scores_output=0)
    values = network.run(images(2))
    assert [value.shape for value in values][:1] == [(2, 10)]
    assert len(values) == 2
    assert [output.name for output in network._session.get_outputs()][:2] == ["logits", "places"]


def test_the_session_runs_on_the_providers_named(model):
    for providers in (["CPUExecutionProvider"], [("CPUExecutionProvider", {})]):
        network = OnnxNetwork(model(), providers=providers)
        assert network._session.get_provider_options() == {"CPUExecutionProvider": {}}


@pytest.mark.parametrize(
    ("providers", "message"),
    [
        (["Abacus"], "expected providers among .*, got Abacus"),
        ([("Abacus", {"beads": "10"})], "expected providers among .*, got Abacus"),
        ([("CPUExecutionProvider", "fast")], "expected a provider as a name or as a name with a dict of options, got"),
        ([("CPUExecutionProvider", {"turbo": "1"})], "expected no options for CPUExecutionProvider, got turbo"),
        ([7], "expected a provider as a name or as a name with a dict of options, got 7"),
    ],
)
def test_providers_that_make_no_sense_are_refused(model, providers, message):
    with pytest.raises(ValueError, match=message):
        OnnxNetwork(model(), providers=providers)


@pytest.fixture
def elsewhere(monkeypatch):
    """A provider that this machine lacks; what it is given is kept, and whatever it raises can be set."""
    seen = SimpleNamespace(given=[], error=None)
    plain = ort.InferenceSession

    class Session(plain):
        def __init__(self, data, options, providers, **others):
            seen.given.append((providers, others))
            if seen.error:
                raise seen.error
            super().__init__(data, options, providers=["CPUExecutionProvider"])

        def get_providers(self):
            return ["AbacusExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["AbacusExecutionProvider", "CPUExecutionProvider"])
    return seen


def test_a_provider_is_given_its_options_and_no_other_takes_its_place(model, elsewhere):
    providers = [("AbacusExecutionProvider", {"beads": "10"}), "CPUExecutionProvider"]
    OnnxNetwork(model(), providers=providers, exact=True)
    assert elsewhere.given == [(providers, {"enable_fallback": 0})] * 2
    OnnxNetwork(model(), taps="*", providers=providers)  # also asks what the CPU would fuse
    assert [given for given, _ in elsewhere.given[2:]] == [["CPUExecutionProvider"], providers, providers]


@pytest.mark.parametrize("error", [EPFail, RuntimeError, ValueError])
def test_an_option_that_a_provider_refuses_is_our_error(model, elsewhere, error):
    elsewhere.error = error("Invalid option: turbo")
    with pytest.raises(ValueError, match="expected a model that ONNX Runtime can load, got: Invalid option: turbo"):
        OnnxNetwork(model(), providers=[("AbacusExecutionProvider", {"turbo": "1"})])


def test_the_optimised_graph_is_written_without_weights(model):
    runtime = Runtime(["CPUExecutionProvider"], 1)
    made = onnx.load_from_string(runtime.optimised(model(), None))
    assert next(name for node in made.graph.node for name in node.output) == "r1"  # the convolution is fused with it
    large = [tensor for tensor in made.graph.initializer if len(tensor.raw_data) >= 1024]
    assert large == []
    assert runtime.optimised(b"no model", None) is None


def test_without_a_temporary_folder_a_user_hears_that_taps_may_cost_more(model, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/proc/no/such/folder")
    with pytest.warns(NetworkWarning, match="cannot write its optimised graph .*; some taps may cost a fusion"):
        assert Runtime(["CPUExecutionProvider"], 1).optimised(model(), None) is None


def test_a_model_that_cannot_be_loaded_is_refused(chain):
    with pytest.raises(ValueError, match=r"expected a model that ONNX Runtime can load, got: .*Abracadabra"):
        OnnxNetwork(chain(("Abracadabra", "x", "y", {})))


def test_a_missing_onnxruntime_is_named_with_its_install_command(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=re.escape(install_hint("onnx"))):
        OnnxNetwork(model())
