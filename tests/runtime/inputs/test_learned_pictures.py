"""Pictures held against those that a profile was learned from."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.networks import Preprocessing
from outrider.runtime.inputs.learned_pictures import comparing, remembering

PICTURE = np.random.default_rng(0).integers(0, 256, (3, 30, 40), np.uint8)


def watched(preprocessing, facts):
    network = SimpleNamespace(preprocessing=preprocessing)
    return SimpleNamespace(network=network, learned=SimpleNamespace(trusted=SimpleNamespace(pictures=facts)))


def learned(preprocessing, *pictures):
    taken, facts = remembering(SimpleNamespace(preprocessing=preprocessing))
    for picture in pictures:
        np.testing.assert_array_equal(taken(picture), preprocessing(picture))
    assert taken == preprocessing
    return facts


def test_what_was_learned_passes_without_a_word():
    pytest.importorskip("PIL.Image")
    told = Preprocessing((8, 8))
    facts = learned(told, PICTURE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparing(watched(told, facts))(PICTURE)


def test_every_kind_is_said_once_with_the_number_of_the_picture():
    pytest.importorskip("PIL.Image")
    told = Preprocessing((8, 8))
    taken = comparing(watched(told, learned(told, PICTURE)))
    taken(PICTURE)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", OutriderWarning)
        for _ in range(3):
            taken(PICTURE[:, :20])
        taken(PICTURE.astype(np.uint16))
    first, second = (str(one.message) for one in said)
    assert first.startswith(
        "picture 2 has 40 x 20 pixels, width : height 2.00, where the profile was learned from 1.33"
    )
    assert second.startswith("picture 5 has numbers of uint16, where the profile was learned from uint8; see that")


@pytest.mark.parametrize(
    "told", [Preprocessing(), Preprocessing((8, 8), fit="letterbox"), Preprocessing((8, 8), fit="crop")]
)
def test_shapes_matter_only_where_they_are_stretched(told):
    pytest.importorskip("PIL.Image")
    taken = comparing(watched(told, learned(told, PICTURE)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        taken(PICTURE[:, :20])


def test_every_stream_is_named_and_compared_for_itself():
    pytest.importorskip("PIL.Image")
    told = Preprocessing((8, 8))
    monitor = watched(told, learned(told, PICTURE))
    front, rear = comparing(monitor, "front"), comparing(monitor, "rear")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", OutriderWarning)
        rear(PICTURE)
        rear(PICTURE[:1])
        front(PICTURE[:1])
    assert [str(one.message)[:31] for one in said] == [
        "rear: picture 2 has one channel",
        "front: picture 1 has one channe",
    ]


def test_without_pictures_or_facts_nothing_is_compared():
    told = Preprocessing()
    assert remembering(SimpleNamespace(preprocessing=None)) == (None, None)
    assert comparing(watched(None, learned(told, PICTURE))) is None
    assert comparing(watched(told, None)) is told
