"""A day of market A with what each storage owner declares by its strategy.

One wind producer sells its forecast to one load the day before, at one price. Its output differs by up to three tenths
either way; it announces the difference an hour ahead, the operator posts a peer-to-peer price between that of the day
before and the balancing price, and the storages' owners have declared what they can take or give. What is in a storage
is worth the day-ahead price, moving a kWh costs its owner a little.

    truthful, random, withhold  all that the storage can do, a random part of it, half of it
    markup                      the costs of discharging are declared too high
    collude                     a Wh for each hour is kept back, so that there is a trade in every hour, however small:
                                under the published rule any trade counts for the rank
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contracts.library_sources import WIND, LibraryParameters, Tariffs
from contracts.sealed_orders import day_ahead_order
from contracts.wind_mode import WindMode
from ledger.crypto import Address
from ledger.draws import uniform
from node.conformance.world import INSTITUTIONS, meter
from node.market_days.day import OPEN, REVEAL, MarketDay, calendar
from node.market_days.members import HOURS, Household
from node.market_days.strategies import Players

PUBLISHED: Final = WindMode(
    sealed=False, da_clearing=False, netting=False, removal=False, tiny=True, capped=False, metered=False,
    clamp=False, self_trade=True,
)  # fmt: skip
DEFAULT: Final = WindMode(sealed=True)

_PRODUCER, _LOAD = "wind", "load"
_OPERATOR: Final = Address(INSTITUTIONS.trading_center)
_DAY_AHEAD, _MOVING, _MARKUP_COST = 50_000, 1_000, 8_000
_DEFICIT_PRICE, _SURPLUS_PRICE = 56_000, 44_000
_STORAGE_WH, _POWER_WH = 6_000, 2_000
_MEAN_WH_PER_HOUSEHOLD = 3_000


def gains(members: Sequence[Household], players: Players, mode: WindMode) -> dict[str, int]:
    """What each storage owner gains over its bill without the market on a day, in micro-currency: money, what is in
    the storage in the end more than in the beginning, less what moving it cost."""
    return _WindDay(members, players, mode).play()


def _kept_open(wh: int) -> int:
    """What can be moved at most, without the last Wh of each hour; one of these, if there is nothing else."""
    return min(wh, max(1, min(wh - HOURS, _POWER_WH)))


class _WindDay(MarketDay):
    def __init__(self, members: Sequence[Household], players: Players, mode: WindMode) -> None:
        tariffs = Tariffs(feed=players.feed, retail=players.retail)
        when = calendar(HOURS, late_slots=3 * HOURS)
        super().__init__(LibraryParameters(INSTITUTIONS, when, mode, tariffs), WIND)
        self.members, self.players, self.mode = members, players, mode
        size = _MEAN_WH_PER_HOUSEHOLD * len(members)
        self.forecast = [size * (500 + uniform(1_001, players.seed, "wind", hour)) // 1_000 for hour in range(HOURS)]
        self.actual = [
            wh * (700 + uniform(601, players.seed, "error", hour)) // 1_000 for hour, wh in enumerate(self.forecast)
        ]
        self.member(_PRODUCER, "producer", "wind", 4 * size)
        self.member(_LOAD, "consumer", "load", 4 * size)
        self.stored = {member.name: _STORAGE_WH // 2 for member in members}
        self.moved = dict.fromkeys(self.stored, 0)
        self.flows: dict[tuple[str, int], int] = {}
        self.declared: dict[str, tuple[int, int, int]] = {}
        self.known: dict[str, tuple[int, int, int]] = {}
        for member in members:
            self.member(member.name, "prosumer", "storage", member.rated_w + 2 * _POWER_WH)

    def play(self) -> dict[str, int]:
        self.go_slot(0, -OPEN)
        self._day_ahead()
        for hour in range(HOURS):
            self.go_slot(hour, -2)
            self._deliver(hour - 1)
            self._declare(hour)
        self.go_slot(HOURS, -2)
        self._deliver(HOURS - 1)
        for hour in range(HOURS):
            self.go_slot(hour, 1)
            self._read(hour)
        self.go_slot(HOURS, OPEN + 3 * HOURS)
        return {member.name: self._gain(member) for member in self.members}

    def _day_ahead(self) -> None:
        for member in self.members:
            for hour, wh in enumerate(member.use_wh):
                self.by_meter(member.name, "metering", "submit_forecast", hour, "demand", wh)
        prices = [_DAY_AHEAD] * HOURS
        if not self.mode.da_clearing:
            self.send(_OPERATOR, WIND, "post_day", 0, prices)
        if not self.sealed:
            self.call(_PRODUCER, "offer_day", 0, self.forecast, prices)
            self.call(_LOAD, "bid_day", 0, self.forecast, prices)
            return
        sides = ((_PRODUCER, "sell"), (_LOAD, "buy"))
        nonces = [
            self.seal(name, "commit_day", 0, day_ahead_order(side, self.forecast, prices)) for name, side in sides
        ]
        self.go_slot(0, -REVEAL)
        for (name, side), nonce in zip(sides, nonces, strict=True):
            self.call(name, "reveal_day", 0, side, self.forecast, prices, nonce)

    def _declare(self, hour: int) -> None:
        deviation = self.actual[hour] - self.forecast[hour]
        self.call(_PRODUCER, "announce", hour, self.actual[hour])
        self.send(_OPERATOR, WIND, "post_prices", hour, [_SURPLUS_PRICE if deviation > 0 else _DEFICIT_PRICE])
        for member in self.members:
            name = member.name
            up, down, stored = self._reserve(name, hour)
            known = self.known.get(name)
            if known is not None and self.mode.capped:  # the chain remembers what a storage has left and takes no more
                up, down, stored = min(up, known[0]), min(down, known[1]), min(stored, known[2])
            up = min(up, stored)
            self.declared[name] = (up, down, stored)
            dear = _MARKUP_COST if self.players.of(name) == "markup" else 0
            self.call(name, "reserve", hour, up, down, _MOVING + dear, _DAY_AHEAD + _MOVING + dear, stored)

    def _reserve(self, name: str, hour: int) -> tuple[int, int, int]:
        """Up, down and state of charge that a member declares, in Wh."""
        stored = self.stored[name]
        up, down = min(stored, _POWER_WH), min(_STORAGE_WH - stored, _POWER_WH)
        match self.players.of(name):
            case "random":
                part = uniform(1_001, self.players.seed, "part", name, hour)
                return up * part // 1_000, down * part // 1_000, stored
            case "withhold":
                return up // 2, down // 2, stored
            case "collude":
                return _kept_open(stored), _kept_open(_STORAGE_WH - stored), stored
            case _:
                return up, down, stored

    def _deliver(self, hour: int) -> None:
        """What was matched for an hour moves, as far as its owner lets it."""
        if hour < 0:
            return
        names = {bytes(meter(member.name)): member.name for member in self.members}
        taken: dict[str, int] = {}
        for trade in self.query(WIND, "trades_of", hour):
            name = names[trade["prosumer"]]
            taken[name] = taken.get(name, 0) + (trade["wh"] if trade["surplus"] else -trade["wh"])
        for member in self.members:
            name = member.name
            wh = taken.get(name, 0)
            if wh:
                up, down, stored = self.declared[name]
                self.known[name] = (up + wh, down - wh, max(0, stored + wh))
            self.stored[name] += wh
            self.moved[name] += abs(wh)
            self.flows[name, hour] = wh

    def _read(self, hour: int) -> None:
        self.read(hour, _PRODUCER, self.actual[hour], 0)
        self.read(hour, _LOAD, 0, self.forecast[hour])
        for member in self.members:
            use = member.use_wh[hour] + self.flows[member.name, hour]
            self.read(hour, member.name, max(0, -use), max(0, use))

    def _gain(self, member: Household) -> int:
        name = member.name
        bill = sum(self.players.retail * wh // 1_000 for wh in member.use_wh)
        more = self.stored[name] - _STORAGE_WH // 2
        return self.earned(name) + bill + _DAY_AHEAD * more // 1_000 - _MOVING * self.moved[name] // 1_000
