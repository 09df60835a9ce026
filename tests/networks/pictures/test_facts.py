"""What pictures are like, and which of them are strange."""

import json

import numpy as np
import pytest

from outrider.networks.pictures.facts import PictureFacts, has_bars

DRAW = np.random.default_rng(0)


def noise(height=60, width=80, channels=3, dtype="uint8"):
    return DRAW.integers(0, 256, (channels, height, width)).astype(dtype)


def boxed(picture, above=0, beside=0, level=0, rough=0):
    margins = (0, 0), (above, above), (beside, beside)
    made = np.pad(picture.astype(int), margins, constant_values=level)
    return (made + DRAW.integers(0, rough + 1, made.shape)).clip(0, 255).astype(picture.dtype)


def learned(*pictures):
    facts = PictureFacts()
    for picture in pictures:
        facts.add(picture)
    return facts


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (noise(), False),
        (boxed(noise(), above=5), True),
        (boxed(noise(), beside=5, level=114), True),
        (boxed(noise(), above=5, rough=7), True),
        (boxed(noise(channels=1), beside=2), True),
        (boxed(noise(dtype="float32"), above=5), True),
        (boxed(noise(), above=5, beside=5), False),
        (np.zeros((3, 60, 80), np.uint8), False),
        (np.pad(noise(), ((0, 0), (9, 0), (0, 0))), False),
    ],
)
def test_bars_stand_on_two_sides(picture, expected):
    assert has_bars(picture) is expected


@pytest.mark.parametrize(
    ("picture", "kinds"),
    [
        (noise(120, 160), []),
        (noise(60, 82), []),
        (noise(60, 83), ["aspect"]),
        (noise(60, 77), ["aspect"]),
        (noise(dtype="uint16"), ["depth"]),
        (noise(channels=1), ["colours"]),
        (boxed(noise(48, 80), above=6), ["bars"]),
        (noise(90, 160, 1, "float32"), ["aspect", "depth", "colours"]),
    ],
)
def test_what_is_unlike_is_named(picture, kinds):
    facts = learned(noise(), noise(30, 40))
    assert [kind for kind, _ in facts.strange(picture, stretched=True)] == kinds
    unstretched = [kind for kind, _ in facts.strange(picture, stretched=False)]
    assert unstretched == [kind for kind in kinds if kind != "aspect"]
    assert [kind for kind, _ in facts.strange(picture, stretched=True, said=kinds[1:])] == kinds[:1]


def test_what_was_learned_both_ways_is_never_strange():
    facts = learned(noise(), boxed(noise(48), above=6), noise(channels=1), noise(40, 100, dtype="uint16"))
    for picture in (noise(60, 100), boxed(noise(48), above=6), noise(channels=1, dtype="uint16")):
        assert not list(facts.strange(picture, stretched=True))


def test_a_stream_without_the_bars_that_were_learned_is_strange():
    facts = learned(boxed(noise(48, 80), above=6))
    ((kind, text),) = facts.strange(noise(), stretched=True)
    assert kind == "bars"
    assert text.startswith("no bars beside what it shows, where the profile was learned from pictures with bars; feed")


def test_facts_survive_json_and_read_well():
    facts = learned(noise(), boxed(noise(48), above=6), noise(channels=1), noise(40, 100, dtype="uint16"))
    assert PictureFacts.from_dict(json.loads(json.dumps(facts.to_dict()))) == facts
    assert str(facts) == "uint16 and uint8, grey and colour, width : height 1.33 to 2.50, some with bars"
    assert str(learned(noise())) == "uint8, colour, width : height 1.33"


@pytest.mark.parametrize(
    "change",
    [{"depths": []}, {"depths": ["int8"]}, {"channels": [2]}, {"bars": ["no"]}, {"aspect": [2, 1]},
     {"aspect": [0, 1]}, {"aspect": [1, float("nan")]}, {"aspect": [1, float("inf")]}],
)  # fmt: skip
def test_other_facts_are_refused(change):
    with pytest.raises(ValueError, match="expected the facts of pictures, got"):
        PictureFacts.from_dict(learned(noise()).to_dict() | change)


def test_facts_merge_in_any_order():
    some = noise(), noise(40, 80, 1), boxed(noise(), above=5), noise(60, 60, dtype="uint16")
    whole = learned(*some)
    for cut in range(5):
        mine, theirs = learned(*some[cut:]), learned(*some[:cut])
        mine.merge(theirs)
        assert mine.to_dict() == whole.to_dict()
