"""`--shard`, from parts of a profile to a threshold, and what is refused on the way."""

from __future__ import annotations

import json

import pytest

from outrider.networks import load_dataset

from ..outcomes import TORN, error_of, save


@pytest.fixture
def shards(outrider, model):
    """Writes the parts of N workers, and what merging them makes."""

    def write(workers, output, *flags, data="digits:train"):
        files = [f"part-{k}-of-{workers}.outrider" for k in range(workers)]
        for k, file in enumerate(files):
            result = outrider("profile", model, data, "--shard", f"{k}/{workers}", "-o", file, "--quiet", *flags)
            assert (result.code, result.err) == (0, "")
        result = outrider("merge", *reversed(files), "--network", model, "-o", output)
        assert result.code == 0, result.err
        return files

    return write


def test_any_number_of_workers_writes_the_same_profile(shards, tmp_path):
    for workers in (1, 3, 8):
        shards(workers, f"{workers}.outrider")
    found = [(tmp_path / f"{workers}.outrider").read_bytes() for workers in (1, 3, 8)]
    assert found[0] == found[1] == found[2]


def test_a_part_is_told(outrider, model):
    result = outrider("profile", model, "digits:train", "--shard", "1/4", "-o", "part.outrider")
    assert result.code == 0
    assert result.out.startswith("part.outrider: shard 1/4, rows 320 to 703, of 1,437 frames: ")
    result = outrider("profile", model, "digits:train", "--shard", "1/4", "-o", "part.outrider", "--json")
    facts = json.loads(result.out)
    assert (facts["shard"], facts["rows"], facts["of_frames"], facts["seen"]) == ([1, 4], [320, 704], 1437, 384)
    assert "expected a profile, got part 1 of 4 of one" in error_of(outrider("inspect", "part.outrider"))


def test_pictures_are_remembered_over_all_shards(outrider, shards, model, tmp_path):
    digits = load_dataset("digits", "train")
    save(tmp_path / "photos", digits.images[:192, 0])
    shards(3, "three.outrider", "--no-labels", data="photos")
    shards(1, "one.outrider", "--no-labels", data="photos")
    assert (tmp_path / "three.outrider").read_bytes() == (tmp_path / "one.outrider").read_bytes()
    told = json.loads(outrider("inspect", "three.outrider", "--json").out)
    assert told["trusted"]["pictures"]["depths"] == ["uint8"]


def test_it_goes_on_where_it_was_interrupted(outrider, shards, model, tmp_path, monkeypatch):
    from outrider.runtime.cli.workers import shards as sharding

    real = sharding.progress_bar

    class Interrupted:
        def __init__(self, *arguments, **settings):
            self._bar = real(*arguments, **settings)

        def __enter__(self):
            report = self._bar.__enter__()

            def stop(done):
                report(done)
                if done > 200:
                    raise KeyboardInterrupt

            return stop

        def __exit__(self, *error):
            return self._bar.__exit__(*error)

    files = shards(3, "whole.outrider")
    arguments = "profile", model, "digits:train", "--shard", "1/3", "-o", "again.outrider", "--quiet"
    monkeypatch.setattr(sharding, "progress_bar", Interrupted)
    result = outrider(*arguments)
    assert result.code == 130
    assert "the same command with --resume goes on from again.outrider.partial" in result.err
    monkeypatch.setattr(sharding, "progress_bar", real)
    assert "holds an interrupted run; go on with --resume" in error_of(outrider(*arguments))
    assert outrider(*arguments, "--resume").code == 0
    assert (tmp_path / "again.outrider").read_bytes() == (tmp_path / files[1]).read_bytes()
    assert not (tmp_path / "again.outrider.partial").exists()


