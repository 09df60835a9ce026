"""Texts are held to the rules by a search that knows nothing of how they were drawn."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from outrider.networks.testbed.grammar import GRAMMARS, LETTERS, LONGEST, Grammar

SAFE, UNSAFE = range(3), range(3, 6)


@pytest.fixture(scope="module")
def grammar():
    return Grammar.drawn(np.random.default_rng(0))


def parses(grammar, text, pair, g):
    """Whether a text is a piece of what a pair of the branches' nodes derives, by trying every cut."""

    @cache
    def derives(symbols, begin, end, from_within, to_within):
        # symbols derive text[begin:end]; the first may lack its beginning, the last its end, or be missing
        if begin == end:
            return False
        (level, node), rest = symbols[0], symbols[1:]
        if rest:
            return (
                (from_within and derives(rest, begin, end, True, to_within))
                or (to_within and derives(symbols[:-1], begin, end, from_within, True))
                or any(
                    derives(symbols[:1], begin, cut, from_within, False) and derives(rest, cut, end, False, to_within)
                    for cut in range(begin + 1, end)
                )
            )
        if level < len(grammar.lower):
            choices = grammar.lower[level].children[node].tolist()
            below = [tuple((level + 1, child) for child in choice if child >= 0) for choice in choices]
            return any(derives(children, begin, end, from_within, to_within) for children in below)
        starts = range(3) if from_within else range(1)
        leaves = [tuple(leaf) for leaf in grammar.leaves[g, node].tolist()]
        wanted = text[begin:end]
        return any(
            leaf[i : i + len(wanted)] == wanted and (to_within or i + len(wanted) == 3)
            for leaf in leaves
            for i in starts
        )

    return derives(tuple((0, node) for node in pair), 0, len(text), True, True)


def trigrams(grammar, nodes, g):
    """The leaves that can stand below some of the branches' nodes."""
    level = set(nodes)
    for rules in grammar.lower:
        level = {child for node in level for child in rules.children[node].ravel().tolist() if child >= 0}
    return {tuple(leaf) for node in level for leaf in grammar.leaves[g, node].tolist()}


def covered(text, leaves):
    """Whether a cut of leaves in a row gives the text: for one of three offsets each piece is (part of) a leaf."""
    for offset in range(3):
        pieces = [text[max(begin, 0) : begin + 3] for begin in range(offset - 3, len(text), 3)]
        if all(
            any(leaf[i : i + len(piece)] == piece for leaf in leaves for i in range(4 - len(piece)))
            for piece in pieces
            if piece
        ):
            return True
    return False


def drawn(grammar, branches, n=60, seed=1):
    rng = np.random.default_rng(seed)
    lengths, grammars = rng.integers(25, 36, n), rng.integers(GRAMMARS, size=n)
    return grammar.texts(branches, lengths, grammars, rng), lengths, grammars


def test_it_has_seven_levels_and_every_grammar_every_letter(grammar):
    assert 3 + len(grammar.lower) + 1 == 7  # root, tops, branches, two more of rules, leaves, letters
    for leaves in grammar.leaves:
        assert set(leaves.ravel().tolist()) == set(range(LETTERS))
    assert all((a != b).any() for a, b in itertools.combinations(grammar.leaves, 2))


def test_every_branch_can_be_reached_and_every_rule_has_two_or_three_children(grammar):
    assert set(grammar.tops.children[grammar.tops.children >= 0].tolist()) == set(range(6))
    for rules in (grammar.tops, *grammar.lower):
        assert set((rules.children >= 0).sum(axis=2).ravel().tolist()) <= {2, 3}


@pytest.mark.parametrize("branches", [("safe", "safe"), ("unsafe", "unsafe"), ("safe", "unsafe"), None])
def test_texts_have_the_lengths_asked_for_and_end_there(grammar, branches):
    texts, lengths, _ = drawn(grammar, branches)
    places = np.arange(LONGEST)
    assert texts.shape == (60, LONGEST)
    assert ((texts >= 0) == (places < lengths[:, None])).all()
    assert texts.max() < LETTERS


@pytest.mark.parametrize(("branches", "nodes"), [(("safe", "safe"), SAFE), (("unsafe", "unsafe"), UNSAFE)])
def test_a_text_is_cut_from_leaves_of_its_own_grammar_and_branch(grammar, branches, nodes):
    texts, lengths, grammars = drawn(grammar, branches)
    for text, length, g in zip(texts.tolist(), lengths, grammars, strict=True):
        assert covered(tuple(text[:length]), trigrams(grammar, nodes, g))


def test_the_search_tells_other_branches_and_grammars_apart(grammar):
    texts, lengths, grammars = drawn(grammar, ("unsafe", "unsafe"))
    of_safe = [
        covered(tuple(t[:n]), trigrams(grammar, SAFE, g))
        for t, n, g in zip(texts.tolist(), lengths, grammars, strict=True)
    ]
    other = [
        covered(tuple(t[:n]), trigrams(grammar, UNSAFE, (g + 1) % 4))
        for t, n, g in zip(texts.tolist(), lengths, grammars, strict=True)
    ]
    assert not any(of_safe)
    assert not any(other)


def test_texts_are_pieces_of_sentences(grammar):
    kinds = [((("safe", "unsafe"), [(a, b) for a in SAFE for b in UNSAFE]))]
    kinds += [((("unsafe", "unsafe"), [(a, b) for a in UNSAFE for b in UNSAFE]))]
    for branches, pairs in kinds:
        texts, lengths, grammars = drawn(grammar, branches, n=6)
        for text, length, g in zip(texts.tolist(), lengths, grammars, strict=True):
            piece = tuple(text[:length])
            assert any(parses(grammar, piece, pair, g) for pair in pairs)
            assert not any(parses(grammar, piece[::-1], pair, g) for pair in pairs)


def test_intermediate_texts_change_branch_in_their_middle_fifth(grammar):
    texts, lengths, grammars = drawn(grammar, ("safe", "unsafe"))
    for text, length, g in zip(texts.tolist(), lengths, grammars, strict=True):
        safe, unsafe = trigrams(grammar, SAFE, g), trigrams(grammar, UNSAFE, g)
        parted = [
            covered(tuple(text[:cut]), safe) and covered(tuple(text[cut:length]), unsafe)
            for cut in range(int(0.4 * length), int(0.6 * length) + 2)
        ]
        assert any(parted)


def test_the_same_seed_gives_the_same_texts_and_another_others(grammar):
    one, two, other = (drawn(grammar, None, seed=seed)[0] for seed in (1, 1, 2))
    assert (one == two).all()
    assert not (one == other).all()
