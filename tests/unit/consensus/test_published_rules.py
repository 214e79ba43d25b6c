"""Scores, election, round and shards of the published mechanisms: what conformance cases do not say."""

from __future__ import annotations

import random

import pytest

from consensus.composite_score import ONE, composite_scores
from consensus.election import elect
from consensus.published_round import published_round
from consensus.published_shards import EpochRoots, proxy_of, published_epochs

A, B, C = (bytes([65 + number]) for number in range(3))


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_shares_and_keep_what_did_not_trade(seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)
    nodes = [bytes([number]) for number in range(8)]
    trades = {
        node: [(draw.randrange(5_000), draw.randrange(12_000)) for _ in range(draw.randrange(4))] for node in nodes
    }
    previous = {node: draw.randrange(ONE + 1) for node in nodes[:5]}
    scores = composite_scores(trades, previous, draw.randrange(ONE + 1))
    assert set(scores) == set(nodes)
    for node in nodes:
        assert 0 <= scores[node] <= ONE
        if not trades[node]:
            assert scores[node] == previous.get(node, 0)


@pytest.mark.parametrize("seed", range(20))
def test_an_election_does_not_depend_on_the_order_of_its_input(seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)
    nodes = [bytes([number]) for number in range(9)]
    scores = {node: draw.randrange(4) for node in nodes}
    ballots = {node: draw.sample(nodes, draw.randrange(9)) for node in nodes if draw.random() < 0.6}
    barred = set(draw.sample(nodes, 3))
    first = elect(scores, ballots, 4, barred)
    mixed = {node: scores[node] for node in draw.sample(nodes, len(nodes))}
    assert elect(mixed, dict(reversed(ballots.items())), 4, sorted(barred)) == first
    assert not barred & {*first.queue, *first.votes}
    ranks = [(-first.votes[node], -scores[node], node) for node in first.queue]
    assert ranks == sorted(ranks)
    assert sum(first.votes.values()) <= 4 * sum(scores.values())


def test_ties_of_an_election_go_by_id_and_an_empty_ballot_names_nobody() -> None:
    assert elect({B: 1, A: 1, C: 1}, {}, 2).queue == (A, B)
    assert dict(elect({A: 3, B: 2}, {A: []}, 1).votes) == {A: 2, B: 0}


def test_a_round_with_half_of_the_agents_and_one_more_honest_is_accepted_with_less_not() -> None:
    """Item 4: N/2 + 1 honest including the producer suffice; what they hold against is a majority of other digests."""
    for size in range(2, 12):
        agents = [bytes([number]) for number in range(size)]
        for honest in range(1, size + 1):
            digests = {agent: b"h" if number < honest else b"x%d" % number for number, agent in enumerate(agents)}
            done = published_round(agents, digests, agents[0], b"h")
            assert done.accepted == (2 * (honest - 1) >= size), (size, honest)


def test_the_example_of_proxies_and_the_end_of_a_bar() -> None:
    genesis = "0" * 64
    assert proxy_of(genesis, "s0", 0, ("x", "y"), ()) == "x"
    assert proxy_of(genesis, "s1", 0, ("z", "w"), ()) == "z"
    wrong = EpochRoots({"s0": "bad"}, {"s0": "good"})
    right = EpochRoots({"s0": "good"}, {})
    done = published_epochs({"s0": ("x", "y")}, [wrong, right, right, right, right], genesis, 3)
    assert [epoch.barred for epoch in done] == [(), ("x",), ("x",), ("x",), ()]
    assert [epoch.fixes for epoch in done[:3]] == [(), (("s0", "bad", "good"),), ()]
