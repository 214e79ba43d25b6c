"""A member's gateway: it turns committed phase events into signed forecasts, orders and readings.

It has no clock. A window opens when the chain has committed `SlotOpened`, a delivery has ended when it has committed
`SlotDelivered`; late or early the gateway only answers. The meter's key signs forecasts and readings, the owner's key
signs orders. Each gateway is a task of its own with its own keys and nonces; the connections to the nodes are shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from contracts.values import Value
from deploy.generator import ask_price, bid_price
from deploy.neighbourhood import Member, Plan, Side
from ledger.crypto import SigningKey
from node.client_account import NonceSource, build_transaction

GAS_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class WindowOpened:
    """Orders and forecasts for `slot` are taken from here on."""

    slot: int


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """The meters of `slot` stand still: readings are taken from here on."""

    slot: int


Phase = WindowOpened | DeliveryEnded


def phase_of(contract: str, name: str, slot: int) -> Phase | None:
    """The phase that an event announces, None for any other event."""
    if contract != "double_auction":
        return None
    if name == "SlotOpened":
        return WindowOpened(slot)
    return DeliveryEnded(slot) if name == "SlotDelivered" else None


class Signer:
    """A key that nobody else signs with: every transaction has a new nonce, and no node need be asked for it."""

    __slots__ = ("_chain_id", "_key", "_nonces")

    def __init__(self, key: SigningKey, chain_id: str) -> None:
        self._key = key
        self._chain_id = chain_id
        self._nonces = NonceSource()

    @property
    def address(self) -> bytes:
        """The account of the key."""
        return self._key.address

    def call(self, contract: str, entry: str, *arguments: Value) -> bytes:
        """The bytes of a signed call."""
        return build_transaction(
            self._key, self._chain_id, self._nonces.take(), (contract, entry, arguments), GAS_LIMIT
        )


@dataclass(frozen=True, slots=True)
class Household:
    """A member of the data with the two keys that speak for it."""

    member: Member
    owner: Signer
    meter: Signer


class Gateway:
    """Answers phases for one household from its plan. `home` is the node it prefers to talk to."""

    def __init__(self, household: Household, plan: Plan, seed: int, home: int) -> None:
        self._household = household
        self._forecast = plan.forecast[household.member.name]
        self._measured = plan.measured[household.member.name]
        self._seed = seed
        self._answered: set[Phase] = set()
        self._phases: asyncio.Queue[Phase] = asyncio.Queue()
        self.home = home

    def tell(self, phase: Phase) -> None:
        """Hand over a committed phase event."""
        self._phases.put_nowait(phase)

    async def run(self, post: Callable[[bytes, int], None]) -> None:
        """Answer phases for ever; `post` takes the bytes and the node to try first."""
        while True:
            for raw in self.answer(await self._phases.get()):
                post(raw, self.home)

    def answer(self, phase: Phase) -> list[bytes]:
        """Signed transactions for a phase; none for a phase that was answered before or a slot outside the day."""
        if phase in self._answered or not 0 <= phase.slot < len(self._forecast):
            return []
        self._answered.add(phase)
        match phase:
            case WindowOpened(slot):
                return self._forecast_and_order(slot)
            case DeliveryEnded(slot):
                return [self._reading(slot)]
            case _:
                assert_never(phase)

    def _forecast_and_order(self, slot: int) -> list[bytes]:
        house, wh = self._household, self._forecast[slot]
        name, side = house.member.name, house.member.side
        signed = [house.meter.call("metering", "submit_forecast", slot, side.value, wh)]
        if wh > 0:
            selling = side is Side.GENERATION
            price = ask_price(self._seed, name, slot) if selling else bid_price(self._seed, name, slot)
            kind = "sell" if selling else "buy"
            signed.append(house.owner.call("double_auction", "submit_order", slot, kind, wh, price, "reference"))
        return signed

    def _reading(self, slot: int) -> bytes:
        wh = self._measured[slot]
        made, used = (wh, 0) if self._household.member.side is Side.GENERATION else (0, wh)
        return self._household.meter.call("metering", "submit_reading", slot, made, used)
