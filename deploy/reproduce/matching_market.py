"""Market D on its deployed contracts, cycle after cycle, as its experiments need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from contracts.library_sources import HOUR_MS, MATCHING, Calendar, LibraryParameters, MatchingMode
from node.conformance.world import INSTITUTIONS, account, meter
from node.market_days.village import Village

CONTRACTS: Final = ("registry", "token", "metering", "routing", "assignment", "matching")
"""The instances that decide the results."""

_FUNDS: Final = 10**15
_STRIDE: Final = 5
"""Slots from one cycle of an experiment to the next: the window opens three slots ahead, settlement comes two later."""


def published_mode(**changes: Any) -> MatchingMode:
    """The published rules: no option of the hardened column."""
    rules: dict[str, Any] = {
        "sealed": False, "v_cap": 0, "ceiling": False, "self_trade": True, "checked": False, "weighted": False,
        "third_meter": False,
    }  # fmt: skip
    return MatchingMode(**{**rules, **changes})


@dataclass(frozen=True, slots=True)
class Deal:
    """An electronic order after the match: its number, the names of its parties, Wh."""

    number: int
    user: str
    provider: str
    wh: int


@dataclass(frozen=True, slots=True)
class Table:
    """A cycle's assignment: users and providers are positions by id; M below 0: not allowed. `choice`: a
    provider for each user, their number for nobody. `by`: exact, submitted, partial or greedy."""

    wh: tuple[int, ...]
    capacity: tuple[int, ...]
    m: tuple[tuple[int, ...], ...]
    choice: tuple[int, ...]
    served: int
    sum_m: int
    by: str


class Matching:
    """Market D on its deployed contracts, cycle after cycle; devices report, orders settle by the scheduled call."""

    def __init__(self, mode: MatchingMode, cycles: int, users: int, providers: int, watts: int) -> None:
        calendar = Calendar(
            slot_ms=HOUR_MS, slot0_ms=5 * HOUR_MS, last_slot=cycles * _STRIDE, grace_slots=1, late_slots=1
        )
        self.world = Village(LibraryParameters(INSTITUTIONS, calendar, mode))
        self.users = [f"user {place}" for place in range(1, users + 1)]
        self.providers = [f"provider {place}" for place in range(1, providers + 1)]
        self._names = {bytes(meter(name)): name for name in (*self.users, *self.providers)}
        for name in self.users:
            self.world.join(name, "load", watts, _FUNDS)
        for name in self.providers:
            self.world.join(name, "pv", watts, _FUNDS)

    def open(self, cycle: int) -> int:
        """Move on to the window of a cycle; the slot to trade in."""
        slot = cycle * _STRIDE
        self.world.go_slot(slot, -3)
        return slot

    def offer(self, slot: int, provider: str, wh: int, price: int) -> None:
        """A provider's offer."""
        self.world.send(account(provider), MATCHING, "offer", slot, wh, price)

    def request(self, slot: int, user: str, wh: int, limit: int) -> None:
        """A user's request."""
        self.world.send(account(user), MATCHING, "request", slot, wh, limit)

    def match(self, slot: int) -> list[Deal]:
        """Let gate and match pass; the orders."""
        self.world.go_slot(slot, -1)
        found = self.world.query(MATCHING, "cycle", slot)
        deals = []
        for number in range(found["first_order"], found["first_order"] + found["orders"]):
            order = self.world.query(MATCHING, "order", number)
            names = self._names[order["user"]], self._names[order["provider"]]
            deals.append(Deal(number, *names, order["wh"]))
        return deals

    def deliver(self, slot: int, sent: dict[int, int]) -> None:
        """Both devices report the same Wh for each order; the cycle settles and reputations follow."""
        self.world.go_slot(slot, 1)
        for number, wh in sent.items():
            order = self.world.query(MATCHING, "order", number)
            for device in (order["provider"], order["user"]):
                self.world.send(device, MATCHING, "report", number, wh)
        self.world.go_slot(slot, 2)

    def reputation(self, provider: str) -> int:
        """RC in ppm."""
        return int(self.world.query(MATCHING, "performance", meter(provider))["rc"])

    def table(self, slot: int) -> Table:
        """What the contract assigned from, and what it chose, after the match."""
        found = self.world.query(MATCHING, "table", slot)
        rows = self.world.query(MATCHING, "schedule_of", slot)["users"]
        state = self.world.query(MATCHING, "cycle", slot)
        place = {meter: at for at, meter in enumerate(found["providers"])}
        nobody = len(place)
        choice = tuple(nobody if row["provider"] is None else place[row["provider"]] for row in rows)
        return Table(
            tuple(found["wh"]), tuple(found["capacity"]), tuple(map(tuple, found["m"])), choice, state["served"],
            state["sum_m"], state["by"],
        )  # fmt: skip
