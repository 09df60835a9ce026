from __future__ import annotations

import hashlib
import json
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from outrider.monitor import OutriderWarning, ProfileError, describe_profile
from outrider.monitor.files import FORMAT, packed, read_contents, read_facts, unpacked
from outrider.monitor.files.container import checked_contents, with_digest

FACTS = {"format": FORMAT, "n": 3, "says": 'of "digest":"' + "1" * 64 + '"', "threshold": 5.3}
ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.zeros(6, np.float32).reshape(2, 3),
    "c.d": np.zeros((0, 4), np.uint8),
}
SMALL = packed(FACTS, ARRAYS)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(SMALL)
    return tmp_path / "file"


def test_facts_and_arrays_come_back(path):
    contents = read_contents(path)
    assert contents.facts == read_facts(path) == FACTS
    assert contents.sha256 == hashlib.sha256(SMALL).hexdigest()
    assert contents.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert contents.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(contents.arrays[name], array)


def test_any_reader_of_safetensors_reads_it_and_the_digest_is_as_specified():
    """docs/reference/file-format.md: SHA-256 of the file with zeros in the place of the digest."""
    assert sorted(load(SMALL)) == sorted(ARRAYS)
    length = int.from_bytes(SMALL[:8], "little")
    metadata = json.loads(SMALL[8 : 8 + length])["__metadata__"]
    assert json.loads(metadata["outrider"]) == FACTS
    digest = metadata["digest"].encode()
    assert SMALL.count(digest) == 1
    assert hashlib.sha256(SMALL.replace(digest, b"0" * 64)).hexdigest().encode() == digest
    assert unpacked(SMALL, "file").digest == digest.decode()
    assert length % 8 == 0, "the arrays stay aligned"


def test_the_same_gives_the_same_bytes():
    """safetensors itself orders metadata by chance."""
    assert {packed(FACTS, ARRAYS) for _ in range(20)} == {SMALL}
    assert with_digest(SMALL) == SMALL


def refused(data):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            unpacked(data, "file")
    except ProfileError:
        return True
    return False


def test_no_byte_of_a_file_can_change():
    """Every byte, by each of its bits and by all: length, keys, digest, padding, facts, numbers."""
    accepted = []
    for place in range(len(SMALL)):
        for pattern in (1, 2, 4, 8, 16, 32, 64, 128, 255, SMALL[place] ^ 0x20, SMALL[place] ^ 0x30, SMALL[place]):
            if pattern:
                spoiled = bytearray(SMALL)
                spoiled[place] ^= pattern
                accepted += [] if refused(bytes(spoiled)) else [(place, pattern)]
    assert not accepted


def test_nothing_can_be_cut_off_doubled_swapped_or_put_in():
    length = int.from_bytes(SMALL[:8], "little")
    header, body = SMALL[8 : 8 + length], SMALL[8 + length :]
    half = len(body) // 2
    changed = [SMALL[:n] for n in range(len(SMALL))]
    changed += [SMALL + more for more in (b"\0", b" ", b"\n", body, SMALL)]
    changed += [SMALL[:8] + header + body[half:] + body[:half]]
    for other in (header.rstrip(), header + b" " * 8, header.replace(b",", b", ", 1), header.replace(b"{", b"{ ", 1)):
        changed.append(len(other).to_bytes(8, "little") + other + body)
    doubled = header.replace(b'"a":', b'"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"a":')
    changed.append(len(doubled).to_bytes(8, "little") + doubled + body)
    again = json.loads(header)
    again["a"], again["b"] = again["b"], again["a"]
    swapped = json.dumps(again, separators=(",", ":")).encode()
    changed.append(len(swapped).to_bytes(8, "little") + swapped + body)
    foreign = packed(FACTS | {"threshold": 21.2}, ARRAYS)
    start = 8 + int.from_bytes(foreign[:8], "little")
    numbers = packed(FACTS, ARRAYS | {"a": ARRAYS["a"] + 1})
    changed += [foreign[:start] + numbers[-len(body) :], SMALL[: 8 + length] + numbers[-len(body) :]]
    assert [i for i, data in enumerate(changed) if data != SMALL and not refused(data)] == []


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_no_change_of_several_bytes_is_accepted(data):
    spoiled = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(spoiled)))
        stop = start + data.draw(st.integers(0, 80))
        spoiled[start:stop] = data.draw(st.binary(max_size=8) | st.sampled_from([b'"', b"\\", b",", SMALL[100:180]]))
    assert bytes(spoiled) == SMALL or refused(bytes(spoiled))


