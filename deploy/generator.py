"""Prices of the demo's members by the reference generator (`ledger/draws.py`)."""

from __future__ import annotations

from ledger.draws import uniform

_ASK_FLOOR = 450_000
_BID_FLOOR = 500_000
_SPREAD = 170_001


def ask_price(seed: int, name: str, slot: int) -> int:
    """What the seller `name` (the data's column) asks in `slot` (index in the day): 450,000 to 620,000 a kWh."""
    return _ASK_FLOOR + uniform(_SPREAD, seed, "ask", name, slot)


def bid_price(seed: int, name: str, slot: int) -> int:
    """What the buyer `name` bids in `slot`: 500,000 to 670,000 a kWh."""
    return _BID_FLOOR + uniform(_SPREAD, seed, "bid", name, slot)
