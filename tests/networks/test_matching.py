"""Which tap is which, by name, path, position and value."""

from __future__ import annotations

from outrider.networks import Tap, bind

from .shown import Fake, bound, first, frames, second, tap, third


def test_paths_bind_whatever_the_order():
    a = Fake({tap("l1.relu"): first, tap("l2.relu"): second})
    b = Fake({tap("t2", paths=("l2.relu", "l2")): second, tap("t1", paths=("l1.relu",)): first}, "two")
    expected = [("l1.relu", "t1", "path"), ("l2.relu", "t2", "path"), ("scores", "scores", "position")]
    for given in (None, frames()):
        binding = bind(a, b, given)
        assert bound(binding) == expected
        assert binding.unbound == ()
    assert (binding.frames, binding.output, binding.predictions_differ, binding.largest) == (6, 0, 0, 0)
    assert bind(a, b).largest is None


def test_the_innermost_shared_path_wins():
    a = Fake({tap("block"): second, tap("block.relu"): first})
    b = Fake({tap("t", paths=("block.relu", "block")): first}, "two")
    assert bound(bind(a, b, frames()))[0] == ("block.relu", "t", "path")
    ((left,)) = bind(a, b, frames()).unbound
    assert (left.side, left.tap.name) == ("a", "block")


def test_names_bind_within_an_engine_only():
    a, b = ({tap("r"): first, tap("s"): second}, {tap("s"): second, tap("r"): first})
    assert bound(bind(Fake(a), Fake(b), frames()))[:2] == [("r", "r", "name"), ("s", "s", "name")]
    assert [how for *_, how in bound(bind(Fake(a), Fake(b, "two")))] == ["path", "path", "position"]


def test_position_among_taps_of_one_operator_and_size():
    a = Fake({tap("a1"): first, tap("c", "conv2d", 3, neurons="channel"): lambda x: x[:, :3], tap("a2"): second})
    b = Fake({tap("b1"): first, tap("b2"): second, tap("k", "conv", 3, neurons="channel"): lambda x: x[:, :3]}, "two")
    expected = [("a1", "b1", "position"), ("c", "k", "position"), ("a2", "b2", "position")]
    assert bound(bind(a, b))[:3] == bound(bind(a, b, frames()))[:3] == expected


def test_values_decide_where_the_position_misleads():
    a = Fake({tap("a1"): first, tap("a2"): second})
    b = Fake({tap("b1"): second, tap("b2"): first}, "two")
    assert bound(bind(a, b))[:2] == [("a1", "b1", "position"), ("a2", "b2", "position")]
    assert bound(bind(a, b, frames()))[:2] == [("a1", "b2", "value"), ("a2", "b1", "value")]


def test_values_decide_among_more_candidates():
    a = Fake({tap("a", "silu"): second})
    b = Fake({tap("b1", "mul"): first, tap("b2", "mul"): second, tap("b3", "mul"): third}, "two")
    binding = bind(a, b, frames())
    assert bound(binding)[0] == ("a", "b2", "value")
    assert {unbound.tap.name for unbound in binding.missing("b")} == {"b1", "b3"}
    binding = bind(a, b)
    assert bound(binding) == [("scores", "scores", "position")]
    assert binding.missing("a")[0].reason == "it could be b1:unit, b2:unit, b3:unit; frames would tell"


def test_values_correct_a_path():
    a = Fake({tap("conv"): first, tap("norm"): second})
    b = Fake({tap("folded", paths=("conv",)): lambda x: second(x) + 1e-6, tap("other"): first}, "two")
    assert bound(bind(a, b))[0] == ("conv", "folded", "path")
    assert bound(bind(a, b, frames()))[:2] == [("conv", "other", "value"), ("norm", "folded", "value")]


def test_a_path_whose_values_differ_stays_where_nothing_fits_better():
    a = Fake({tap("l"): first, tap("m"): second})
    b = Fake({tap("t", paths=("l",)): third, tap("u", paths=("m",)): second}, "two")
    row = bind(a, b, frames()).rows[0]
    assert (row.b.name, row.how) == ("t", "path")
    assert row.difference > 0.1


def test_what_cannot_be_bound_says_why():
    a = Fake({tap("a1"): first, tap("a2"): lambda x: -first(x), tap("wide", size=3): lambda x: x[:, :3]})
    b = Fake({tap("b1"): lambda x: third(x) + 9, tap("b2"): lambda x: 9 - third(x), tap("b3"): first}, "two")
    reasons = {unbound.tap.name: unbound.reason for unbound in bind(a, b, frames()).unbound}
    assert reasons["wide"] == "no tap there has its 3 neurons taken by unit"
    assert reasons["a2"].startswith("it could be b1:unit, b2:unit, of which none fits clearly: the nearest differs by ")
    twice = Fake({tap("a1"): first, tap("a2"): first})
    reasons = {unbound.tap.name: unbound.reason for unbound in bind(twice, b, frames()).unbound}
    assert "what fits it best is bound to another: b3:unit" in reasons["a2"] or "none fits clearly" in reasons["a1"]


def test_units_of_another_shape_are_other_neurons():
    maps = [Tap("m", "relu", shape, "NCHW", "float32", "unit") for shape in ((2, 1, 2), (1, 2, 2))]
    left = bind(Fake({maps[0]: first}), Fake({maps[1]: first}, "two"), frames()).missing()
    assert left[0].reason == "no tap there has its 4 neurons taken by unit"


def test_rows_bind_to_as_many_rows_and_varying_ones_to_those_that_are_as_many():
    four, two, varying = (Tap("d", "relu", (2,), "NC", "float32", "unit", rows=rows) for rows in (4, 2, None))
    assert bind(Fake({four: first}), Fake({two: first}, "two"), frames()).missing()
    there = Tap("e", "relu", (2,), "NC", "float32", "unit", rows=None)
    every = Fake({varying: lambda x: x.reshape(-1, 2)})
    (row, _) = bind(every, Fake({there: lambda x: x.reshape(-1, 2)}, "two"), frames()).rows
    assert row.difference == 0
    (row, _) = bind(every, Fake({there: lambda x: x.reshape(-1, 2)[1:]}, "two"), frames()).rows
    assert row.difference == float("inf")
