"""A chain with one market of the library, its members approved by the registry, money from the treasury."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from contracts.library_sources import (
    HOUR_MS,
    AuctionMode,
    Calendar,
    CommunityMode,
    LibraryParameters,
    MatchingMode,
    Tariffs,
)
from contracts.sealed_orders import commitment
from node.conformance.world import INSTITUTIONS, account, meter
from node.market_days.members import HOURS, Household
from node.market_days.strategies import Order, Players
from node.market_days.village import Village

Mode = AuctionMode | CommunityMode | MatchingMode

OPEN, REVEAL, T1, T2, LATE = 4, 3, 2, 1, 4
"""Gates of the calendar in slots before delivery, and after it."""
FUNDS: Final = 10**13


def calendar(slots: int, slot_ms: int = HOUR_MS, late_slots: int = LATE) -> Calendar:
    """A calendar of so many slots; the first window opens at time 0."""
    return Calendar(
        slot_ms=slot_ms, slot0_ms=OPEN * slot_ms, last_slot=slots - 1, open_slots=OPEN, reveal_slots=REVEAL,
        t1_slots=T1, t2_slots=T2, late_slots=late_slots,
    )  # fmt: skip


class MarketDay(Village):
    """What a household's gateway does, call by call. Names stand for accounts and meters."""

    def __init__(self, parameters: LibraryParameters, market: str) -> None:
        super().__init__(parameters)
        self.market = market
        self.sealed = parameters.mode.sealed
        self.names: list[str] = []
        self._nonces = 0

    def member(self, name: str, role: str, device: str, rated_w: int) -> None:
        """A member with money for the day."""
        self.join(name, device, rated_w, FUNDS, role=role)
        self.names.append(name)

    def call(self, name: str, entry: str, *arguments: Any) -> Any:
        """A call of the market by a member."""
        return self.send(account(name), self.market, entry, *arguments)

    def by_meter(self, name: str, contract: str, entry: str, *arguments: Any) -> Any:
        """A call with the key of a member's meter."""
        return self.send(meter(name), contract, entry, *arguments)

    def read(self, slot: int, name: str, generation_wh: int, use_wh: int) -> None:
        """The reading of a slot, after its delivery."""
        self.by_meter(name, "metering", "submit_reading", slot, generation_wh, use_wh)

    def seal(self, name: str, entry: str, period: int, order: bytes) -> bytes:
        """Commit to an order; the nonce that opens it."""
        self._nonces += 1
        nonce = hashlib.sha256(self._nonces.to_bytes(8, "big")).digest()
        self.call(name, entry, period, commitment(order, nonce, account(name), period))
        return nonce

    def earned(self, name: str) -> int:
        """What a member has now and had not at the beginning, in micro-currency."""
        found = self.query("token", "account", account(name))
        return int(found["balance"] + found["escrow"] - found["debt"] - FUNDS)


class HouseholdDay(MarketDay):
    """Households on a market of hours: each window is played when it opens, meters report when their hour is over."""

    def __init__(self, market: str, mode: Mode, players: Players, members: Sequence[Household]) -> None:
        tariffs = Tariffs(feed=players.feed, retail=players.retail)
        super().__init__(LibraryParameters(INSTITUTIONS, calendar(HOURS), mode, tariffs), market)
        self.players = players
        self.members = members
        for member in members:
            self.member(member.name, "prosumer", "pv", member.rated_w)

    def orders(self, hour: int) -> tuple[list[Order], list[Order]]:
        """What honest members and strategists order of themselves, in an hour."""
        return self.players.in_turn(
            [self.players.household(member, hour) for member in self.members if member.surplus(hour)]
        )

    def play(self, trade: Callable[[int], None], report: Callable[[int], None]) -> dict[str, int]:
        """Call `trade` when the window of an hour opens and `report` when its delivery is over. What each member has
        gained over the grid alone, in micro-currency."""
        for hour in range(HOURS + 2 * OPEN):
            self.go_slot(hour, -OPEN)
            if hour < HOURS:
                trade(hour)
            if 0 <= hour - OPEN - 1 < HOURS:
                report(hour - OPEN - 1)
        return {member.name: self.earned(member.name) - self.players.alone(member) for member in self.members}

    def read_all(self, hour: int) -> None:
        """The readings of an hour."""
        for member in self.members:
            surplus = member.surplus(hour)
            self.read(hour, member.name, max(0, surplus), max(0, -surplus))
