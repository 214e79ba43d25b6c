"""The development neighbourhood of each market: it settles in, and its market takes an order."""

from __future__ import annotations

import pytest
from solo_world import found_solo, open_solo

from contracts.library_sources import COMMUNITY
from contracts.sealed_orders import auction_order, commitment, day_ahead_order, matching_order
from deploy.commands_dev import DAY_SLOTS, residents_of, settle_in
from deploy.market.roster import MARKETS
from node.client import Client

NONCE = bytes(range(32))
WHOLE_DAY = ([500] * DAY_SLOTS, [500_000] * DAY_SLOTS)


def order(letter: str, period: int, sender: bytes) -> tuple[str, list]:
    """The first call of an order of `prosumer1`, sealed."""
    if letter == "B":
        return "offer", [period, 500, 500_000]
    entry, text = {
        "A": ("commit_day", day_ahead_order("buy", *WHOLE_DAY)),
        "C": ("commit_order", auction_order("sell", 500, 500_000, "keep")),
        "D": ("commit", matching_order("offer", 500, 500_000)),
    }[letter]
    return entry, [period, commitment(text, NONCE, sender, period)]


@pytest.mark.asyncio
@pytest.mark.parametrize("letter", MARKETS)
async def test_dev_settles_in_and_takes_a_sealed_order(tmp_path, letter):
    market = MARKETS[letter]
    names = tuple(name for resident in residents_of(letter) for name in (resident.name, f"{resident.name}_meter"))
    layout = found_solo(
        tmp_path / "net", accounts=names, mode=market.mode(sealed=True, slots=DAY_SLOTS), strangers=True, speed=20
    )
    async with open_solo(layout) as solo, Client.open(solo.url) as client:
        await settle_in(client, layout)
        key = solo.key("prosumer1")
        view = {"A": "open_days", "B": "open_slots", "C": "open_slots", "D": "open_cycles"}[letter]
        periods = await client.view(market.contract, view)
        assert isinstance(periods, list)
        entry, arguments = order(letter, max(periods), key.address)
        outcome = await client.account(key).call(market.contract, entry, arguments)
        assert outcome.ok, outcome
        assert letter != "B" or market.contract == COMMUNITY
