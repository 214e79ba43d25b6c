"""Days of market B as the publication has them: three prosumers, seven consumers, half-hour slots, orders on forecasts,
meters that read something else.

Prices follow the ratio of supply to demand R (as offered and asked for in the slot): sellers ask p = ssp * sbp /
((ssp - sbp) * R + sbp), sbp from R = 1 on; buyers bid p * R + ssp * (1 - R), from R = 1 on sbp, and up to a part of
what is left to ssp more, by lot. The pricing model that the publication cites is not in its text; this is the usual one
of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from contracts.library_sources import COMMUNITY, HOUR_MS, ONE, CommunityMode, LibraryParameters, Tariffs
from deploy.neighbourhood import Side, load
from deploy.reproduce.inputs import Inputs
from ledger.draws import draw, uniform
from node.conformance.world import INSTITUTIONS, meter
from node.market_days.day import FUNDS, OPEN, MarketDay, calendar

SLOTS: Final = 48
SBP, SSP = 60_000, 180_000
PROSUMERS: Final = ("P1", "P2", "P3")
CONSUMERS: Final = ("C1", "C2", "C3", "C4", "C5", "C6", "C7")
HOUSEHOLDS: Final = (*PROSUMERS, *CONSUMERS)
_WATTS: Final = 10_000


def published_mode(**changes: Any) -> CommunityMode:
    """The published rules: no option of the hardened column."""
    rules: dict[str, Any] = {"sealed": False, "priority": False, "self_trade": True, "pool": False}
    return CommunityMode(**{**rules, **changes})


@dataclass(frozen=True, slots=True)
class Bid:
    """What a consumer bid for, what it got of it, and the price it bid, in Wh and micro-currency per kWh."""

    consumer: str
    wh: int
    price: int
    got_wh: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot after its settlement. `generation_wh`: what the roofs made; `net_wh`: what prosumers had left over.

    By household: `money` and `alone`, what the slot brought or cost in the market and with the grid alone; `errors`,
    the reading less what was expected, as a part of it. `contracts`: value of what each prosumer sold."""

    number: int
    generation_wh: int
    net_wh: int
    supply_wh: int
    demand_wh: int
    ask: int
    bids: tuple[Bid, ...]
    money: Mapping[str, int]
    alone: Mapping[str, int]
    errors: Mapping[str, float]
    contracts: Mapping[str, int]
    penalties: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """Supply over demand, as ordered."""
        return self.supply_wh / self.demand_wh

    @property
    def prices(self) -> list[int]:
        """Bid prices at which energy was bought."""
        return [bid.price for bid in self.bids if bid.got_wh]

    def gain(self, *names: str) -> int:
        """Money beyond what the grid alone gives, of some households together."""
        return sum(self.money[name] - self.alone[name] for name in names)


