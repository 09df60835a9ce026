from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from outrider.monitor import MismatchError, Monitor, NotReadyError, ProfileError, describe_profile, read_facts
from outrider.monitor.heads import CriticalHead, HeadGuard, ReadOut

from .conftest import FakeDecoder, safe, unsafe


@pytest.fixture
def path(guard, tmp_path):
    guard.save(tmp_path / "guard.outrider")
    return tmp_path / "guard.outrider"


@pytest.mark.parametrize(
    "statistic", ["read_out", "last_query", "exact", "deflection_profile", ReadOut("bitmap"), ReadOut("ranges"),
                  ReadOut("mahalanobis")],
)  # fmt: skip
def test_a_guard_from_a_file_says_the_same(decoder, tmp_path, statistic):
    guard = HeadGuard(decoder, statistic, 2)
    report = guard.search([*unsafe(15), ""], safe(15), permutations=9)
    guard.calibrate(safe(40, 100), 0.1)
    guard.save(tmp_path / "g.outrider")
    again = HeadGuard.load(tmp_path / "g.outrider", FakeDecoder())
    prompts = [*unsafe(10, 500), *safe(10, 500), ""]
    for mine, theirs in zip(again.check(prompts), guard.check(prompts), strict=True):
        assert mine[:5] == theirs[:5]
        assert mine.layers == theirs.layers
    assert again.statistic == guard.statistic
    assert again.report.to_dict() == report.to_dict()
    assert again.calibration.to_dict() == guard.calibration.to_dict()
    assert again.searched == guard.searched
    assert len(again.searched) == 30


def test_a_guard_without_a_threshold_can_be_kept_too(decoder, tmp_path):
    guard = CriticalHead(decoder, "last_query")
    with pytest.raises(NotReadyError):
        guard.save(tmp_path / "g.outrider")
    guard.search(unsafe(10), safe(10), permutations=0)
    guard.save(tmp_path / "g.outrider")
    again = CriticalHead.load(tmp_path / "g.outrider", decoder)
    assert again.head == guard.head
    assert again.calibration is None
    assert HeadGuard.load(tmp_path / "g.outrider", decoder).chosen == guard.chosen


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("fingerprint", "a" * 64, "fingerprint ffffffffffff…, got aaaaaaaaaaaa…; it is another model"),
        ("dtype", "bfloat16", "dtype float32, got bfloat16; calibrate in the dtype that serves"),
        ("encoding", "b" * 64, "the chat template, the system prompt or the image processor differs"),
        ("layers", 2, "layers 3, got 2"),
        ("heads", 2, "layer 1 head 2, got a model of 3 layers x 2 heads"),
    ],
)
def test_another_model_is_refused_by_what_differs(path, name, value, message):
    decoder = FakeDecoder()
    setattr(decoder, name, value)
    with pytest.raises(MismatchError, match=message):
        HeadGuard.load(path, decoder)


def test_a_file_that_was_cut_or_altered_is_never_loaded(path, decoder):
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        place, bit = int(rng.integers(len(data))), int(rng.integers(8))
        altered = bytearray(data)
        altered[place] ^= 1 << bit
        path.write_bytes(altered)
        with pytest.raises(ProfileError):
            HeadGuard.load(path, decoder)
    for length in (0, 7, 200, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ProfileError):
            HeadGuard.load(path, decoder)
    path.write_bytes(data)
    HeadGuard.load(path, decoder)


def test_the_two_kinds_of_file_say_which_they_are(path, tmp_path, decoder, monitor):
    with pytest.raises(ProfileError, match=r"got one of heads; .*HeadGuard\.load"):
        describe_profile(path)
    monitor.save(tmp_path / "network.outrider")
    with pytest.raises(ProfileError, match=r"got a profile of a network; load it with Monitor\.load"):
        HeadGuard.load(tmp_path / "network.outrider", decoder)
    assert Monitor.load(tmp_path / "network.outrider", monitor.network).calibration is not None
    facts = read_facts(path)
    assert (facts["format"], facts["kind"], facts["class"]) == (2, "heads", "HeadGuard")
    with pytest.raises(ProfileError, match="expected a file of CriticalHead, got one of HeadGuard"):
        CriticalHead.load(path, decoder)
    with pytest.raises(FileNotFoundError):
        HeadGuard.load(tmp_path / "none.outrider", decoder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts, _: facts["calibration"].update(threshold=0.123), "threshold that is one of"),
        (lambda facts, _: facts.pop("statistic"), "no 'statistic'"),
        (lambda facts, _: facts.update(chosen=[]), "expected arrays"),
        (lambda facts, _: facts.update(chosen=[[1, 2], [1, 2]]), "each head once"),
        (lambda facts, _: facts.update(kind="other"), "got a file of kind 'other'"),
        (lambda facts, _: facts["calibration"].update(judged=0), "flagged of 0"),
        (lambda facts, _: facts["calibration"].update(flagged=-1), "-1 flagged"),
        (lambda _, tensors: tensors.update({"model.bias": np.zeros(3)}), "expected arrays"),
        (lambda _, tensors: tensors.update({"calibration.lengths": np.zeros(2, np.int64)}), "calibration.lengths"),
        (lambda facts, _: facts["calibration"].update(false_alarm_rate=2), "between 0 and 1"),
    ],
)
def test_a_file_that_was_made_wrongly_is_refused(path, decoder, change, message):
    """The digest is right: whoever wrote it computed it."""
    from outrider.monitor.heads.files import read_packed, write_packed

    contents = read_packed(path)
    facts, tensors = contents.facts, contents.arrays
    change(facts, tensors)
    write_packed(path, facts, tensors)
    with pytest.raises(ProfileError, match=message):
        HeadGuard.load(path, decoder)


def test_a_file_with_more_metadata_is_refused(path, decoder):
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, metadata | {"more": json.dumps(1)})
    with pytest.raises(ProfileError, match="altered"):
        HeadGuard.load(path, decoder)


def test_numbers_that_numpy_lacks_are_a_damaged_file(path, decoder):
    facts = {"outrider": json.dumps({"format": 1, "kind": "heads"}), "sha256": ""}
    array = {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}
    head = json.dumps({"__metadata__": facts, "x": array}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(2))
    with pytest.raises(ProfileError, match="expected a profile, got a file that is truncated or none"):
        HeadGuard.load(path, decoder)