def test_frames_that_cannot_be_read_are_left_out_by_any_number_of_workers(outrider, model, tmp_path):
    digits = load_dataset("digits", "train")
    save(tmp_path / "photos", digits.images[:200, 0])
    for row in (3, 70, 199):
        (tmp_path / "photos" / f"{row}.png").write_bytes(TORN)
    flags = "--no-labels", "--on-error", "skip", "--quiet"
    for workers in (1, 3):
        files = [f"{k}-{workers}.outrider" for k in range(workers)]
        problems = 0
        for k, file in enumerate(files):
            result = outrider("profile", model, "photos", "--shard", f"{k}/{workers}", "-o", file, *flags, "--json")
            problems += len(json.loads(result.out)["data"]["unreadable"])
        assert problems == 3
        assert outrider("merge", *files, "--network", model, "-o", f"{workers}.outrider").code == 0
    assert (tmp_path / "1.outrider").read_bytes() == (tmp_path / "3.outrider").read_bytes()
    assert json.loads(outrider("inspect", "1.outrider", "--json").out)["trusted"]["frames"] == 197


def test_missing_parts(outrider, shards, model):
    files = shards(3, "whole.outrider")
    said = error_of(outrider("merge", files[0], files[2], "--network", model, "-o", "some.outrider"))
    assert "missing: shard 1/3: rows" in said
    result = outrider("merge", files[0], files[2], "--network", model, "-o", "some.outrider", "--allow-missing")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: merged without all parts: missing: shard 1/3: rows")
    (change,) = json.loads(outrider("inspect", "some.outrider", "--json").out)["history"]
    assert change["what"] == "merged"
    assert "shard 1/3" in change["reason"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--shard", "3/3"), "argument --shard: expected 0/3 to 2/3, counted from 0, got '3/3'"),
        (("--shard", "1"), "argument --shard: expected K/N, such as 0/64 to 63/64, got '1'"),
        (("--shard", "0/0"), "argument --shard: expected"),
        (("--shard", "0/2", "--extend", "other.outrider"), "expected --extend without --shard"),
        (("--workers", "2"), "expected --workers with --engine ray, got it without"),
    ],
)
def test_bad_flags(outrider, model, flags, message):
    assert message in error_of(outrider("profile", model, "digits:train", "-o", "x.outrider", *flags))


def test_a_threshold_of_many_workers_is_that_of_one(outrider, model, profiled, monkeypatch, tmp_path):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    common = profiled, "digits:train", "--rows", "1000:", "--network", model
    for k in range(3):
        result = outrider("calibrate", *common, "--shard", f"{k}/3", "-o", f"scores-{k}.outrider")
        assert (result.code, result.err) == (0, "")
        assert f"shard {k}/3" in result.out
    files = [f"scores-{k}.outrider" for k in (2, 0, 1)]
    result = outrider("calibrate", profiled, "--scores", *files, "-o", "many.outrider", "--false-alarm-rate", "0.05")
    assert result.code == 0
    assert result.out.startswith("437 held-out frames: 219 set the scales, 218 the threshold\nfalse-alarm rate 0.05")
    assert outrider("calibrate", *common, "-o", "one.outrider", "--false-alarm-rate", "0.05").code == 0
    assert (tmp_path / "many.outrider").read_bytes() == (tmp_path / "one.outrider").read_bytes()
    said = error_of(outrider("calibrate", profiled, "--scores", *files[:2], "-o", "x.outrider"))
    assert "expected the scores of all shards, got others; missing: rows" in said


def test_flags_of_a_threshold_wait_for_all_scores(outrider, model, profiled):
    common = "calibrate", profiled, "digits:train", "--network", model, "--shard", "0/2"
    assert "expected --shard with -o FILE" in error_of(outrider(*common))
    said = error_of(outrider(*common, "-o", "x.outrider", "--false-alarm-rate", "0.1", "--per-class"))
    assert "expected --shard without --false-alarm-rate, --per-class" in said
    said = error_of(outrider("calibrate", profiled, "digits:train", "--scores", "x.outrider"))
    assert "expected --scores alone, got DATA too" in said
    assert "expected DATA, --scores FILE, --threshold X or --from LOG" in error_of(outrider("calibrate", profiled))


def test_two_fleets(outrider, model, tmp_path):
    for name, rows in (("a", ":700"), ("b", "700:")):
        assert outrider("profile", model, "digits:train", "--rows", rows, "-o", f"{name}.outrider").code == 0
    result = outrider("merge", "a.outrider", "b.outrider", "--network", model, "-o", "both.outrider", "--json")
    assert result.code == 0
    assert json.loads(result.out)["trusted"]["frames"] == 1437
    assert "no trusted frame is at hand" in result.err
