"""A demo day of any market on the real contracts without processes: gateways answer the events of `MarketWorld`.

Households, institutions, orders and readings are those of `gridchain demo`; the events are told in the form in which
the API shows them; each answer is a block of its own at the time of the event.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from market_world import INSTITUTIONS, SLOT0_MS, SLOT_MS, MarketWorld

from contracts.values import decode_value
from deploy.books import Books, Tariffs
from deploy.gateway import Household, Signer
from deploy.market.interface import Desk, Market, MarketDay
from deploy.neighbourhood import load
from deploy.onboarding import applications, attestations, deposits
from ledger.crypto import SigningKey, sha256
from ledger.objects import Event, decode_transaction

CHAIN = "demo-test-00"
TARIFFS = Tariffs(feed=450_000, retail=670_000)


def signer(name: str) -> Signer:
    return Signer(SigningKey(sha256(name.encode())), CHAIN)


def as_api(value: Any) -> Any:
    """A value as the API shows it."""
    match value:
        case bool() | str() | None:
            return value
        case int():
            return value if abs(value) < 2**53 else str(value)
        case bytes():
            return f"0x{value.hex()}"
        case list():
            return [as_api(item) for item in value]
        case _:
            return {name: as_api(item) for name, item in value.items()}


class PlayedDay:
    """`numbers` of one day of a market; `refused` counts the codes of failed calls. `silent`: members (by position)
    whose meters report nothing."""

    def __init__(
        self,
        market: Market,
        numbers: range,
        *,
        sealed: bool = True,
        seed: int = 7,
        silent: frozenset[int] = frozenset(),
    ) -> None:
        self.market = market
        self.silent = silent
        street = market.residents(load())
        calendar = market.calendar(SLOT_MS, SLOT0_MS, numbers, sealed=sealed)
        mode = market.mode(sealed=sealed, slots=len(numbers))
        chosen = {field.name: getattr(part, field.name) for part in (calendar, mode) for field in fields(part)}
        self.world = MarketWorld(mode=type(mode), **chosen)
        houses = tuple(
            Household(member, signer(f"owner {number}"), signer(f"meter {number}"))
            for number, member in enumerate(street.members)
        )
        desk = Desk(signer("bureau"), signer("grid"), signer("center"), bytes(INSTITUTIONS.community))
        self.day = MarketDay(
            street, market.plan(street, "2016-06-14"), houses, desk, TARIFFS, calendar, sealed, numbers.start,
            len(numbers), 0, 0, 1, seed,
        )  # fmt: skip
        self.seats = {
            desk.energy_bureau.address: INSTITUTIONS.energy_bureau,
            desk.grid_company.address: INSTITUTIONS.grid_company,
            desk.trading_center.address: INSTITUTIONS.trading_center,
        }
        self.refused: dict[str, int] = {}
        self._told = 0
        self._gateways = [market.gateway(house, self.day, 0) for house in houses]
        self._of_meter = dict(zip(self.day.member_of, self._gateways, strict=True))
        self._quiet = {house.meter.address for number, house in enumerate(houses) if number in silent}
        self._play()

    @property
    def events(self) -> list[Event]:
        """All events in order."""
        return [event for receipt in self.world.receipts for event in receipt.events]

    def books(self) -> Books[Any]:
        """Empty books of the market."""
        return self.market.books(TARIFFS, bytes(INSTITUTIONS.grid_company), bytes(INSTITUTIONS.community))

    def send(self, raw: bytes) -> None:
        """Execute a signed call at the present time."""
        transaction = decode_transaction(raw)
        body, sender = transaction.body, self.seats.get(transaction.sender, transaction.sender)
        if body.entry in ("submit_reading", "report") and sender in self._quiet:
            return
        receipt = self.world.send(sender, body.contract, body.entry, *decode_value(body.arguments))
        if not receipt.ok:
            self.refused[receipt.code] = self.refused.get(receipt.code, 0) + 1

    def _play(self) -> None:
        market, day, world = self.market, self.day, self.world
        for raw in [
            *market.preparations(day),
            *applications(market, day.street, day.households),
            *deposits(market, day),
        ]:
            self.send(raw)
        digests = {
            house.owner.address: world.query("registry", "member", house.owner.address)["digest"]
            for house in day.households
        }
        for raw in [*attestations(day.desk, day.households, digests), *market.after_approval(day)]:
            self.send(raw)
        assert not self.refused, self.refused
        notices = market.notices(day)
        end = SLOT0_MS + (day.numbers.stop + 6) * SLOT_MS
        while world.now < end:
            self._answer()
            due = world.executor.next_due_ms(world.view)
            times = [notices[0].at_ms] if notices else []
            world.go(min([*times, end if due is None else due, end]))
            while notices and notices[0].at_ms <= world.now:
                self.send(notices.pop(0).raw)

    def _answer(self) -> None:
        """Tell gateways what is new until nobody has anything to say."""
        told = self.market.signals
        while self._told < len(self.world.receipts):
            receipt = self.world.receipts[self._told]
            self._told += 1
            for event in receipt.events:
                if event.contract == self.market.contract:
                    data = as_api(decode_value(event.data))
                    heard = [self._of_meter[data[name]] for name in told.parties.get(event.name, ())]
                    if event.name in (told.opened, told.delivered, *told.public):
                        heard = self._gateways
                    for gateway in heard:
                        for raw in gateway.answer(event.name, data):
                            self.send(raw)