@cache
def curves() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sun and load of the shipped neighbourhood's mean June day by half hour: of the best half hour, and of the day's
    mean half hour, in ppm. Plants count by installed power, loads by their day's energy."""
    data = load()
    june = [day for day in data.days if "-06-" in day]
    sun, use = [0] * SLOTS, [0] * SLOTS
    for member in data.members:
        for day in june:
            energy = data.energy[day][member.name]
            weight = member.rated_w if member.side is Side.GENERATION else sum(energy)
            target = sun if member.side is Side.GENERATION else use
            for slot in range(SLOTS):
                target[slot] += (energy[2 * slot] + energy[2 * slot + 1]) * 10**9 // weight
    return tuple(wh * ONE // max(sun) for wh in sun), tuple(wh * ONE * SLOTS // sum(use) for wh in use)


def sell_price(supply_wh: int, demand_wh: int) -> int:
    """p of the ratio."""
    if supply_wh >= demand_wh:
        return SBP
    return SSP * SBP * demand_wh // ((SSP - SBP) * supply_wh + SBP * demand_wh)


def buy_price(supply_wh: int, demand_wh: int) -> int:
    """p * R + ssp * (1 - R)."""
    if supply_wh >= demand_wh:
        return SBP
    ask = sell_price(supply_wh, demand_wh)
    return (ask * supply_wh + SSP * (demand_wh - supply_wh)) // demand_wh


class CommunityDays(MarketDay):
    """The community on its deployed contract for some days. `sun_ppm` scales the roofs' output."""

    def __init__(self, inputs: Inputs, seed: int, mode: CommunityMode, sun_ppm: int = ONE) -> None:
        self.inputs, self.seed, self.sun_ppm = inputs, seed, sun_ppm
        self.slots = SLOTS * inputs.whole("days")
        tariffs = Tariffs(feed=SBP, retail=SSP)
        when = calendar(self.slots, HOUR_MS // 2)
        super().__init__(LibraryParameters(INSTITUTIONS, when, mode, tariffs), COMMUNITY)
        for name in HOUSEHOLDS:
            self.member(name, "prosumer", "pv" if name in PROSUMERS else "load", _WATTS)
        self._orders: dict[int, tuple[dict[str, int], dict[str, int], int, list[tuple[str, int, int, int, int]]]] = {}

    def run(self) -> list[Slot]:
        """Trade, deliver and settle all slots."""
        for slot in range(self.slots + 2 * OPEN):
            self.go_slot(slot, -OPEN)
            if slot < self.slots:
                self._trade(slot)
            if 0 <= slot - OPEN - 1 < self.slots:
                for name in HOUSEHOLDS:
                    self.read(slot - OPEN - 1, name, *self._reading(slot - OPEN - 1, name))
        return [self._settled(slot) for slot in range(self.slots)]

    def sums_to_zero(self) -> bool:
        """True if all accounts together hold what was deposited: members, grid and operator sum to zero."""
        found, after = 0, b""
        while rows := self.query("token", "page", after, 100):
            found += sum(balance + escrow - debt for _, balance, escrow, debt in rows)
            after = rows[-1][0]
        return found == FUNDS * len(HOUSEHOLDS)

    @staticmethod
    def sun_for(inputs: Inputs, ratio_ppm: int, slot: int) -> int:
        """The factor (ppm) on the roofs' output at which a slot of the day has a ratio, without noise."""
        load_ppm = curves()[1][slot]
        own, asked = (sum(inputs.wholes(name)) * load_ppm for name in ("prosumer_use_wh", "consumer_use_wh"))
        sun = sum(inputs.wholes("pv_wp")) * inputs.whole("peak_yield_ppm") // ONE * curves()[0][slot] * SLOTS // 2
        return (asked * ratio_ppm // ONE + own) * ONE // sun

    # -- what the households have

    def _varied(self, wh: int, part_ppm: int, *keys: str | int) -> int:
        """`wh`, up to a part of it more or less, drawn evenly."""
        return wh * (ONE - part_ppm + uniform(2 * part_ppm + 1, self.seed, *keys)) // ONE

    def _use(self, slot: int, name: str) -> int:
        daily = self.inputs.wholes("prosumer_use_wh" if name in PROSUMERS else "consumer_use_wh")
        place = PROSUMERS.index(name) if name in PROSUMERS else CONSUMERS.index(name)
        wh = daily[place] * curves()[1][slot % SLOTS] // (SLOTS * ONE)
        return self._varied(wh, self.inputs.whole("noise_ppm"), "use", name, slot)

    def _sun(self, slot: int, name: str) -> int:
        watts = self.inputs.wholes("pv_wp")[PROSUMERS.index(name)] * self.inputs.whole("peak_yield_ppm") // ONE
        wh = watts * curves()[0][slot % SLOTS] * self.sun_ppm // (2 * ONE * ONE)
        return self._varied(wh, self.inputs.whole("noise_ppm"), "sun", name, slot)

    def _expected(self, slot: int, name: str) -> int:
        """What a household expects to have left over; negative: to need."""
        return (self._sun(slot, name) if name in PROSUMERS else 0) - self._use(slot, name)

    def _reading(self, slot: int, name: str) -> tuple[int, int]:
        """Net output and net use, metered: what was expected, and the household's error."""
        expected = self._expected(slot, name)
        error = (
            self.inputs.whole("prosumer_error_ppm")
            if name in PROSUMERS
            else self.inputs.wholes("consumer_error_ppm")[CONSUMERS.index(name)]
        )
        wh = self._varied(abs(expected), error, "error", name, slot)
        return (wh, 0) if expected > 0 else (0, wh)

    # -- what they order

    def _trade(self, slot: int) -> None:
        expected = {name: self._expected(slot, name) for name in HOUSEHOLDS}
        supply = {name: wh for name, wh in expected.items() if name in PROSUMERS and wh > 0}
        demand = {name: -expected[name] for name in CONSUMERS}
        total = sum(supply.values()), sum(demand.values())
        ask, bid = sell_price(*total), buy_price(*total)
        quotations = {}
        for name, wh in supply.items():
            self.by_meter(name, "metering", "submit_forecast", slot, "generation", wh)
            quotations[self.call(name, "offer", slot, wh, ask)] = wh
        placed = []
        for name in sorted(demand, key=lambda name: draw(self.seed, "turn", name, slot)):
            if quotations:
                chosen = sorted(quotations)[uniform(len(quotations), self.seed, "lot", name, slot)]
                wh = min(demand[name], quotations[chosen])
                more = (SSP - bid) * uniform(self.inputs.whole("mark_up_ppm") + 1, self.seed, "price", name, slot)
                price = bid + more // ONE
                seq = self.call(name, "submit_bid", slot, chosen, wh, price)
                placed.append((name, chosen, seq, wh, price))
        self._orders[slot] = (supply, demand, ask, placed)

    # -- what became of it

    def _settled(self, slot: int) -> Slot:
        supply, demand, ask, placed = self._orders[slot]
        entries = {name: self.query(COMMUNITY, "settlement", slot, meter(name)) for name in HOUSEHOLDS}
        readings = {name: self._reading(slot, name) for name in HOUSEHOLDS}
        expected = {name: self._expected(slot, name) for name in HOUSEHOLDS}
        got: dict[int, int] = {}
        sold = dict.fromkeys(PROSUMERS, 0)
        sellers = {bytes(meter(name)): name for name in PROSUMERS}
        for trade in self.query(COMMUNITY, "trades_of", slot):
            got[trade["bid"]] = got.get(trade["bid"], 0) + trade["wh"]
            sold[sellers[trade["seller"]]] += trade["price"] * trade["wh"] // 1_000
        return Slot(
            number=slot,
            generation_wh=sum(self._sun(slot, name) for name in PROSUMERS),
            net_wh=sum(readings[name][0] for name in PROSUMERS),
            supply_wh=sum(supply.values()),
            demand_wh=sum(demand.values()),
            ask=ask,
            bids=tuple(Bid(name, wh, price, got.get(seq, 0)) for name, _, seq, wh, price in placed),
            money={name: int(entry["net"]) for name, entry in entries.items()},
            alone={name: SBP * made // 1_000 - SSP * used // 1_000 for name, (made, used) in readings.items()},
            errors={name: (sum(readings[name]) - abs(wh)) / max(1, abs(wh)) for name, wh in expected.items()},
            contracts=sold,
            penalties={name: int(entries[name]["penalty"]) for name in PROSUMERS},
        )


def time_of(slot: int) -> float:
    """The hour of the day at which a slot begins."""
    return slot % SLOTS / 2
