"""Nodes are joined along one tree, in whichever order they come."""

from __future__ import annotations

import itertools

import pytest

from outrider.monitor.shards.tree import Tree


def tree():
    """Joins texts so that they show how they were joined."""
    return Tree(lambda left, right: f"({left}{right})")


WHOLE = "(((01)(23))((45)(67)))"


@pytest.mark.parametrize("order", list(itertools.permutations(range(8)))[::401])
def test_the_order_does_not_matter(order):
    found = tree()
    for leaf in order:
        found.add((0, leaf), str(leaf))
    assert list(found) == [((3, 0), WHOLE)]
    assert found.whole(3) == WHOLE


@pytest.mark.parametrize("cuts", [(0, 8), (0, 3, 8), (0, 1, 2, 7, 8), (0, 5, 6, 8), tuple(range(9))])
def test_nor_does_who_learned_what(cuts):
    found = tree()
    for start, stop in reversed(list(itertools.pairwise(cuts))):
        part = tree()
        for leaf in range(start, stop):
            part.add((0, leaf), str(leaf))
        assert len(part) <= 4  # two of each level below the root's
        for place, held in part:
            found.add(place, held)
    assert found.whole(3) == WHOLE


def test_nodes_come_in_the_order_of_their_shards():
    found = tree()
    for leaf in (6, 3, 1, 2):
        found.add((0, leaf), str(leaf))
    assert [place for place, _ in found] == [(0, 1), (1, 1), (0, 6)]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [({0}, "((1(23))((45)(67)))"), ({2, 3}, "((01)((45)(67)))"), ({0, 1, 2, 3, 5, 6, 7}, "4"), (set(range(8)), None)],
)
def test_missing_nodes_count_as_empty(missing, expected):
    found = tree()
    for leaf in {*range(8)} - missing:
        found.add((0, leaf), str(leaf))
    assert found.whole(3) == expected
    assert len(found) == 0


def test_a_node_comes_once():
    found = tree()
    found.add((0, 0), "0")
    with pytest.raises(ValueError, match="expected each node once, got node 0 of level 0 twice"):
        found.add((0, 0), "0")
