"""Strategies on the deployed markets: reproducible, conserving, and what each rule lets a ring do."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.draws import draw, hit, uniform
from node.market_days import auction, community, matching, wind
from node.market_days.comparison import MARKETS, RULES, Setting, compare, share_of
from node.market_days.day import FUNDS, HouseholdDay
from node.market_days.members import neighbourhood
from node.market_days.strategies import STRATEGIES, Players, chosen_strategists

SEED = 11


def played(
    market: str, strategy: Any, mode: Any, ring: frozenset[str] | None = None, seed: int = SEED, size: int = 6
) -> dict[str, int]:
    found = MARKETS[market]
    members = neighbourhood(seed, size)
    names = [member.name for member in members]
    chosen = chosen_strategists(seed, names, 300_000) if ring is None else ring
    return found.gains(members, Players(seed, strategy, chosen, found.feed, found.retail), mode)


def test_the_reference_generator_gives_the_numbers_of_the_specification() -> None:
    assert draw(7, "delay", 0, 1, 0) == 4409887953014408653
    assert uniform(20_001, 7, "delay", 0, 1, 0) == 6607
    share = 4409887953014408653 * 1_000_000 // 2**64
    assert hit(share + 1, 7, "delay", 0, 1, 0)
    assert not hit(share, 7, "delay", 0, 1, 0)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_day_is_the_same_every_time(market: str, strategy: Any) -> None:
    for mode in MARKETS[market].modes:
        assert played(market, strategy, mode) == played(market, strategy, mode)


@pytest.mark.parametrize("market", ["B", "C", "D"])
def test_truthful_members_never_lose_against_the_grid(market: str) -> None:
    """Who orders at the grid's prices gets these or better ones; B: with the fee in its price, but for a trade that the
    second pass splits."""
    for mode in MARKETS[market].modes:
        found = played(market, "truthful", mode, frozenset())
        lost = {name: gain for name, gain in found.items() if gain < 0}
        assert sum(found.values()) > 0
        assert all(gain >= (-30_000 if market == "B" else 0) for gain in lost.values()), lost


def test_gains_are_what_the_accounts_hold_beyond_the_grid() -> None:
    """The chain's own money is the measure: nothing is left in escrow, and supply is deposits."""
    members = neighbourhood(SEED, 6)
    players = Players(SEED, "truthful", frozenset(), 450_000, 670_000)
    day = HouseholdDay("double_auction", auction.DEFAULT, players, members)
    gains = day.play(lambda hour: auction._order(day, hour), day.read_all)
    assert set(gains) == {member.name for member in members}
    rows = day.query("token", "page", b"", 100)
    assert all(row[2] == 0 for row in rows), "escrow is left"
    assert sum(row[1] + row[2] - row[3] for row in rows) == FUNDS * len(members)


def ring_of(market: str, mode: Any) -> int:
    """What the ring gains in all by acting as one, over being truthful."""
    total = 0
    for seed in range(SEED, SEED + 6):
        members = neighbourhood(seed, 12)
        ring = chosen_strategists(seed, [member.name for member in members], 300_000)
        with_ring = played(market, "collude", mode, ring, seed, 12)
        without = played(market, "truthful", mode, frozenset(), seed, 12)
        total += sum(with_ring[name] - without[name] for name in ring)
    return total


@pytest.mark.parametrize(
    ("market", "modes"),
    [
        ("A", (wind.PUBLISHED, wind.DEFAULT)),
        ("B", (community.PUBLISHED, community.DEFAULT)),
        ("C", (auction.PUBLISHED, auction.DEFAULT)),
        ("D", (matching.PUBLISHED, matching.DEFAULT)),
    ],
)
def test_a_ring_gains_more_under_the_published_rules_than_under_the_default(
    market: str, modes: tuple[Any, Any]
) -> None:
    published, default = (ring_of(market, mode) for mode in modes)
    assert published > default, (published, default)


def test_a_comparison_counts_every_member_once() -> None:
    done: list[int] = []
    published, default = compare(Setting("C", "markup", 250_000, 8, 5, 2), done.append)
    assert done == [5, 6]
    for report, rules in zip((published, default), RULES, strict=True):
        assert report.rules == rules
        assert (report.strategists.member_days, report.honest.member_days) == (4, 12)
        for group in (report.strategists, report.honest):
            assert group.gain is not None
            assert group.gain.p5 <= group.gain.median <= group.gain.p95
    nobody, _ = compare(Setting("C", "markup", 0, 4, 1, 1), done.append)
    assert nobody.strategists.gain is None
    assert nobody.honest.over_truthful is not None
    assert nobody.honest.over_truthful.p95 == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [("0.3", 300_000), ("1", 1_000_000), ("0", 0), (".5", 500_000), ("1.0", 1_000_000), ("0.000001", 1),
     ("1.1", None), ("-0.1", None), ("0.", None), ("", None), (".", None), ("0.1234567", None), ("x", None),
     ("1e-1", None), ("0,3", None), ("٣", None)],
)  # fmt: skip
def test_shares_are_read_exactly(text: str, found: int | None) -> None:
    assert share_of(text) == found
