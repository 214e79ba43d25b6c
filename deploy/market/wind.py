"""Market A in the demo: a wind park sells the day ahead, storages of households take up what it makes more or less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Final

from contracts.library_sources import WIND, Calendar
from contracts.sealed_orders import day_ahead_order
from contracts.values import Value
from contracts.wind_mode import WindMode
from deploy.books import Tariffs
from deploy.gateway import Household
from deploy.generator import bid_price
from deploy.market.interface import (
    Event,
    Gateway,
    Market,
    MarketDay,
    Notice,
    Passed,
    SealedOrders,
    Shown,
    Signals,
    bool_at,
)
from deploy.market.wind_books import WindBooks
from deploy.market.wind_park import LENT_WH, PROFILE, Storage, plan_with_park, profile_day, with_park
from deploy.market.words import kwh, name, percent, price
from deploy.neighbourhood import Neighbourhood, Plan
from deploy.pace import FEWEST_WINDOW
from ledger.draws import uniform

_EFFICIENCY: Final = 900_000
"""What the grid company attests of the park's turbines, ppm."""
_FORECASTS_AHEAD, _ANNOUNCEMENTS_AHEAD, _RESERVES_AHEAD = 3, 2, 1
"""Which slot after a matched one is told of. A reserve waits for the match before its own: the contract takes a
declaration that leaves out what was charged since for the whole of what is left of the day."""


class WindGateway(Gateway):
    """One order for the day; then, match by match, forecasts, announcements or reserves, and readings."""

    def __init__(self, household: Household, day: MarketDay, home: int) -> None:
        super().__init__(household, day, home)
        self._sealed = SealedOrders(household.owner, WIND)
        self._storage = Storage() if household.member.storage_w else None
        self._ahead = _ANNOUNCEMENTS_AHEAD if self.selling else _RESERVES_AHEAD
        self._moves: dict[int, int] = {}
        self._charge_cost = 20_000 + uniform(100_001, day.seed, "charge", self.name)
        self._discharge_cost = 300_000 + uniform(200_001, day.seed, "discharge", self.name)

    def answer(self, name: str, data: Event) -> list[bytes]:
        """Signed transactions for an event."""
        match name:
            case "DayCommitted":
                self._sealed.confirmed(data["commitment"])
            case "DayOpened" if self.once(name, data["first_slot"]):
                first = data["first_slot"]
                early = [raw for slot in range(first, first + _FORECASTS_AHEAD) for raw in self._forecast(slot)]
                declared = [raw for slot in range(first, first + self._ahead) for raw in self._declare(slot)]
                return [*self._order(data["day"]), *early, *declared]
            case "PricesPosted":
                # Commitments are closed when the trading center has posted its prices: it keeps the calendar.
                return self._sealed.reveal("reveal_day", 0)
            case "Traded":
                self._moved(data)
            case "HourMatched" if self.once(name, data["slot"]):
                slot = data["slot"]
                return [*self._forecast(slot + _FORECASTS_AHEAD), *self._declare(slot + self._ahead)]
            case "SlotDelivered" if self.once(name, data["slot"]):
                return [self._read(data["slot"])]
        return []

    def _order(self, day: int) -> list[bytes]:
        """All that the forecast says: sold from feed on, bought up to prices of the generator."""
        wh = [self.forecast[slot] for slot in self.day.numbers]
        seed, feed = self.day.seed, self.day.tariffs.feed
        prices = [feed if self.selling else bid_price(seed, self.name, slot) for slot in self.day.numbers]
        side, owner = "sell" if self.selling else "buy", self.household.owner
        if not self.day.sealed:
            return [owner.call(WIND, "offer_day" if self.selling else "bid_day", day, list(wh), list(prices))]
        arguments: tuple[Value, ...] = (side, list(wh), list(prices))
        return [self._sealed.commit("commit_day", day, day_ahead_order(side, wh, prices), arguments)]

    def _forecast(self, slot: int) -> list[bytes]:
        return [self.forecasts(slot)] if slot in self.day.numbers else []

    def _declare(self, slot: int) -> list[bytes]:
        """What the park will really make, or what a storage could deliver and absorb."""
        if slot not in self.day.numbers:
            return []
        if self.selling:
            return [self.household.owner.call(WIND, "announce", slot, self.measured[slot])]
        if self._storage is None:
            return []
        up = self._storage.lent
        reserve = (up, LENT_WH - up, self._charge_cost, self._discharge_cost, up)
        return [self.household.owner.call(WIND, "reserve", slot, *reserve)]

    def _moved(self, data: Event) -> None:
        if self._storage is not None:
            wh, surplus = data["wh"], data["surplus"]
            self._storage.matched(wh, surplus=surplus)
            self._moves[data["slot"]] = self._moves.get(data["slot"], 0) + (wh if surplus else -wh)

    def _read(self, slot: int) -> bytes:
        if self._storage is None:
            return self.reading(slot, self.measured[slot], generated=self.selling)
        used = self._storage.kept(self.forecast[slot], self.measured[slot]) + self._moves.pop(slot, 0)
        return self.reading(slot, abs(used), generated=used < 0)


