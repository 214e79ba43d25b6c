"""Turns, tickets, the auction, penalties and standings of the sharded engine: one test a rule."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from shard_world import key_of

from consensus.published_shards import proxy_of
from consensus.sharded.auction import Quote, clear, cost
from consensus.sharded.discipline import (
    ONE,
    Offence,
    ShardRules,
    Standing,
    accuracy_after,
    apportion,
    lag,
    lagging,
    sentence,
    silence,
    split_pool,
)
from consensus.sharded.turns import (
    HIGHEST_TARGET,
    LOWEST_TARGET,
    Lottery,
    Ticket,
    hash_order,
    proposer_order,
    publish_delay_ms,
    publish_order,
    retarget,
    search_ticket,
    ticket_hash,
    valid_ticket,
)
from ledger.crypto import ZERO_HASH
from ledger.errors import GenesisError

PEOPLE = tuple(key_of(f"p{n}") for n in range(4))
EASY = Lottery("c", "r", 3, ZERO_HASH, HIGHEST_TARGET // 16)
RULES = ShardRules()


def test_hash_order_is_the_published_one() -> None:
    """Who is first is the published proxy."""
    for epoch in range(8):
        order = hash_order("00", "s0", epoch, PEOPLE)
        names = [member.hex() for member in PEOPLE]
        assert order[0].hex() == proxy_of("00", "s0", epoch, names, ())
        assert sorted(order) == sorted(PEOPLE)


def test_tickets_order_proposers_and_the_rest_follow() -> None:
    found = [search_ticket(EASY, member, 0, 60) for member in PEOPLE[:3]]
    tickets = [ticket for ticket in found if ticket is not None]
    assert len(tickets) == 3
    order = proposer_order(EASY, tickets, PEOPLE)
    hashes = [ticket_hash(EASY, ticket.member, ticket.nonce) for ticket in tickets]
    assert order[:3] == tuple(t.member for _, t in sorted(zip(hashes, tickets, strict=True), key=lambda pair: pair[0]))
    assert order[3] == PEOPLE[3]
    for seed in range(5):
        print("seed", seed)
        mixed = tickets * 2
        random.Random(seed).shuffle(mixed)
        assert proposer_order(EASY, mixed, PEOPLE) == order


def test_a_ticket_is_the_best_of_its_search_and_more_of_them_buy_no_second_place() -> None:
    ticket = search_ticket(EASY, PEOPLE[0], 0, 200)
    assert ticket is not None
    assert ticket_hash(EASY, PEOPLE[0], ticket.nonce) == min(ticket_hash(EASY, PEOPLE[0], n) for n in range(200))
    many = [Ticket("r", 3, PEOPLE[0], nonce) for nonce in range(200)]
    assert proposer_order(EASY, many, PEOPLE).count(PEOPLE[0]) == 1
    assert proposer_order(EASY, many, PEOPLE) == proposer_order(EASY, [ticket], PEOPLE)


def test_of_many_tickets_the_best_counts_in_whatever_order_they_come() -> None:
    wide = replace(EASY, target=HIGHEST_TARGET)
    many = [Ticket("r", 3, member, nonce) for nonce in range(20) for member in PEOPLE]
    best = {member: min(ticket_hash(wide, member, nonce) for nonce in range(20)) for member in PEOPLE}
    expected = tuple(sorted(PEOPLE, key=lambda member: best[member]))
    for seed in range(10):
        print("seed", seed)
        random.Random(seed).shuffle(many)
        assert proposer_order(wide, many, PEOPLE) == expected


@pytest.mark.parametrize(
    "ticket",
    [
        Ticket("other", 3, PEOPLE[0], 0),
        Ticket("r", 4, PEOPLE[0], 0),
        Ticket("r", 3, key_of("stranger"), 0),
    ],
)
def test_tickets_of_elsewhere_do_not_count(ticket: Ticket) -> None:
    everything = replace(EASY, target=HIGHEST_TARGET)
    assert valid_ticket(everything, Ticket("r", 3, PEOPLE[0], 0), PEOPLE)
    assert not valid_ticket(everything, ticket, PEOPLE)
    assert not valid_ticket(replace(everything, work=False), Ticket("r", 3, PEOPLE[0], 0), PEOPLE)


def test_without_work_or_tickets_the_hash_orders() -> None:
    expected = hash_order(EASY.previous.hex(), "r", 3, PEOPLE)
    assert proposer_order(EASY, (), PEOPLE) == expected
    ticket = search_ticket(EASY, PEOPLE[3], 0, 200)
    assert ticket is not None
    assert proposer_order(replace(EASY, work=False), [ticket], PEOPLE) == expected
    assert search_ticket(replace(EASY, target=LOWEST_TARGET), PEOPLE[0], 0, 50) is None


def test_the_target_follows_the_tickets_within_bounds() -> None:
    middle = 1 << 230
    assert retarget(middle, 4, 4) == middle
    assert retarget(middle, 2, 4) == 2 * middle
    assert retarget(middle, 8, 4) == middle // 2
    assert retarget(middle, 1, 100) == 4 * middle
    assert retarget(middle, 100, 1) == middle // 4
    assert retarget(middle, 0, 4) == 4 * middle
    assert retarget(HIGHEST_TARGET, 0, 4) == HIGHEST_TARGET
    assert retarget(LOWEST_TARGET, 100, 4) == LOWEST_TARGET


def test_publishers_step_in_one_after_the_other() -> None:
    assert publish_order(PEOPLE, {PEOPLE[0]}) == PEOPLE[1:]
    assert publish_order(PEOPLE, set(PEOPLE)) == PEOPLE
    order = publish_order(PEOPLE, {PEOPLE[0]})
    assert [publish_delay_ms(order, member, 500) for member in PEOPLE] == [None, 0, 500, 1_000]


def test_the_clearing_is_total_and_pays_within_both_limits() -> None:
    buys = [Quote(b"b1", b"x", 500, 300), Quote(b"b2", b"y", 500, 300), Quote(b"b3", b"z", 900, 100)]
    sells = [Quote(b"s1", b"u", 700, 101), Quote(b"s2", b"v", 100, 300), Quote(b"s3", b"w", 900, 301)]
    expected = [(b"b1", b"s1", 500, 200), (b"b2", b"s1", 200, 200), (b"b2", b"s2", 100, 300)]
    for seed in range(10):
        print("seed", seed)
        random.Random(seed).shuffle(buys)
        random.Random(seed + 1).shuffle(sells)
        assert [(m.buy, m.sell, m.wh, m.price) for m in clear(buys, sells)] == expected
    assert cost(200, 1_004) == 200
    assert clear([Quote(b"b", b"x", 5, 9)], [Quote(b"s", b"x", 5, 1)]) == ()


def test_a_wash_trade_steps_over_its_own_offer() -> None:
    found = clear([Quote(b"b", b"x", 5, 9)], [Quote(b"s1", b"x", 5, 1), Quote(b"s2", b"y", 5, 2)])
    assert [(m.sell, m.wh) for m in found] == [(b"s2", 5)]


def test_the_punishment_table() -> None:
    lying = sentence(RULES, Offence.LYING, 1_000, ONE, 5)
    assert (lying.fine, lying.barred_until, lying.removed) == (100, 13, False)
    assert sentence(RULES, Offence.CERTIFIED_INVALID, 1_000, 0, 5).fine == 200
    assert sentence(RULES, Offence.CERTIFIED_INVALID, 999, 500_000, 5).fine == 149
    both = sentence(RULES, Offence.TWO_RECORDS, 1_000, ONE, 5)
    assert (both.fine, both.removed) == (1_000, True)
    harsh = replace(RULES, lying_ppm=ONE)
    assert sentence(harsh, Offence.LYING, 1_000, 0, 5).fine == 1_000


def test_accuracy_moves_by_four_tenths() -> None:
    assert accuracy_after(ONE, True) == ONE
    assert accuracy_after(ONE, False) == 600_000
    assert accuracy_after(600_000, True) == 760_000
    assert accuracy_after(1, True) == 400_000


def test_the_pool_is_split_whole() -> None:
    blocks = {b"a": 2, b"b": 1, b"c": 1, b"d": 0}
    assert split_pool(100, blocks, {}) == {b"a": 50, b"b": 25, b"c": 25}
    assert split_pool(100, blocks, {b"a": 500_000}) == {b"a": 34, b"b": 33, b"c": 33}
    assert split_pool(100, {}, {}) == {}
    assert split_pool(100, {b"a": 1}, {b"a": 0}) == {}


@pytest.mark.parametrize("seed", range(10))
def test_apportioning_loses_nothing(seed: int) -> None:
    print("seed", seed)
    draw = random.Random(seed)
    weights = [draw.randrange(50) for _ in range(draw.randrange(1, 8))]
    total = draw.randrange(200)
    parts = apportion(total, weights)
    assert sum(parts) == (total if sum(weights) else 0)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)
    if 0 < total <= sum(weights):
        assert all(part <= weight for part, weight in zip(parts, weights, strict=True))


def test_silence_makes_stale_then_suspended() -> None:
    found = [silence(RULES, 7, 7 + quiet) for quiet in (0, 2, 3, 9, 10, 99)]
    current, stale, suspended = Standing.CURRENT, Standing.STALE, Standing.SUSPENDED
    assert found == [current, current, stale, stale, suspended, suspended]


def test_lag_has_to_be_made_up_wholly() -> None:
    assert (lag(9, 4), lag(4, 9)) == (5, 0)
    assert [lagging(RULES, False, behind) for behind in (0, 3, 4)] == [False, False, True]
    assert [lagging(RULES, True, behind) for behind in (0, 1)] == [False, True]


@pytest.mark.parametrize(
    "wrong", [{"stale_rounds": 0}, {"takeover_rounds": 3}, {"fee_ppm": ONE + 1}, {"lying_ppm": -1}]
)
def test_rules_that_no_network_may_have(wrong: dict[str, int]) -> None:
    with pytest.raises(GenesisError, match="out of range"):
        ShardRules(**wrong)  # type: ignore[arg-type]  # integers of integer fields
