"""The engine matrix: the same calls under every engine give the same balances, bills and reputations.

What a block does is the application's; the engine adds its own part to state and receipts and may not touch a market's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_matrix import ENGINES, EngineChain, address

from contracts.library_sources import AuctionMode, CommunityMode, Tariffs
from deploy.network import MarketMode

PEOPLE = ("sun one", "sun two", "load one", "load two")
READ = {"sun one": (900, 0), "sun two": (150, 0), "load one": (0, 1_200), "load two": (0, 400)}
"""What meters of the four say: generated, used; Wh."""
SLOT = 6
COMMUNITY = "community_vpp"


def community_day(chain: EngineChain) -> None:
    """Two sellers of whom one falls short, a buyer who uses more than it bought, one without a trade."""
    chain.go_slot(SLOT, -3)
    first = chain.done("sun one", COMMUNITY, "offer", SLOT, 900, 90_000)
    second = chain.done("sun two", COMMUNITY, "offer", SLOT, 600, 110_000)
    chain.done("load one", COMMUNITY, "submit_bid", SLOT, first, 900, 95_000)
    chain.done("load two", COMMUNITY, "submit_bid", SLOT, second, 400, 120_000)
    chain.go_slot(SLOT, 1)
    for name, (generation, use) in READ.items():
        chain.read(name, SLOT, generation, use)
    chain.go_slot(SLOT, 6)


def auction_day(chain: EngineChain) -> None:
    """Orders that match at home; a seller falls short, a buyer uses more."""
    chain.go_slot(SLOT, -4)
    for name, side, wh, price in (
        ("sun one", "sell", 900, 480_000),
        ("sun two", "sell", 600, 500_000),
        ("load one", "buy", 1_000, 620_000),
        ("load two", "buy", 500, 600_000),
    ):
        chain.done(name, "double_auction", "submit_order", SLOT, side, wh, price, "reference")
    chain.go_slot(SLOT, 1)
    for name, (generation, use) in READ.items():
        chain.read(name, SLOT, generation, use)
    chain.go_slot(SLOT, 6)


def outcome(chain: EngineChain) -> dict[str, Any]:
    """What people have, owe and are worth, and the total of the money."""
    found: dict[str, Any] = {"supply": chain.query("token", "supply")}
    for name in PEOPLE:
        meter = address(f"meter of {name}")
        found[name] = {
            "account": chain.query("token", "account", address(name)),
            "bill": chain.query("bills", "bill", meter, SLOT, SLOT),
            "lines": chain.query("bills", "bill_lines", SLOT, meter),
            "provider": chain.query("bills", "provider", meter, SLOT),
        }
    return found


MARKETS: dict[str, tuple[MarketMode, Tariffs, Any]] = {
    "community": (CommunityMode(sealed=False), Tariffs(feed=60_000, retail=180_000), community_day),
    "auction": (AuctionMode(sealed=False), Tariffs(), auction_day),
}


@pytest.mark.parametrize("market", MARKETS)
def test_the_same_calls_give_the_same_everywhere(market: str, tmp_path: Path) -> None:
    mode, tariffs, story = MARKETS[market]
    found: dict[str, dict[str, Any]] = {}
    for engine in ENGINES:
        chain = EngineChain(engine, mode, tariffs, tmp_path / engine)
        for name in PEOPLE:
            chain.join(name)
        story(chain)
        found[engine] = outcome(chain)
    reference = found["solo"]
    assert reference["load one"]["lines"], "nothing was settled"
    assert reference["load one"]["account"] != reference["load two"]["account"]
    for engine in ENGINES[1:]:
        assert found[engine] == reference, engine