class WindMarket(Market):
    """A wind park and its neighbours on three floors."""

    letter = "A"
    contract = WIND
    title = "wind park and storages"
    signals = Signals(
        period="slot",
        opened="HourMatched",
        delivered="SlotDelivered",
        settled="SlotSettled",
        trade="Traded",
        public=frozenset({"DayOpened", "PricesPosted"}),
        parties={"DayCommitted": ("meter",), "Traded": ("prosumer",)},
        ahead=1,
    )
    columns = ("slot", "wind", "park", "neighbour", "energy", "price")
    placing: ClassVar[frozenset[str]] = frozenset({"offer_day", "bid_day", "reveal_day", "reserve"})
    promising: ClassVar[frozenset[str]] = frozenset({"commit_day"})
    dealt = "day ahead and in {} matches with storages"
    spare_ms = 4_000
    """One window takes the orders of the whole run: who misses it has no day."""
    cover = 4
    slowest_slot_ms = 900
    """A reserve has one slot from match to gate."""
    match_at_t2 = True

    def mode(self, *, sealed: bool, slots: int) -> WindMode:
        """A node's options; where orders are plain, the day-ahead prices are the operator's list, as published."""
        return WindMode(sealed=sealed, periods=slots, da_clearing=sealed)

    def sealed_in(self, arguments: bytes) -> bool:
        """As the contract's `setup` reads them."""
        return bool_at(arguments, 5)

    def gateway(self, household: Household, day: MarketDay, home: int) -> WindGateway:
        """The gateway of one household."""
        return WindGateway(household, day, home)

    def books(self, tariffs: Tariffs, grid: bytes, community: bytes) -> WindBooks:
        """Empty books."""
        return WindBooks(tariffs, grid, community)

    def imbalance(self, entry: Mapping[str, Any]) -> int:
        """The grid company stands on the day-ahead and the balancing floor too."""
        floors = entry["da_bought_wh"] + entry["bl_bought_wh"] - entry["da_sold_wh"] - entry["bl_sold_wh"]
        return super().imbalance(entry) - int(floors)

    def preparations(self, day: MarketDay) -> list[bytes]:
        """Nothing: this market keeps the tariff of genesis."""
        return []

    def residents(self, street: Neighbourhood) -> Neighbourhood:
        """The loads of the street and a wind park."""
        return with_park(street)

    def plan(self, street: Neighbourhood, day: str) -> Plan:
        """The park has a forecast of its own."""
        return plan_with_park(street, day)

    def calendar(
        self, slot_ms: int, slot0_ms: int, slots: range, *, sealed: bool, window: int = FEWEST_WINDOW
    ) -> Calendar:
        """One market day."""
        found = super().calendar(slot_ms, slot0_ms, slots, sealed=sealed, window=window)
        return replace(found, last_slot=slots.stop - 1)

    def first_trade(self, street: Neighbourhood, plan: Plan, numbers: range, calendar: Calendar) -> int | None:
        """None: matches follow the first window so soon that no slot needs to be shorter for them."""
        return None

    def after_approval(self, day: MarketDay) -> list[bytes]:
        """The grid company attests the park's efficiency."""
        parks = [house for house in day.households if house.member.device == "wind"]
        return [day.desk.grid_company.call(WIND, "post_efficiency", park.meter.address, _EFFICIENCY) for park in parks]

    def notices(self, day: MarketDay) -> list[Notice]:
        """The operator's prices between neighbours, the middle of the tariffs, when day-ahead commitments are closed;
        and its day-ahead list where orders are plain."""
        calendar, desk, tariffs = day.calendar, day.desk, day.tariffs
        start_ms = calendar.slot0_ms + day.first_slot * calendar.slot_ms
        middle = (tariffs.feed + tariffs.retail) // 2
        closed_ms = start_ms - calendar.reveal_slots * calendar.slot_ms
        prices = desk.trading_center.call(WIND, "post_prices", day.first_slot, [middle] * day.slots)
        if day.sealed:
            return [Notice(closed_ms, prices)]
        spread = tariffs.retail - tariffs.feed
        listed: list[Value] = [tariffs.feed + uniform(spread, day.seed, "list", slot) for slot in day.numbers]
        opened_ms = start_ms - calendar.open_slots * calendar.slot_ms
        return [Notice(opened_ms, desk.trading_center.call(WIND, "post_day", 0, listed)), Notice(closed_ms, prices)]

    def show(self, data: Event, name_of: Mapping[str, str]) -> Shown:
        """A match, from the data of the event."""
        wh, micro = data["wh"], data["price"]
        pair = (name(data["producer"], name_of), name(data["prosumer"], name_of))
        way = "more" if data["surplus"] else "less"
        return Shown(wh, micro * wh // 1000, (way, *pair, f"{wh} Wh", price(micro)))

    def passed(self, name: str, data: Event) -> Passed | None:
        """What members bought day-ahead in an hour came from the park."""
        if name != "HourCleared":
            return None
        wh = min(data["sold_wh"], data["bought_wh"])
        return Passed(data["slot"], wh, data["price"] * wh // 1000)

    def facts(self, figures: Mapping[str, int], day: str) -> list[tuple[str, str]]:
        """What each floor took of the park's energy."""
        return [
            (
                "wind park",
                f"{kwh(figures['wind_wh'])} by SimBench {PROFILE} of {profile_day(day)}, its forecast generated",
            ),
            (
                "day ahead",
                f"{kwh(figures['day_ahead_wh'])} sold, {kwh(figures['day_ahead_to_members_wh'])} of it to neighbours",
            ),
            (
                "deviations",
                f"{kwh(figures['deviation_wh'])}; neighbours' storages took up {kwh(figures['delivered_wh'])}, "
                f"the balancing floor {kwh(figures['balanced_wh'])}",
            ),
            ("reputation", f"{percent(figures['reputation_ppm'])} of the park, renewed once a day"),
        ]