def old(facts, arrays=None, **more):
    return save(ARRAYS if arrays is None else arrays, {"outrider": json.dumps(facts), **more})


def test_a_file_of_an_older_outrider_is_read_with_a_warning(path):
    path.write_bytes(old({"format": 1, "n": 3}))
    for read in (read_facts, read_contents):
        with pytest.warns(OutriderWarning, match="older Outrider: what it holds cannot be checked; load and save it"):
            read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert checked_contents(path).digest is None


def test_an_older_file_of_heads_is_held_against_the_digest_it_has(path):
    facts, arrays = {"format": 1, "kind": "heads"}, {"x": np.arange(3.0)}
    content = json.dumps(facts).encode() + b"\nx <f8 (3,)\n" + arrays["x"].tobytes()
    digest = hashlib.sha256(content).hexdigest()
    assert unpacked(old(facts, arrays, sha256=digest), path).facts == facts
    for data in (old(facts, {"x": arrays["x"] + 1}, sha256=digest), old(facts | {"n": 1}, arrays, sha256=digest)):
        with pytest.raises(ProfileError, match="altered; it is none that an older Outrider wrote"):
            unpacked(data, path)


@pytest.mark.parametrize(
    "data",
    [
        old({"format": 2}),
        old({"format": 2}, digest="0" * 64),
        old({"format": 1}, digest="x"),
        old({"format": 1}, more="x"),
        packed({"format": 1}, ARRAYS),
    ],
    ids=["none", "wrong", "no number", "more metadata", "older format"],
)
def test_a_file_without_its_digest_is_refused(data):
    with pytest.raises(ProfileError, match="expected what was written, got a file that was altered"):
        unpacked(data, "file")


@pytest.mark.parametrize("format_", [0, 3, True, 1.0, "2", None, [2]])
def test_another_format_is_named(format_):
    with pytest.raises(ProfileError, match="expected profile format 2, got"):
        unpacked(packed({"format": format_}, {}), "file")


def test_a_large_file_of_another_kind_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"\0\0\0\x20ftypisom" + bytes(100))
    monkeypatch.setattr("outrider.monitor.files.container.unpacked", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(ProfileError, match="expected a profile, got a file that is truncated or none: expected the le"):
        read_facts(path)


@given(st.binary(max_size=400))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_bytes_are_refused(tmp_path, data):
    (tmp_path / "random.outrider").write_bytes(data)
    for read in (read_facts, describe_profile):
        with pytest.raises(ProfileError):
            read(tmp_path / "random.outrider")


def test_a_model_in_the_place_of_a_profile_is_recognised(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"\x08\x0a\x12\x07pytorch")
    words = f"{path} is a model; expected a profile, as `outrider profile {path} DATA -o {tmp_path / 'net.outrider'}` w"
    for read in (read_facts, describe_profile):
        with pytest.raises(ProfileError, match=re.escape(words)):
            read(path)


def test_facts_alone_are_refused_where_an_array_changed(path):
    """A figure is shown from no altered file, though the arrays are not needed for it."""
    path.write_bytes(SMALL[:-1] + bytes([SMALL[-1] ^ 1]))
    with pytest.raises(ProfileError, match="altered or cut short: its SHA-256 does not fit"):
        read_facts(path)
