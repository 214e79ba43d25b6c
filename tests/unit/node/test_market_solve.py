"""`gridchain market solve` against the deployed contracts, without a network: what it submits is taken."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from market_world import INSTITUTIONS, MarketWorld, address
from matching_world import D, MatchingWorld
from price_world import PRICES, PriceWorld
from wind_world import A

from contracts.library_sources import AUCTION
from contracts.solvers.milp import installed
from contracts.values import Value, decode_value
from ledger.crypto import Address
from ledger.errors import ConfigError
from node.cli.market_auction import DoubleAuction
from node.cli.market_matching import Matching
from node.cli.market_solve import solve_cycle, solve_sheet, solved
from node.client import Refusal

CYCLE = 6


class WorldChain:
    """The command's chain: a world, and who sends."""

    def __init__(self, world: MarketWorld, sender: Address) -> None:
        self.world, self.sender = world, sender

    async def view(self, contract: str, entry: str, *arguments: Value) -> Any:
        return self.world.query(contract, entry, *arguments)

    async def call(self, contract: str, entry: str, *arguments: Value) -> Any:
        receipt = self.world.send(self.sender, contract, entry, *arguments)
        if not receipt.ok:
            raise Refusal("refused", code=receipt.code, expected="ok", found=receipt.code, fix="")
        return decode_value(receipt.value) if receipt.value else None


def cycle_world() -> MatchingWorld:
    world = MatchingWorld()
    for name in ("anna", "bert", "paul", "pia"):
        world.member(name, funds=10**10)
    world.go_slot(CYCLE, -3)
    world.offer("paul", CYCLE, 2_000, 460_000)
    world.offer("pia", CYCLE, 3_000, 500_000)
    world.request("anna", CYCLE, 1_500)
    world.request("bert", CYCLE, 1_200)
    return world


def test_an_assignment_is_submitted_between_gate_and_match_only() -> None:
    world = cycle_world()
    chain = WorldChain(world, address("anna"))
    with pytest.raises(ConfigError) as early:
        asyncio.run(solve_cycle(chain, CYCLE, wait=False))
    assert (early.value.code, early.value.found) == ("NOT_CLOSED", "open")
    world.go_slot(CYCLE, -2)
    found = asyncio.run(solve_cycle(chain, CYCLE, wait=True))
    assert (found["users"], found["providers"], found["served"]) == (2, 2, 2)
    taken = world.query(D, "solution", CYCLE)
    assert (taken["by"], taken["served"], taken["sum_m"]) == (address("anna"), 2, found["sum_m"])
    world.go_slot(CYCLE, -1)
    with pytest.raises(ConfigError) as late:
        asyncio.run(solve_cycle(chain, CYCLE, wait=True))
    assert late.value.code == "NOT_CLOSED"


@pytest.mark.skipif(not installed(), reason="the extra `solvers` (HiGHS) is not installed")
def test_a_sheet_is_opened_solved_and_its_prices_are_posted() -> None:
    world = PriceWorld(seed=3, followers=2, slots=3)
    stranger = WorldChain(world, address("p0"))
    with pytest.raises(Refusal) as refusal:
        asyncio.run(solve_sheet(stranger, 0, levels=3, wait=False))
    assert refusal.value.code == "NOT_ALLOWED"
    chain = WorldChain(world, Address(INSTITUTIONS.trading_center))
    found = asyncio.run(solve_sheet(chain, 0, levels=3, wait=False))
    assert (found["slots"], found["followers"], len(found["prices"])) == (3, 2, 3)
    assert world.query(PRICES, "taken", 0)["score"] == found["score"]
    world.go_slot(0, -1)
    assert world.query(A, "slot", 0)["posted"] is True


def test_a_market_without_problems_for_solvers_says_so() -> None:
    world = MarketWorld()
    market = DoubleAuction(world.query(AUCTION, "parameters"))
    with pytest.raises(ConfigError) as refusal:
        asyncio.run(solved(WorldChain(world, address("anna")), market, 1, levels=5, wait=False))
    assert refusal.value.code == "OTHER_MARKET"
    asked = Matching(MatchingWorld().query(D, "parameters"))
    assert asked.letter == "D"
